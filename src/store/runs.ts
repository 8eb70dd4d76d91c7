// Runs: many small blobs, consecutive ones, become one, so that readers have few blobs to look into.
//
// N1. A run is a blob like any other, under the number of its last one: rows sorted by (series, bucket).
// N2. Rows of the same (series, bucket) are merged, or follow each other in the order of their blobs: where all rows are
//     of one point, and so have one value, merging a few would cost all of them three columns more.
// N3. Each merge at least doubles what the largest of its blobs was: a row is rewritten a few times only. What is merged
//     stays below `runBytesMost`, so that a slice stays small.
// N4. Its key is none that was there before: it says of how many commits the rows are (keys.ts, BlobPlace).
// N5. Blobs that a round is turning into pieces are left alone: its cursor says which of their rows are done.
import { assert } from "../base/assert.ts";
import {
  columnNames,
  sketchesOf,
  valueAt,
  withSketches,
  type Blob,
  type Column,
  type ColumnName,
  type RowSketch,
} from "./blob.ts";
import type { Writes } from "./environment.ts";
import { blobKey, blobPlace } from "./keys.ts";
import { sortRows } from "./order.ts";
import { writeColumns } from "./blob-writer.ts";
import { MergedSketches } from "./sketches.ts";

/**
 * Of the blobs that become one. A run's columns may be a little wider than theirs. Larger runs would be fewer for a read
 * to look into, but each is copied the first time it is read, and each row would be rewritten once more.
 */
export const runBytesMost = 1 << 20;
const blobsLeast = 8;
const blobsMost = 16;
/** Share of equal rows from which merging pays for the columns it costs. */
const equalLeast = 0.5;
/** Bits of series by which one pass sorts. */
const digitBits = 11;

/** A blob as pickRun sees it. */
export interface RunBlob {
  number: number;
  bytes: number;
}

/**
 * Which blobs to merge next: [first, end) of `blobs`, which are all there are, in the order of their numbers. The ones
 * that cost least for each blob that goes. `until`: of the round under way.
 */
export function pickRun(
  blobs: readonly RunBlob[],
  until: number | undefined,
): { first: number; end: number } | undefined {
  let best: { first: number; end: number } | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let first = 0; first + blobsLeast <= blobs.length; first++) {
    // N5.
    if (until !== undefined && (blobs[first]?.number ?? 0) <= until) continue;
    let total = 0;
    let largest = 0;
    let end = first;
    for (; end < blobs.length && end < first + blobsMost; end++) {
      const bytes = blobs[end]?.bytes ?? 0;
      // N3.
      if (total + bytes > runBytesMost) break;
      total += bytes;
      largest = Math.max(largest, bytes);
    }
    const cost = total / (end - first - 1);
    if (end - first < blobsLeast || total < 2 * largest || cost >= bestCost) continue;
    best = { first, end };
    bestCost = cost;
  }
  return best;
}

/** What replaces the blobs of these keys, given in the order of their numbers, by their run. */
export function planRun(keys: readonly Buffer[], blobs: readonly Blob[]): Writes & { rows: number } {
  assert(keys.length > 1 && keys.length === blobs.length, "a key for each of some blobs");
  const { bytes, minBucket, maxBucket, rows } = mergeBlobs(blobs);
  const places = keys.map(blobPlace);
  const commits = places.reduce((sum, place) => sum + place.commits, 0);
  const { number, commits: before } = places.at(-1) ?? { number: 0, commits: 0 };
  assert(commits > before, "a run of more commits than any of its blobs");
  const key = blobKey({ number, minBucket, maxBucket, commits });
  return { puts: [{ key, value: bytes }], removes: [...keys], rows };
}

