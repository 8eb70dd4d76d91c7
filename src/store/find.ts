// Finding names by pattern: a walk of the tree that goes only where the pattern can match. Words are looked up, what
// begins with a known text is a scan of just that range, and everything else is tried against the node's matcher.
//
// D1. Memory is bounded by depth times a page, not by how many names there are.
// D2. The walk lets others run between pages, and ends as soon as it has found `most`. Which ones of more than `most`
//     are found is the order of the walk: nodes by their bytes, level by level.
import { compilePattern, type Pattern, type TextMatcher } from "../metric/glob.ts";
import { after, nameOfTaggedKey, nodeKey, segmentOfKey, taggedKey, tenantKey } from "./keys.ts";
import { decodeId, decodeNode, decodeTenant, type NodeRow, type Rows } from "./names.ts";
import { compareTexts } from "./order.ts";
import type { FoundNode, FoundSeries } from "./store.ts";

const pageRows = 256;

/** Called between pages of work; settles when it is this walk's turn again. */
export type Breathe = () => Promise<void>;

export async function findNodes(
  rows: Rows,
  tenant: string,
  pattern: string,
  most: number,
  breathe: Breathe,
): Promise<FoundNode[]> {
  const found: FoundNode[] = [];
  await walk(rows, tenant, compilePattern(pattern), breathe, (path, row) => {
    if (found.length >= most) return false;
    if (row.child !== 0 || row.series !== 0)
      found.push({ path, leaf: row.series !== 0, branch: row.child !== 0 });
    return found.length < most;
  });
  return found.sort((a, b) => compareTexts(a.path, b.path));
}

export async function findSeries(
  rows: Rows,
  tenant: string,
  pattern: string,
  most: number,
  breathe: Breathe,
): Promise<FoundSeries[]> {
  const found: FoundSeries[] = [];
  await walk(rows, tenant, compilePattern(pattern), breathe, (name, row) => {
    if (found.length >= most) return false;
    if (row.series !== 0) found.push({ id: row.series, name });
    return found.length < most;
  });
  return found.sort((a, b) => compareTexts(a.name, b.name));
}

/** Whether to go on. */
type Take = (path: string, row: NodeRow) => boolean;

async function walk(
  rows: Rows,
  tenant: string,
  pattern: Pattern,
  breathe: Breathe,
  take: Take,
): Promise<void> {
  const stored = rows.get(tenantKey(tenant));
  if (stored === undefined) return;
  const { root } = decodeTenant(stored);
  if (pattern.tags === undefined) await walkTree(rows, root, pattern.nodes, breathe, take);
  else await walkTagged(rows, root, pattern, breathe, take);
}

/** A place in the tree whose rows are still to be read, from `from` on. */
interface Place {
  node: number;
  depth: number;
  /** The path up to here, its dot included. */
  path: string;
  /** Words of the matcher, or its range of keys, from here on. */
  word: number;
  from: Buffer | undefined;
}

async function walkTree(
  rows: Rows,
  root: number,
  nodes: readonly TextMatcher[],
  breathe: Breathe,
  take: Take,
): Promise<void> {
  const open: Place[] = [{ node: root, depth: 0, path: "", word: 0, from: undefined }];
  let sinceBreath = 0;
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const matcher = nodes[place.depth];
    if (matcher === undefined) continue;
    const page = readPage(rows, place, matcher);
    if (page.rest !== undefined) open.push(page.rest);
    const below: Place[] = [];
    for (const [segment, row] of page.found) {
      const path = place.path + segment;
      if (place.depth === nodes.length - 1) {
        if (!take(path, row)) return;
      } else if (row.child !== 0)
        below.push({ node: row.child, depth: place.depth + 1, path: `${path}.`, word: 0, from: undefined });
    }
    for (const next of below.toReversed()) open.push(next);
    sinceBreath += page.read;
    if (sinceBreath >= pageRows) {
      sinceBreath = 0;
      await breathe();
    }
  }
}

interface Page {
  found: [segment: string, row: NodeRow][];
  /** Rows and look-ups that it cost. */
  read: number;
  rest: Place | undefined;
}

function readPage(rows: Rows, place: Place, matcher: TextMatcher): Page {
  const found: Page["found"] = [];
  if (matcher.words !== undefined) {
    const words = matcher.words.slice(place.word, place.word + pageRows);
    for (const word of words) {
      const segment = Buffer.from(word);
      // Longer than any name: can't be there, and lmdb would refuse the key.
      const value = segment.length > 1000 ? undefined : rows.get(nodeKey(place.node, segment));
      if (value !== undefined) found.push([word, decodeNode(value)]);
    }
    const word = place.word + words.length;
    return { found, read: words.length, rest: word < matcher.words.length ? { ...place, word } : undefined };
  }
  const prefix = Buffer.from(matcher.prefix);
  if (prefix.length > 1000) return { found, read: 0, rest: undefined };
  const start = nodeKey(place.node, prefix);
  const page = rows.range(place.from ?? start, after(start), pageRows);
  for (const { key, value } of page) {
    const segment = segmentOfKey(key);
    if (matcher.matches(segment)) found.push([segment, decodeNode(value)]);
  }
  const last = page.at(-1);
  const more = page.length === pageRows && last !== undefined;
  return { found, read: page.length + 1, rest: more ? { ...place, from: justAfter(last.key) } : undefined };
}

async function walkTagged(
  rows: Rows,
  root: number,
  pattern: Pattern,
  breathe: Breathe,
  take: Take,
): Promise<void> {
  const found = (name: string, value: Buffer) => take(name, { child: 0, series: decodeId(value) });
  const prefix = Buffer.from(pattern.literal ? pattern.text : taggedPrefix(pattern));
  if (prefix.length > 1000) return;
  const start = taggedKey(root, prefix);
  if (pattern.literal) {
    const value = rows.get(start);
    if (value !== undefined) found(pattern.text, value);
    return;
  }
  const end = after(start);
  for (let from: Buffer | undefined = start; from !== undefined; ) {
    const page = rows.range(from, end, pageRows);
    for (const { key, value } of page) {
      const name = nameOfTaggedKey(key);
      if (pattern.matches(name) && !found(name, value)) return;
    }
    const last = page.at(-1);
    from = page.length === pageRows && last !== undefined ? justAfter(last.key) : undefined;
    await breathe();
  }
}

/** What every name that the pattern can match begins with. */
function taggedPrefix({ nodes, tags }: Pattern): string {
  let prefix = "";
  for (const [i, matcher] of nodes.entries()) {
    const only = matcher.words?.length === 1 ? matcher.words[0] : undefined;
    if (only === undefined) return prefix + matcher.prefix;
    prefix += i < nodes.length - 1 ? `${only}.` : only;
  }
  return prefix + (tags?.prefix ?? "");
}

function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}
