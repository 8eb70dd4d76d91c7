// Open summaries: one cell for each (series, bucket) since the last commit.
//
// A cell is a record of 64 bytes, so that adding a point touches one or two cache lines:
//   float64  0 sum   1 min   2 max   3 last   4 lastReceivedAtMs
//   int32   10 points   11 lastSeconds   12 series   13 bucket   14 recent   15 (unused)
//
// E1. A series' first cell is found through `first`, another one through the first one's `recent` (the cell of the
//     last point) or the table of later cells. So a sender in step never touches the table, two senders with
//     different clocks hardly, and a backfill over a thousand buckets costs one look-up a point: nothing walks a list.
// E2. Starting afresh touches nothing: an entry of `first` counts only if it is below `count` and its cell says the
//     same series.
// E3. Columns are separate from cells: a commit's columns stay as they are while the next points come in.
import type { Deltas } from "./kernel.ts";
import { hashPair, type HashSeed } from "./hash.ts";

const doubles = 8;
const ints = 16;
const points = 10;
const lastSeconds = 11;
const seriesField = 12;
const bucketField = 13;
const recent = 14;

const firstCells = 1024;
const firstLaterBits = 8;
/** Commits that use less than a part in this many give the memory back. */
const shrinkPart = 16;

/** What `add` reads a point from, instead of arguments: a double that is passed is a double that is allocated. */
export interface Point {
  readonly value: number;
  readonly seconds: number;
}

/** What points are added to from outside of the hot loop. */
export interface OpenCells {
  receivedAtMs: number;
  add(series: number, bucketSeconds: number, point: Point): number;
  preferLast(cell: number, point: Point): void;
}

export class Cells implements OpenCells {
  readonly #seed: HashSeed;
  #count = 0;
  #capacity = firstCells;
  #f64 = new Float64Array(firstCells * doubles);
  #i32 = new Int32Array(this.#f64.buffer);
  /** By series: its first cell, if E2 says so. */
  #first = new Int32Array(firstCells);
  /** Later cells of a series, index + 1, by the top bits of the hash of (series, bucket). */
  #laterBits = firstLaterBits;
  #later = new Int32Array(1 << this.#laterBits);
  #laterCount = 0;
  #columns = makeColumns(firstCells);
  /** Of the frame whose points are added now. */
  receivedAtMs = 0;