/** N1, N2. At least one blob; in the order of their numbers. */
export function mergeBlobs(blobs: readonly Blob[]): {
  bytes: Buffer;
  minBucket: number;
  maxBucket: number;
  rows: number;
} {
  const count = blobs.reduce((sum, { rows }) => sum + rows, 0);
  assert(count > 0, "rows to merge");
  const series = new Uint32Array(count);
  const bucket = new Uint32Array(count);
  join(blobs, "series", series);
  join(blobs, "bucket", bucket);
  const order = orderOf(series, bucket, count);
  const columns = new Map<ColumnName, Float64Array>([
    ["series", permuted(series, order)],
    ["bucket", permuted(bucket, order)],
  ]);
  for (const name of columnNames) {
    const same = sameAsBefore(blobs, name);
    if (!columns.has(name)) columns.set(name, columns.get(same ?? name) ?? sorted(blobs, name, order));
  }
  const rows = mergeEqual(columns, count);
  const values = columnNames.map((name) => {
    const column = columns.get(name) ?? new Float64Array(0);
    return rows === count ? column : column.subarray(0, rows);
  });
  const { minBucket, maxBucket } = reachOf(bucket);
  const bytes = withSketches(writeColumns(values, rows), sketchesOfRows(blobs, columns, rows));
  return { bytes, minBucket, maxBucket, rows };
}

/** Of rows that follow each other with the same (series, bucket), the first one has the sketches of all. */
function sketchesOfRows(
  blobs: readonly Blob[],
  columns: ReadonlyMap<ColumnName, Float64Array>,
  rows: number,
): RowSketch[] {
  const series = columns.get("series") ?? new Float64Array(0);
  const bucket = columns.get("bucket") ?? new Float64Array(0);
  const merged = new MergedSketches();
  for (const blob of blobs)
    for (const { row, bytes } of sketchesOf(blob)) {
      const ofSeries = valueAt(blob.series, row);
      const ofBucket = valueAt(blob.bucket, row);
      let low = 0;
      let high = rows;
      while (low < high) {
        const middle = (low + high) >>> 1;
        const order = (series[middle] ?? 0) - ofSeries || (bucket[middle] ?? 0) - ofBucket;
        if (order < 0) low = middle + 1;
        else high = middle;
      }
      merged.add(low, bytes);
    }
  return Array.from(merged.entries(), ({ at, bytes }) => ({ row: at, bytes }));
}

function reachOf(bucket: Uint32Array): { minBucket: number; maxBucket: number } {
  let minBucket = 0xffff_ffff;
  let maxBucket = 0;
  for (let i = 0; i < bucket.length; i++) {
    const at = bucket[i] as number;
    if (at < minBucket) minBucket = at;
    if (at > maxBucket) maxBucket = at;
  }
  return { minBucket, maxBucket };
}

/** Another of the four values, which is this one in each of the blobs: rows of one point each, as most are. */
function sameAsBefore(blobs: readonly Blob[], name: ColumnName): "sum" | undefined {
  if (name !== "min" && name !== "max" && name !== "last") return undefined;
  return blobs.every((blob) => blob[name] === blob.sum) ? "sum" : undefined;
}

/** The column of all blobs, one after the other. */
function join(blobs: readonly Blob[], name: ColumnName, into: Uint32Array | Float64Array): void {
  let at = 0;
  for (const blob of blobs) {
    const { base, values }: Column = blob[name];
    const end = at + blob.rows;
    if (values === undefined) into.fill(base, at, end);
    else {
      into.set(values, at);
      // -0 of a float column must not become 0; such a column has no base.
      if (!(values instanceof Float64Array) && base !== 0) addTo(into, at, end, base);
    }
    at = end;
  }
}

function addTo(into: Uint32Array | Float64Array, from: number, to: number, base: number): void {
  if (into instanceof Uint32Array) for (let i = from; i < to; i++) into[i] = (into[i] as number) + base;
  else for (let i = from; i < to; i++) into[i] = (into[i] as number) + base;
}

function sorted(blobs: readonly Blob[], name: ColumnName, order: Uint32Array): Float64Array {
  const [first] = blobs;
  const constant = first?.[name].base ?? 0;
  if (blobs.every((blob) => blob[name].values === undefined && Object.is(blob[name].base, constant)))
    return new Float64Array(order.length).fill(constant);
  const joined = new Float64Array(order.length);
  join(blobs, name, joined);
  return permuted(joined, order);
}

