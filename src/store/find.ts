// Finding names by pattern: a walk of the tree that goes only where the pattern can match. Words are looked up, what
// begins with a known text is a scan of just that range, and everything else is tried against the node's matcher.
//
// D1. Memory is bounded by depth times a page, not by how many names there are.
// D2. The walk lets others run between pages, and ends as soon as it has found `most`. Which ones of more than `most`
//     are found is the order of the walk: nodes by their bytes, level by level.
// D3. A series with outputs (src/metric/outputs.ts) is found under these, never under its stored name. Which outputs a
//     pattern can mean is known before the walk; where it can mean none, looking for them costs nothing.
import { compilePattern, type Pattern, type TextMatcher } from "../metric/glob.ts";
import { hasOutput, listedOutputs, outputNodes, storedOutput } from "../metric/outputs.ts";
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
  const found = new Map<string, FoundNode>();
  const compiled = compilePattern(pattern);
  /** Outputs that were found, and the node that their stored series lies below. */
  const places = new Map<string, { node: number; output: string }>();
  const note = (path: string, { child, series }: NodeRow) => {
    const known = found.get(path);
    if (child === 0 && series === 0) return;
    const leaf = series !== 0 || known?.leaf === true;
    found.set(path, { path, leaf, branch: child !== 0 || known?.branch === true });
  };
  await walk(rows, tenant, compiled, outputsOf(compiled), breathe, (path, row, output, node = 0) => {
    if (found.size >= most) return false;
    if (output !== undefined) places.set(path, { node, output });
    note(path, row);
    return found.size < most;
  });
  // The walk ended before it came to what else has the name of an output.
  if (found.size >= most && compiled.tags === undefined) await noteRest(rows, places, note, breathe);
  return [...found.values()].sort((a, b) => compareTexts(a.path, b.path));
}

async function noteRest(
  rows: Rows,
  places: ReadonlyMap<string, { node: number; output: string }>,
  note: (path: string, row: NodeRow) => void,
  breathe: Breathe,
): Promise<void> {
  let looks = 0;
  for (const [path, { node, output }] of places) {
    const value = rows.get(nodeKey(node, Buffer.from(output)));
    if (value !== undefined) note(path, decodeNode(value));
    if (++looks % pageRows === 0) await breathe();
  }
}

export async function findSeries(
  rows: Rows,
  tenant: string,
  pattern: string,
  most: number,
  breathe: Breathe,
): Promise<FoundSeries[]> {
  const compiled = compilePattern(pattern);
  return await findByName(rows, tenant, compiled, outputsOf(compiled), most, breathe);
}

/** The same, but each series once, however many of its outputs the pattern means. */
export async function findStored(
  rows: Rows,
  tenant: string,
  pattern: string,
  most: number,
  breathe: Breathe,
): Promise<FoundSeries[]> {
  const compiled = compilePattern(pattern);
  const first = Array.from(outputsOf(compiled), ([node, outputs]) => [node, outputs.slice(0, 1)] as const);
  return await findByName(rows, tenant, compiled, new Map(first), most, breathe);
}

async function findByName(
  rows: Rows,
  tenant: string,
  pattern: Pattern,
  outputs: Outputs,
  most: number,
  breathe: Breathe,
): Promise<FoundSeries[]> {
  const found: FoundSeries[] = [];
  await walk(rows, tenant, pattern, outputs, breathe, (name, row, output) => {
    if (found.length >= most) return false;
    if (row.series !== 0) found.push({ id: row.series, name, ...(output === undefined ? {} : { output }) });
    return found.length < most;
  });
  return found.sort(
    (a, b) => compareTexts(a.name, b.name) || Number(a.output !== undefined) - Number(b.output !== undefined),
  );
}

/** By stored node, the outputs that a pattern's last node means; without those of which it means none. Sorted. */
type Outputs = ReadonlyMap<string, readonly string[]>;

function outputsOf({ nodes }: Pattern): Outputs {
  const matcher = nodes.at(-1);
  const out = new Map<string, readonly string[]>();
  if (matcher === undefined) return out;
  for (const node of outputNodes) {
    const names =
      matcher.words?.filter((word) => hasOutput(node, word)) ??
      listedOutputs(node)?.filter((output) => matcher.matches(output)) ??
      [];
    if (names.length > 0) out.set(node, names);
  }
  return out;
}

/** Whether to go on. `output`: the path is that of an output, and `node` where its series lies. */
type Take = (path: string, row: NodeRow, output?: string, node?: number) => boolean;