  constructor(seed: HashSeed) {
    this.#seed = seed;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a point to (series, bucket); bucket is in epoch seconds, below 2^32. Answers its cell: its row, if taken now. */
  add(series: number, bucketSeconds: number, point: Point): number {
    const bucket = bucketSeconds | 0;
    const i32 = this.#i32;
    let cell = series < this.#first.length ? (this.#first[series] as number) : this.#count;
    if (cell >= this.#count || i32[cell * ints + seriesField] !== series) {
      cell = this.#open(series, bucket, point);
      this.#first[series] = cell;
      return cell;
    }
    if (i32[cell * ints + bucketField] !== bucket) {
      const before = i32[cell * ints + recent] as number;
      if (i32[before * ints + bucketField] === bucket) cell = before;
      else {
        const found = this.#findLater(series, bucket);
        const later = found >= 0 ? found : this.#openLater(series, bucket, point);
        this.#i32[cell * ints + recent] = later;
        if (found < 0) return later;
        cell = later;
      }
    }
    this.#addTo(cell, point);
    return cell;
  }

  /** Of points of one moment the greatest is `last`; this one, just added to the cell, is it because it came last. */
  preferLast(cell: number, point: Point): void {
    const d = cell * doubles;
    const newest = (this.#i32[cell * ints + lastSeconds] as number) >>> 0;
    if (newest === point.seconds && this.#f64[d + 4] === this.receivedAtMs) this.#f64[d + 3] = point.value;
  }

  #addTo(cell: number, point: Point): void {
    const f64 = this.#f64;
    const i32 = this.#i32;
    const d = cell * doubles;
    const i = cell * ints;
    const value = point.value;
    i32[i + points] = ((i32[i + points] as number) + 1) | 0;
    f64[d] = (f64[d] as number) + value;
    f64[d + 1] = Math.min(f64[d + 1] as number, value);
    f64[d + 2] = Math.max(f64[d + 2] as number, value);
    const seconds = point.seconds;
    const newest = (i32[i + lastSeconds] as number) >>> 0;
    if (seconds < newest) return;
    const received = f64[d + 4] as number;
    if (seconds === newest) {
      if (this.receivedAtMs < received) return;
      if (this.receivedAtMs === received) {
        f64[d + 3] = Math.max(f64[d + 3] as number, value);
        return;
      }
    }
    f64[d + 3] = value;
    f64[d + 4] = this.receivedAtMs;
    i32[i + lastSeconds] = seconds;
  }

  /** A new cell with one point; answers its index. */
  #open(series: number, bucket: number, point: Point): number {
    if (this.#count === this.#capacity) this.#resize(this.#capacity * 2);
    while (series >= this.#first.length) this.#first = grown(this.#first);
    const cell = this.#count++;
    const d = cell * doubles;
    const i = cell * ints;
    const { value } = point;
    this.#f64[d] = value;
    this.#f64[d + 1] = value;
    this.#f64[d + 2] = value;
    this.#f64[d + 3] = value;
    this.#f64[d + 4] = this.receivedAtMs;
    this.#i32[i + points] = 1;
    this.#i32[i + lastSeconds] = point.seconds;
    this.#i32[i + seriesField] = series;
    this.#i32[i + bucketField] = bucket;
    this.#i32[i + recent] = cell;
    return cell;
  }

  #findLater(series: number, bucket: number): number {
    const later = this.#later;
    const mask = later.length - 1;
    let slot = hashPair(this.#seed, series, bucket) >>> (32 - this.#laterBits);
    for (;;) {
      const cell = (later[slot] as number) - 1;
      if (cell < 0) return -1;
      if (this.#i32[cell * ints + seriesField] === series && this.#i32[cell * ints + bucketField] === bucket)
        return cell;
      slot = (slot + 1) & mask;
    }
  }

  #openLater(series: number, bucket: number, point: Point): number {
    const opened = this.#open(series, bucket, point);
    if (++this.#laterCount * 2 > this.#later.length) {
      const old = this.#later;
      this.#laterBits++;
      this.#later = new Int32Array(1 << this.#laterBits);
      for (const cell of old) if (cell !== 0) this.#placeLater(cell - 1);
    }
    this.#placeLater(opened);
    return opened;
  }

  #placeLater(cell: number): void {
    const later = this.#later;
    const i = cell * ints;
    const hash = hashPair(
      this.#seed,
      this.#i32[i + seriesField] as number,
      this.#i32[i + bucketField] as number,
    );
    let slot = hash >>> (32 - this.#laterBits);
    while (later[slot] !== 0) slot = (slot + 1) & (later.length - 1);
    later[slot] = cell + 1;
  }

  /** All cells as columns, and none from now on. The columns are views that the next `take` writes anew. */
  take(): Deltas {
    const count = this.#count;
    if (this.#columns.series.length < count || this.#columns.series.length > shrinkPart * this.#capacity)
      this.#columns = makeColumns(this.#capacity);
    const columns = this.#columns;
    const f64 = this.#f64;
    const i32 = this.#i32;
    for (let cell = 0; cell < count; cell++) {
      const d = cell * doubles;
      const i = cell * ints;
      columns.series[cell] = i32[i + seriesField] as number;
      columns.bucket[cell] = i32[i + bucketField] as number;
      columns.points[cell] = i32[i + points] as number;
      columns.sum[cell] = f64[d] as number;
      columns.min[cell] = f64[d + 1] as number;
      columns.max[cell] = f64[d + 2] as number;
      columns.last[cell] = f64[d + 3] as number;
      columns.lastSeconds[cell] = i32[i + lastSeconds] as number;
      columns.lastReceivedAtMs[cell] = f64[d + 4] as number;
    }
    this.#startAfresh();
    return firstRows(columns, count);
  }

  #startAfresh(): void {
    if (this.#count * shrinkPart < this.#capacity && this.#capacity > firstCells) {
      this.#count = 0;
      this.#resize(this.#capacity >> 1);
    }
    this.#count = 0;
    if (this.#laterCount * shrinkPart < this.#later.length && this.#laterBits > firstLaterBits) {
      this.#laterBits--;
      this.#later = new Int32Array(1 << this.#laterBits);
    } else if (this.#laterCount > 0) this.#later.fill(0);
    this.#laterCount = 0;
  }

  #resize(capacity: number): void {
    const f64 = new Float64Array(capacity * doubles);
    f64.set(this.#f64.subarray(0, this.#count * doubles));
    this.#capacity = capacity;
    this.#f64 = f64;
    this.#i32 = new Int32Array(f64.buffer);
  }
}

function makeColumns(rows: number) {
  return {
    series: new Uint32Array(rows),
    bucket: new Uint32Array(rows),
    points: new Uint32Array(rows),
    sum: new Float64Array(rows),
    min: new Float64Array(rows),
    max: new Float64Array(rows),
    last: new Float64Array(rows),
    lastSeconds: new Uint32Array(rows),
    lastReceivedAtMs: new Float64Array(rows),
  };
}

function firstRows(columns: ReturnType<typeof makeColumns>, count: number): Deltas {
  return {
    count,
    series: columns.series.subarray(0, count),
    bucket: columns.bucket.subarray(0, count),
    points: columns.points.subarray(0, count),
    sum: columns.sum.subarray(0, count),
    min: columns.min.subarray(0, count),
    max: columns.max.subarray(0, count),
    last: columns.last.subarray(0, count),
    lastSeconds: columns.lastSeconds.subarray(0, count),
    lastReceivedAtMs: columns.lastReceivedAtMs.subarray(0, count),
  };
}

function grown(column: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(column.length * 2);
  larger.set(column);
  return larger;
}
