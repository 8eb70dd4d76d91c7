// What the store's tests are written with: commits from short rows, and everything that a snapshot can tell.
import assert from "node:assert/strict";
import {
  newSeriesFlag,
  type Cells,
  type Commit,
  type DeltaColumns,
  type Forgotten,
  type SeriesKey,
  type ShardState,
  type ShardStore,
  type Snapshot,
  type StoreEngine,
} from "../../src/store/store.ts";

/** An engine and the disk under it. */
export interface World {
  engine: StoreEngine;
  /** The same disk, opened anew. The shards and readers opened so far have been closed. */
  reopen(): Promise<StoreEngine>;
  end(): Promise<void>;
}

/** One test of the suite, run for each engine. */
export type Case = (title: string, run: (world: World) => Promise<void>) => void;

export const hourMs = 3600 * 1000;
export const boot = "00112233445566778899aabbccddeeff";

export interface RowInput {
  /** A stored id, or the index into newSeries when `fresh`. */
  series: number;
  fresh?: boolean;
  bucket: number;
  points?: number;
  sum?: number;
  min?: number;
  max?: number;
  last?: number;
  lastSeconds?: number;
  lastReceivedAtMs?: number;
}

export function columns(rows: readonly RowInput[]): DeltaColumns {
  const value = (row: RowInput) => row.sum ?? 1;
  return {
    count: rows.length,
    series: Uint32Array.from(rows, (r) => (r.fresh === true ? newSeriesFlag + r.series : r.series)),
    bucket: Uint32Array.from(rows, (r) => r.bucket),
    points: Uint32Array.from(rows, (r) => r.points ?? 1),
    sum: Float64Array.from(rows, value),
    min: Float64Array.from(rows, (r) => r.min ?? value(r)),
    max: Float64Array.from(rows, (r) => r.max ?? value(r)),
    last: Float64Array.from(rows, (r) => r.last ?? value(r)),
    lastSeconds: Uint32Array.from(rows, (r) => r.lastSeconds ?? r.bucket),
    lastReceivedAtMs: Float64Array.from(rows, (r) => r.lastReceivedAtMs ?? 0),
  };
}

export function key(name: string, tenant = "t1"): SeriesKey {
  return { tenant, name: new TextEncoder().encode(name) };
}

export function commitOf(epoch: number, from: number, to: number, more: Partial<Commit> = {}): Commit {
  return {
    epoch,
    from,
    to,
    incarnation: "i1",
    frameTimeMs: to * 1000,
    receivedAtMs: to * 1000 + 1,
    newSeries: [],
    deltas: columns([]),
    boots: [],
    keyed: [],
    ledger: [],
    dead: [],
    holes: [],
    ...more,
  };
}

export async function claimed(store: ShardStore, node = "n1", mapVersion = 1): Promise<ShardState> {
  const result = await store.claim({ node, mapVersion, instance: "i" });
  assert(result.kind === "claimed", JSON.stringify(result));
  return result.state;
}

/** Of a store whose epoch this is. */
export async function stateOf(store: ShardStore, epoch: number): Promise<ShardState> {
  const result = await store.resume(epoch);
  assert(result.kind === "claimed", JSON.stringify(result));
  return result.state;
}

/** Ids of the commit's new series. */
export async function committed(store: ShardStore, commit: Commit): Promise<number[]> {
  const result = await store.commit(commit);
  assert(result.kind === "ok", JSON.stringify(result));
  return [...result.ids];
}

export async function withSnapshot<T>(
  engine: StoreEngine,
  shard: number,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const reader = await engine.openReader(shard);
  const snapshot = await reader.snapshot();
  try {
    return await use(snapshot);
  } finally {
    snapshot.close();
    await reader.close();
  }
}

/** Rows of [points, sum, min, max, last] or null, one per cell. */
export function table(cells: Cells): (number[] | null)[] {
  return Array.from(cells.points, (points, i) =>
    points === 0
      ? null
      : [points, ...[cells.sum, cells.min, cells.max, cells.last].map((column) => column[i] ?? Number.NaN)],
  );
}

export const nothingForgotten: Forgotten = { keyed: 0, boots: 0, ledger: 0, dead: 0, closed: 0 };

/** All that there is to be forgotten now. */
export async function forgotten(store: ShardStore, epoch: number, nowMs: number): Promise<Forgotten> {
  const sum = { ...nothingForgotten };
  for (let more = true; more; ) {
    const once = await store.forget(epoch, nowMs);
    for (const what of ["keyed", "boots", "ledger", "dead"] as const) sum[what] += once[what];
    more = Object.values(once).some((count) => count > 0);
  }
  return sum;
}

/** Ids of all series of up to three nodes, ascending. */
export async function idsIn(snapshot: Snapshot, tenants: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const tenant of tenants)
    for (const pattern of ["*", "*.*", "*.*.*", "*;*", "*.*;*", "*.*.*;*"])
      for (const { id } of await snapshot.findSeries(tenant, pattern, 10_000)) ids.push(id);
  return ids.sort((a, b) => a - b);
}

/** Everything there is to see of two tenants. */
export async function everything(snapshot: Snapshot, seconds: number): Promise<unknown> {
  const ids = await idsIn(snapshot, ["t1", "t2"]);
  const state = await snapshot.state();
  const tenants = await snapshot.tenants();
  const found = [];
  for (const tenant of ["t1", "t2"]) {
    for (const pattern of ["*", "*.*", "a.*", "*.*.*", "*;*", "*.*;*", "[a-b].{c,d*}"])
      found.push(
        await snapshot.findNodes(tenant, pattern, 1000),
        await snapshot.findSeries(tenant, pattern, 1000),
      );
    found.push(await snapshot.ledger(tenant, 0, 600));
  }
  return {
    state: { ...state, boots: state.boots.toSorted((a, b) => (a.boot < b.boot ? -1 : 1)) },
    ids,
    tenants: tenants.toSorted(),
    found,
    dead: await snapshot.dead(1000),
    deadCounts: await snapshot.deadCounts(),
    fine: table(await snapshot.fetch(ids, { start: 0, stepSeconds: 10, width: Math.ceil(seconds / 10) })),
    sketches: [
      ...((
        await snapshot.fetch(ids, { start: 0, stepSeconds: 30, width: Math.ceil(seconds / 30) }, ["sketch"])
      ).sketches ?? []),
    ].sort(([a], [b]) => a - b),
    coarse: table(await snapshot.fetch(ids, { start: 0, stepSeconds: 60, width: Math.ceil(seconds / 60) })),
  };
}