async function walk(
  rows: Rows,
  tenant: string,
  pattern: Pattern,
  outputs: Outputs,
  breathe: Breathe,
  take: Take,
): Promise<void> {
  const stored = rows.get(tenantKey(tenant));
  if (stored === undefined) return;
  const { root } = decodeTenant(stored);
  if (pattern.tags === undefined) await walkTree(rows, root, pattern.nodes, outputs, breathe, take);
  else await walkTagged(rows, root, pattern, outputs, breathe, take);
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
  outputs: Outputs,
  breathe: Breathe,
  take: Take,
): Promise<void> {
  const open: Place[] = [{ node: root, depth: 0, path: "", word: 0, from: undefined }];
  let sinceBreath = 0;
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const matcher = nodes[place.depth];
    if (matcher === undefined) continue;
    const last = place.depth === nodes.length - 1;
    if (last && place.word === 0 && place.from === undefined) {
      sinceBreath += outputs.size;
      if (!takeOutputs(rows, place, outputs, take)) return;
    }
    const page = readPage(rows, place, matcher);
    if (page.rest !== undefined) open.push(page.rest);
    const below: Place[] = [];
    for (const [segment, row] of page.found) {
      const path = place.path + segment;
      if (last) {
        if (listedOutputs(segment) === undefined && !take(path, row)) return;
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

/** D3. Of the series at a place of the last depth. */
function takeOutputs(rows: Rows, { node, path }: Place, outputs: Outputs, take: Take): boolean {
  for (const [stored, names] of outputs) {
    const value = rows.get(nodeKey(node, Buffer.from(stored)));
    if (value === undefined) continue;
    const row = { child: 0, series: decodeNode(value).series };
    for (const output of names) if (!take(path + output, row, output, node)) return false;
  }
  return true;
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

/** Names of one range: those of a stored node, or all others. */
interface TaggedRange {
  /** What the names in it begin with. */
  prefix: string;
  takes: "all" | "plain" | "outputs";
}

async function walkTagged(
  rows: Rows,
  root: number,
  pattern: Pattern,
  outputs: Outputs,
  breathe: Breathe,
  take: Take,
): Promise<void> {
  for (const range of taggedRanges(pattern, outputs)) {
    const prefix = Buffer.from(range.prefix);
    if (prefix.length > 1000) continue;
    const start = taggedKey(root, prefix);
    if (pattern.literal) {
      const value = rows.get(start);
      if (value !== undefined && !takeTagged(range, pattern, outputs, range.prefix, value, take)) return;
      continue;
    }
    const end = after(start);
    for (let from: Buffer | undefined = start; from !== undefined; ) {
      const page = rows.range(from, end, pageRows);
      for (const { key, value } of page)
        if (!takeTagged(range, pattern, outputs, nameOfTaggedKey(key), value, take)) return;
      const last = page.at(-1);
      from = page.length === pageRows && last !== undefined ? justAfter(last.key) : undefined;
      await breathe();
    }
  }
}

function takeTagged(
  { takes }: TaggedRange,
  pattern: Pattern,
  outputs: Outputs,
  name: string,
  value: Buffer,
  take: Take,
): boolean {
  const row = { child: 0, series: decodeId(value) };
  const stored = name.includes("\u0001") ? storedOutput(name) : undefined;
  if (stored === undefined) return takes === "outputs" || !pattern.matches(name) || take(name, row);
  if (takes === "plain") return true;
  const names = outputs.get(stored.node) ?? [];
  // They all match in their last node: one of them tells for the others.
  if (names[0] === undefined || !pattern.matches(stored.read(names[0]))) return true;
  return names.every((output) => take(stored.read(output), row, output, 0));
}

/** Where all names lie that the pattern can match: one range, or, where only the last node tells, one for each. */
function taggedRanges({ text, literal, nodes, tags }: Pattern, outputs: Outputs): TaggedRange[] {
  let above = "";
  for (const matcher of nodes.slice(0, -1)) {
    const only = onlyWord(matcher);
    if (only === undefined) return [{ prefix: above + matcher.prefix, takes: "all" }];
    above += `${only}.`;
  }
  const behind = tags?.prefix ?? "";
  const last = nodes.at(-1);
  const only = last === undefined ? undefined : onlyWord(last);
  const plain = literal ? text : above + (only === undefined ? (last?.prefix ?? "") : only + behind);
  return [
    { prefix: plain, takes: "plain" },
    ...Array.from(
      outputs.keys(),
      (node): TaggedRange => ({ prefix: above + node + behind, takes: "outputs" }),
    ),
  ];
}

function onlyWord({ words }: TextMatcher): string | undefined {
  return words?.length === 1 ? words[0] : undefined;
}

function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}
