// Summaries in columns, a row for a bucket: what fragments are made from and read into. Grows as needed and is used
// again and again: no row is an object, and nothing is allocated per row.
//
// M1. Merging two rows is adding, min, max, and for `last` the greatest of (lastSeconds, lastReceivedAtMs, value): as
//     src/metric/summary.ts has it, in any order.

import { valueColumns, type ReadColumn, type ValueColumn } from "./store.ts";

/** Which values a read is about. */
export type Wanted = Readonly<Record<ValueColumn, boolean>>;

export function wantedOf(columns: readonly ReadColumn[]): Wanted {
  const has = (name: ValueColumn) => columns.includes(name);
  return { sum: has("sum"), min: has("min"), max: has("max"), last: has("last") };
}

export const wantedAll = wantedOf(valueColumns);

export class Summaries {
  count = 0;
  /** Start of the bucket, epoch seconds. */
  bucket = new Uint32Array(64);
  points = new Float64Array(64);
  sum = new Float64Array(64);
  min = new Float64Array(64);
  max = new Float64Array(64);
  last = new Float64Array(64);
  lastSeconds = new Uint32Array(64);
  lastReceivedAtMs = new Float64Array(64);

  clear(): void {
    this.count = 0;
  }

  /** Room for `more` rows beyond those there are. */
  reserve(more: number): void {
    const needed = this.count + more;
    if (needed <= this.bucket.length) return;
    const capacity = Math.max(needed, this.bucket.length * 2);
    this.bucket = grownU32(this.bucket, capacity);
    this.points = grownF64(this.points, capacity);
    this.sum = grownF64(this.sum, capacity);
    this.min = grownF64(this.min, capacity);
    this.max = grownF64(this.max, capacity);
    this.last = grownF64(this.last, capacity);
    this.lastSeconds = grownU32(this.lastSeconds, capacity);
    this.lastReceivedAtMs = grownF64(this.lastReceivedAtMs, capacity);
  }

  /** Appends row `at` of another one as it is, under another bucket. */
  append(from: Summaries, at: number, bucket: number): void {
    if (this.count === this.bucket.length) this.reserve(1);
    this.#set(this.count++, from, at, bucket);
  }

  #set(to: number, from: Summaries, at: number, bucket: number): void {
    this.bucket[to] = bucket;
    this.points[to] = from.points[at] as number;
    this.sum[to] = from.sum[at] as number;
    this.min[to] = from.min[at] as number;
    this.max[to] = from.max[at] as number;
    this.last[to] = from.last[at] as number;
    this.lastSeconds[to] = from.lastSeconds[at] as number;
    this.lastReceivedAtMs[to] = from.lastReceivedAtMs[at] as number;
  }

  /** Keeps the rows of buckets in [from, until); they are ascending. */
  clip(from: number, until: number): void {
    let first = 0;
    while (first < this.count && (this.bucket[first] as number) < from) first++;
    let end = first;
    while (end < this.count && (this.bucket[end] as number) < until) end++;
    this.count = end - first;
    if (first === 0) return;
    const { bucket, points, sum, min, max, last, lastSeconds, lastReceivedAtMs } = this;
    for (const column of [bucket, points, sum, min, max, last, lastSeconds, lastReceivedAtMs])
      column.copyWithin(0, first, end);
  }

  /** M1: row `at` of `from` is added to row `to`. */
  merge(to: number, from: Summaries, at: number): void {
    this.points[to] = (this.points[to] as number) + (from.points[at] as number);
    this.sum[to] = (this.sum[to] as number) + (from.sum[at] as number);
    this.min[to] = Math.min(this.min[to] as number, from.min[at] as number);
    this.max[to] = Math.max(this.max[to] as number, from.max[at] as number);
    const seconds = from.lastSeconds[at] as number;
    const receivedAtMs = from.lastReceivedAtMs[at] as number;
    const value = from.last[at] as number;
    const newer =
      seconds - (this.lastSeconds[to] as number) || receivedAtMs - (this.lastReceivedAtMs[to] as number);
    if (newer < 0) return;
    this.last[to] = newer > 0 ? value : Math.max(this.last[to] as number, value);
    this.lastSeconds[to] = seconds;
    this.lastReceivedAtMs[to] = receivedAtMs;
  }

  /**
   * Replaces all rows by those of `from` [start, end), or by the ones that `order` [start, end) names, in buckets of
   * `stepSeconds`: ascending, each bucket once. Rows may come in any order; in order, as they mostly do, nothing is
   * sorted. `order` may be rearranged.
   */
  gather(from: Summaries, start: number, end: number, stepSeconds: number, order?: Uint32Array): void {
    this.count = 0;
    this.reserve(end - start);
    const sorted = order ?? inOrder(from.bucket, start, end);
    if (order !== undefined) sortBy(from.bucket, order, start, end);
    // Of rows in order `sorted` is all there are, from 0 on.
    const offset = order === undefined && sorted !== undefined ? start : 0;
    let newest = -1;
    let newestBucket = -1;
    for (let i = start; i < end; i++) {
      const at = sorted === undefined ? i : (sorted[i - offset] as number);
      const seconds = from.bucket[at] as number;
      const bucket = seconds - (seconds % stepSeconds);
      if (bucket === newestBucket) this.merge(newest, from, at);
      else {
        newest++;
        newestBucket = bucket;
        this.#set(newest, from, at, bucket);
      }
    }
    this.count = newest + 1;
  }
}

/** undefined: rows [start, end) are in order already. */
function inOrder(bucket: Uint32Array, start: number, end: number): Uint32Array | undefined {
  let i = start + 1;
  while (i < end && (bucket[i] as number) >= (bucket[i - 1] as number)) i++;
  if (i >= end) return undefined;
  const order = new Uint32Array(end - start);
  for (let row = start; row < end; row++) order[row - start] = row;
  sortBy(bucket, order, 0, order.length);
  return order;
}

/** Few rows are moved by hand, many by the library: a late point among some, or a backfill in any order. */
function sortBy(bucket: Uint32Array, order: Uint32Array, start: number, end: number): void {
  let moves = 0;
  for (let i = start + 1; i < end; i++) {
    const row = order[i] as number;
    const seconds = bucket[row] as number;
    let to = i;
    while (to > start && (bucket[order[to - 1] as number] as number) > seconds) {
      order[to] = order[to - 1] as number;
      to--;
    }
    order[to] = row;
    moves += i - to;
    if (moves > 8 * (end - start)) {
      order.subarray(start, end).sort((a, b) => (bucket[a] as number) - (bucket[b] as number) || a - b);
      return;
    }
  }
}

function grownU32(column: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(column);
  return larger;
}

function grownF64(column: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(capacity);
  larger.set(column);
  return larger;
}
