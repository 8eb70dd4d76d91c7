// What the threads of the store's benches say to each other: one writer per shard, as in the product, upkeep and
// reading on threads of their own; and the few numbers that they share.
import type { ValueKind } from "./store-load.ts";

/** What every thread is started with. */
export interface Place {
  folder: string;
  mapBytes: number;
  /** Of Int32: see `Shared`. */
  shared: SharedArrayBuffer;
}

export interface WriterData extends Place {
  shard: number;
  /** Series of this shard; the first `readSeries` are those that are read. */
  series: number;
  readSeries: number;
  values: ValueKind;
}

/** One stretch of commits. */
export interface WriterRun {
  kind: "run";
  /** How many of the series send: the first so many. */
  count: number;
  stepSeconds: number;
  startSeconds: number;
  /** The stretch ends at whichever comes first. */
  untilSeconds: number;
  pointsMost: number;
  /** Rows of a commit. */
  rows: number;
  /** Commits a second; 0: as fast as the store takes them. */
  commitsPerSecond: number;
  /** Waits while upkeep is further behind than this. */
  behindBytesMost: number;
  late?: { share: number; secondsMost: number };
  /** Part of the series that is replaced by new ones each week. */
  churnShare?: number;
  /** Simulated seconds between two calls of retire and forget. */
  tidySeconds?: number;
}

export interface WriterRan {
  points: number;
  /** Each commit's, ms. */
  commitMs: Float64Array;
  /** Waiting for upkeep, ms. */
  waitedMs: number;
  endSeconds: number;
  retired: number;
  forgotten: number;
  /** Of retire and forget together, ms. */
  tidyMs: Float64Array;
}

export type ToUpkeep =
  /** Steps while there is something to do, until paused. */
  | { kind: "start" }
  | { kind: "pause" }
  /** Steps until every shard is idle. */
  | { kind: "drain"; all: boolean };

export interface UpkeepData extends Place {
  shards: number[];
  /** Ladder text. */
  ladder: string;
}

export interface UpkeepRan {
  /** By kind of work. */
  steps: Record<string, { stepMs: Float64Array; rows: number; bytes: number }>;
  overtaken: number;
  /** Of a shard, in blobs. */
  backlogBytesMost: number;
  /** Of all its shards, as it was left. */
  backlogBytes: number;
}

export interface ReaderData extends Place {
  shards: number;
}

export interface ReaderRun {
  kind: "read";
  /** By shard: what to choose from. */
  ids: Uint32Array[];
  count: number;
  start: number;
  stepSeconds: number;
  width: number;
  /** Finds them first, by a pattern for each shard, in place of choosing. */
  find: { tenant: string; pattern: string }[] | undefined;
  secondsMost: number;
  queriesMost: number;
}

export interface ReaderRan {
  queryMs: Float64Array;
  /** Of the cells asked for, held something; 0 to 1, by samples. */
  filled: number;
  series: number;
}

export interface SizeRun {
  kind: "size";
  tenants: { shard: number; tenant: string }[];
}

export interface SizeRan {
  series: number;
  points: number;
  bytes: number;
}

const perShard = 2;

/** Whole numbers that all threads see. */
export class Shared {
  readonly #cells: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer);
  }

  static forShards(shards: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * perShard * shards);
  }

  /** The simulated clock of the shard, epoch seconds. */
  seconds(shard: number): number {
    return Atomics.load(this.#cells, shard * perShard);
  }

  setSeconds(shard: number, seconds: number): void {
    Atomics.store(this.#cells, shard * perShard, seconds);
  }

  /** Bytes that upkeep has still to take out of blobs, as its last step saw it; 0 where it wants to do no more. */
  behindBytes(shard: number): number {
    return Atomics.load(this.#cells, shard * perShard + 1) * 1024;
  }

  setBehindBytes(shard: number, bytes: number): void {
    Atomics.store(this.#cells, shard * perShard + 1, Math.ceil(bytes / 1024));
  }
}
