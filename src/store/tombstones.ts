// Tenants that are gone for good: a tombstone for each, and the series that it still has. Worked out against one state
// of the shard; nothing is written here.
//
// T1. A tombstone stays: the tenant's lines that the record still holds, in a gap for years perhaps, are known by it.
// T2. The series of a tenant are found by its own rows, whatever their names: work grows with how many are asked for,
//     not with how many there are.
import { listedOutputs, storedOutput } from "../metric/outputs.ts";
import type { State } from "./environment.ts";
import type { Breathe } from "./find.ts";
import { after, nodeKey, taggedKey, tableRange, tenantKey, tenantOfKey, tombstoneKey } from "./keys.ts";
import { decodeId, decodeNode, decodeTenant, type Rows } from "./names.ts";
import { justAfter, rowsOf } from "./paging.ts";
import { compareTexts } from "./order.ts";
import type { Deleted } from "./store.ts";

const pageRows = 256;
const none = Buffer.alloc(0);

/** Sorted as UTF-8 bytes. */
export function readTombstones(state: State): string[] {
  return Array.from(rowsOf(state, tableRange("tombstone")), ({ key }) => tenantOfKey(key));
}

export function hasTombstone(state: State, tenant: string): boolean {
  return state.peek(tombstoneKey(tenant)) !== undefined;
}

/** Ids of at most `most` living series of a tenant. */
export async function someSeries(
  rows: Rows,
  tenant: string,
  most: number,
  breathe: Breathe,
): Promise<number[]> {
  const stored = rows.get(tenantKey(tenant));
  if (stored === undefined) return [];
  const { root } = decodeTenant(stored);
  const ids: number[] = [];
  const tagged = taggedKey(root, none);
  for (let from: Buffer | undefined = tagged; from !== undefined && ids.length < most; ) {
    const page = rows.range(from, after(tagged), pageRows);
    for (const { value } of page) ids.push(decodeId(value));
    from = nextOf(page);
    await breathe();
  }
  if (ids.length < most) await walkTree(rows, root, breathe, (id) => ids.push(id) < most);
  return ids.slice(0, most);
}

/** Memory: a page for each level of the deepest name. `take` says whether to go on. */
async function walkTree(
  rows: Rows,
  root: number,
  breathe: Breathe,
  take: (id: number) => boolean,
): Promise<void> {
  const open: { node: number; from?: Buffer }[] = [{ node: root }];
  let sinceBreath = 0;
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { node } = place;
    const first = nodeKey(node, none);
    const page = rows.range(place.from ?? first, after(first), pageRows);
    const from = nextOf(page);
    if (from !== undefined) open.push({ node, from });
    for (const { value } of page) {
      const { child, series } = decodeNode(value);
      if (series !== 0 && !take(series)) return;
      if (child !== 0) open.push({ node: child });
    }
    sinceBreath += page.length + 1;
    if (sinceBreath < pageRows) continue;
    sinceBreath = 0;
    await breathe();
  }
}

/** Where the page behind this one begins; undefined: it was the last. */
function nextOf(page: readonly { key: Buffer }[]): Buffer | undefined {
  const last = page.at(-1);
  return page.length === pageRows && last !== undefined ? justAfter(last.key) : undefined;
}

/** Of a stored name: itself, or its first output (src/metric/outputs.ts). */
export function shownName(name: string): string {
  const stored = storedOutput(name);
  return stored === undefined ? name : stored.read(listedOutputs(stored.node)?.[0] ?? stored.node);
}

export function deletedOf(series: readonly { id: number; name: string }[]): Deleted {
  const sorted = series.toSorted((a, b) => compareTexts(a.name, b.name) || a.id - b.id);
  return { ids: Uint32Array.from(sorted, ({ id }) => id), names: sorted.map(({ name }) => name) };
}
