// What a shard of the memory engine consists of, and what outlives opening and closing it. Nothing in a row, a series or
// a ladder is ever changed: what changes is put in its place, so a snapshot is a copy of lists.
import type { Ladder } from "../../metric/bucket.ts";
import { compareTexts } from "../order.ts";
import { freshProgress } from "../lanes.ts";
import { quarantinedOf } from "./letters.ts";
import type {
  BootApplied,
  Buried,
  DeadLetter,
  LedgerRow,
  Owner,
  ShardProgress,
  ShardState,
} from "../store.ts";

export interface Row {
  series: number;
  /** One second, as it was committed. */
  bucket: number;
  points: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  lastSeconds: number;
  lastReceivedAtMs: number;
  /** As it was committed. */
  sketch: Uint8Array | undefined;
  /** The text of its ladder, once upkeep has come to it. */
  settled: string | undefined;
  /** Which commit brought it. */
  commit: number;
}

export interface Series {
  tenant: string;
  name: string;
}

/** How far back each rung of a ladder reaches: epoch seconds. */
export interface Reach {
  ladder: Ladder;
  kept: readonly number[];
}

export interface Disk {
  state: ShardProgress & { owner: Owner | undefined };
  boots: Map<string, BootApplied>;
  /** Living series by id. */
  series: Map<number, Series>;
  ids: Map<string, number>;
  /** Next id per tenant, and the block of 16 ids that the next tenant who needs one gets. */
  next: Map<string, number>;
  nextBlock: number;
  rows: Row[];
  /** By ladderText. */
  ladders: Map<string, Reach>;
  /** The epoch day from which on nothing is left of what was settled of a series. */
  expiryDay: Map<number, number>;
  /** Values of StatsD gauges, by id. */
  gauges: Map<number, number>;
  /** The commit that made each of them a gauge. */
  gaugeSince: Map<number, number>;
  /** Commits so far; the last one's number when the latest replay began, that replay's id, and the rows it has staged. */
  commits: number;
  barrier: number;
  lastReplay: number;
  staged: Row[];
  keyed: Map<string, number>;
  ledger: Map<string, LedgerRow>;
  dead: Map<string, DeadLetter>;
  /** Letters that are no more. */
  closed: Map<string, Buried>;
  /** By tenant. */
  quarantined: Map<string, { sinceMs: number; why: string }>;
  /** Tenants. */
  tombstones: Set<string>;
}

export function freshDisk(): Disk {
  return {
    state: { ...freshProgress(), owner: undefined },
    boots: new Map(),
    series: new Map(),
    ids: new Map(),
    next: new Map(),
    nextBlock: 1,
    rows: [],
    ladders: new Map(),
    expiryDay: new Map(),
    gauges: new Map(),
    gaugeSince: new Map(),
    commits: 0,
    barrier: 0,
    lastReplay: 0,
    staged: [],
    keyed: new Map(),
    ledger: new Map(),
    dead: new Map(),
    closed: new Map(),
    quarantined: new Map(),
    tombstones: new Set(),
  };
}

export function stateOf(disk: Disk): ShardState {
  const boots = [...disk.boots.values()].sort((a, b) => compareTexts(a.boot, b.boot));
  const { owner: _, ...progress } = disk.state;
  const purging = [...disk.tombstones].sort(compareTexts);
  return structuredClone({ ...progress, boots, quarantined: quarantinedOf(disk), purging });
}

/** Ids of the tenant's living series whose name is taken, by name. */
export function namesOf(
  series: ReadonlyMap<number, Series>,
  tenant: string,
  takes: (name: string) => boolean,
): { id: number; name: string }[] {
  return [...series]
    .filter(([, each]) => each.tenant === tenant && takes(each.name))
    .map(([id, { name }]) => ({ id, name }))
    .sort((a, b) => compareTexts(a.name, b.name));
}

export function keyOfName({ tenant, name }: Series): string {
  return JSON.stringify([tenant, name]);
}

/** Takes series out of the names, and their rows with them. */
export function dropSeries(disk: Disk, ids: ReadonlySet<number>): void {
  for (const id of ids) {
    const series = disk.series.get(id);
    if (series !== undefined) disk.ids.delete(keyOfName(series));
    disk.series.delete(id);
    disk.gauges.delete(id);
    disk.gaugeSince.delete(id);
  }
  disk.rows = disk.rows.filter((row) => !ids.has(row.series));
  disk.staged = disk.staged.filter((row) => !ids.has(row.series));
}