function permuted(values: Uint32Array | Float64Array, order: Uint32Array): Float64Array {
  const out = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) out[i] = values[order[i] as number] as number;
  return out;
}

/** By (series, bucket), equal ones in their given order: a few looks at each row, however late it is. */
export function orderOf(series: Uint32Array, bucket: Uint32Array, count: number): Uint32Array {
  const order = orderBySeries(series, count);
  // Within a series the blobs follow each other in time, but for late points: few rows are out of their place.
  let moves = 4 * count;
  for (let i = 1; i < count; i++) {
    const row = order[i] as number;
    const of = series[row];
    const at = bucket[row] as number;
    let to = i;
    for (; to > 0; to--) {
      const before = order[to - 1] as number;
      if (series[before] !== of || (bucket[before] as number) <= at) break;
      if (moves-- === 0) return sortRows(series, bucket, count);
      order[to] = before;
    }
    order[to] = row;
  }
  return order;
}

/** A radix sort. */
function orderBySeries(series: Uint32Array, count: number): Uint32Array {
  let least = 0xffff_ffff;
  let greatest = 0;
  for (let i = 0; i < count; i++) {
    const id = series[i] as number;
    if (id < least) least = id;
    if (id > greatest) greatest = id;
  }
  let order: Uint32Array = new Uint32Array(count);
  let spare: Uint32Array = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  const starts = new Uint32Array(2 ** digitBits + 1);
  const mask = 2 ** digitBits - 1;
  for (let shift = 0; shift < 32 && (greatest - least) >>> shift > 0; shift += digitBits) {
    starts.fill(0);
    for (let i = 0; i < count; i++) {
      const slot = ((((series[i] as number) - least) >>> shift) & mask) + 1;
      starts[slot] = (starts[slot] as number) + 1;
    }
    for (let i = 1; i <= mask; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    for (let i = 0; i < count; i++) {
      const row = order[i] as number;
      const slot = (((series[row] as number) - least) >>> shift) & mask;
      const to = starts[slot] as number;
      spare[to] = row;
      starts[slot] = to + 1;
    }
    [order, spare] = [spare, order];
  }
  return order;
}

/** Sorted rows of the same (series, bucket) become one, in place, where it pays; answers how many rows are left. */
function mergeEqual(columns: Map<ColumnName, Float64Array>, count: number): number {
  const of = (name: ColumnName): Float64Array => columns.get(name) ?? new Float64Array(0);
  const series = of("series");
  const bucket = of("bucket");
  let equal = 0;
  for (let i = 1; i < count; i++) if (series[i] === series[i - 1] && bucket[i] === bucket[i - 1]) equal++;
  const oneValue = of("min") === of("sum") && of("max") === of("sum") && of("last") === of("sum");
  if (equal === 0 || (oneValue && equal < count * equalLeast)) return count;
  // From here on the four values differ.
  for (const name of ["min", "max", "last"] as const)
    if (of(name) === of("sum")) columns.set(name, of("sum").slice());
  const [points, after, sum, min] = [of("points"), of("lastAfterBucket"), of("sum"), of("min")];
  const [max, last, received] = [of("max"), of("last"), of("lastReceivedAtMs")];
  let to = 0;
  for (let i = 1; i < count; i++) {
    if (series[i] !== series[to] || bucket[i] !== bucket[to]) {
      to++;
      for (const column of [series, bucket, points, after, sum, min, max, last, received])
        column[to] = column[i] as number;
      continue;
    }
    // As summaries.ts M1 has it.
    points[to] = (points[to] as number) + (points[i] as number);
    sum[to] = (sum[to] as number) + (sum[i] as number);
    min[to] = Math.min(min[to] as number, min[i] as number);
    max[to] = Math.max(max[to] as number, max[i] as number);
    const newer =
      (after[i] as number) - (after[to] as number) || (received[i] as number) - (received[to] as number);
    if (newer < 0) continue;
    last[to] = newer > 0 ? (last[i] as number) : Math.max(last[to] as number, last[i] as number);
    after[to] = after[i] as number;
    received[to] = received[i] as number;
  }
  return to + 1;
}
