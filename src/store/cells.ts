// Summaries merged onto a grid of series and time. Merging is adding, min, max, and for `last` the greatest of
// (time stamp, receivedAtMs, value): so no order of commits matters, and any coarser step comes out the same as if the
// points themselves had been merged.
import { assert } from "../base/assert.ts";
import { fill } from "./blob-rows.ts";
import { firstRowOf, sketchesOf, valueAt, type Blob } from "./blob.ts";
import { MergedSketches } from "./sketches.ts";
import type { Cells } from "./store.ts";
import { Summaries, wantedAll, type Wanted } from "./summaries.ts";

export interface GridRange {
  start: number;
  stepSeconds: number;
  width: number;
}

/** Memory of cells that were given back: as much of it, and arrays so large, at most. */
const spareMost = 8;
const spareBytesMost = 4 << 20;
const spare: ArrayBuffer[] = [];

/**
 * Gives the memory of cells back to the thread: nobody may read them any more. Not needed, but for who reads again and
 * again: each array that is dropped instead brings the next collection of garbage nearer, and those were the slowest
 * reads.
 */
export function giveBack({ points, sum, min, max, last }: Cells): void {
  for (const { buffer, byteLength } of [points, sum, min, max, last])
    if (byteLength > 0 && buffer.byteLength <= spareBytesMost && spare.length < spareMost)
      if (buffer instanceof ArrayBuffer && !spare.includes(buffer)) spare.push(buffer);
}

function zeroes(size: number): Float64Array {
  const bytes = size * Float64Array.BYTES_PER_ELEMENT;
  // Far too large a one is left for who needs it.
  const at = spare.findIndex(({ byteLength }) => byteLength >= bytes && byteLength <= 4 * bytes);
  const [buffer] = at < 0 ? [] : spare.splice(at, 1);
  return buffer === undefined ? new Float64Array(size) : new Float64Array(buffer, 0, size).fill(0);
}

/** Empty cells: points and sum 0, the others NaN; columns that are not wanted have no cells. */
export function emptyCells(rows: number, range: GridRange, wanted: Wanted = wantedAll): Cells {
  const { start, stepSeconds, width } = range;
  assert(
    stepSeconds > 0 && width >= 0 && start % stepSeconds === 0,
    "a start that is a multiple of the step",
  );
  const size = rows * width;
  const column = (has: boolean) => zeroes(has ? size : 0);
  return {
    start,
    stepSeconds,
    width,
    points: column(true),
    sum: column(wanted.sum),
    min: column(wanted.min).fill(Number.NaN),
    max: column(wanted.max).fill(Number.NaN),
    last: column(wanted.last).fill(Number.NaN),
  };
}

export class Grid {
  readonly cells: Cells;
  readonly wanted: Wanted;
  /** Asked series, each once, ascending. */
  readonly ids: Uint32Array;
  /** Their rows in the cells. */
  readonly #rows: Uint32Array;
  /** Of the `last` in each cell, where that is wanted. */
  readonly #lastSeconds: Float64Array;
  readonly #lastReceivedAtMs: Float64Array;
  /** [row, its twin's row] of series that were asked more than once. */
  readonly #twins: [number, number][] = [];
  /** By cell, where they are wanted. */
  readonly sketches: MergedSketches | undefined;
  /** Of one series in one blob. */
  readonly #found = new Summaries();
  /** Of rows that are added: the cell, or ~cell where something was in it before. */
  #to = new Int32Array(512);

  constructor(
    ids: readonly number[],
    range: GridRange,
    wanted: Wanted = wantedAll,
    sketches: boolean = false,
  ) {
    this.sketches = sketches ? new MergedSketches() : undefined;
    this.cells = emptyCells(ids.length, range, wanted);
    this.wanted = wanted;
    this.#lastSeconds = new Float64Array(this.cells.last.length);
    this.#lastReceivedAtMs = new Float64Array(this.cells.last.length);
    const order = ids.map((_, row) => row).sort((a, b) => (ids[a] ?? 0) - (ids[b] ?? 0));
    const once: number[] = [];
    for (const row of order) {
      const before = once.at(-1);
      if (before !== undefined && ids[before] === ids[row]) this.#twins.push([before, row]);
      else once.push(row);
    }
    this.#rows = Uint32Array.from(once);
    this.ids = Uint32Array.from(once, (row) => ids[row] ?? 0);
  }

  /** Adds all rows of the blob that belong to asked series, from `leastSeries` on, and lie in the range. */
  addBlob(blob: Blob, leastSeries: number): void {
    const { ids } = this;
    // Few asked series in a big blob: jump to each. Many: walk both lists side by side.
    const jump = ids.length * Math.log2(blob.rows + 1) < blob.rows;
    const { base, values } = blob.series;
    let at = 0;
    for (let i = 0; i < ids.length && at < blob.rows; i++) {
      const id = ids[i] ?? 0;
      if (id < leastSeries) continue;
      if (jump) at = firstRowOf(blob, id, at);
      else while (at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) < id) at++;
      const first = at;
      while (at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) === id) at++;
      if (at > first) this.#addBlobRows(i, blob, first, at);
    }
  }

  /** Rows [from, to) are of one series, in the order of their buckets. */
  #addBlobRows(place: number, blob: Blob, from: number, to: number): void {
    const { start, stepSeconds, width } = this.cells;
    const { wanted } = this;
    let first = from;
    let end = to;
    while (first < end && valueAt(blob.bucket, first) < start) first++;
    while (end > first && valueAt(blob.bucket, end - 1) >= start + stepSeconds * width) end--;
    const count = end - first;
    if (count === 0) return;
    const found = this.#found;
    found.clear();
    found.reserve(count);
    found.count = count;
    fill(found.bucket, blob.bucket, first, count);
    fill(found.points, blob.points, first, count);
    if (wanted.sum) fill(found.sum, blob.sum, first, count);
    if (wanted.min) fill(found.min, blob.min, first, count);
    if (wanted.max) fill(found.max, blob.max, first, count);
    if (wanted.last) {
      const { bucket, lastSeconds } = found;
      fill(found.last, blob.last, first, count);
      for (let i = 0; i < count; i++)
        lastSeconds[i] = (bucket[i] as number) + valueAt(blob.lastAfterBucket, first + i);
      fill(found.lastReceivedAtMs, blob.lastReceivedAtMs, first, count);
    }
    this.addRows(place, found);
  }

  /** Adds the sketches of the rows that `addBlob` adds; answers how many. */
  addBlobSketches(blob: Blob, leastSeries: number): number {
    const { start, stepSeconds, width } = this.cells;
    const until = start + stepSeconds * width;
    let added = 0;
    for (const { row, bytes } of sketchesOf(blob)) {
      const series = valueAt(blob.series, row);
      const bucket = valueAt(blob.bucket, row);
      if (series < leastSeries || bucket < start || bucket >= until) continue;
      const place = this.#placeOf(series);
      if (place === undefined) continue;
      this.addSketch(place, bucket, bytes);
      added++;
    }
    return added;
  }

  #placeOf(series: number): number | undefined {
    const { ids } = this;
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ids[middle] as number) < series) low = middle + 1;
      else high = middle;
    }
    return ids[low] === series ? low : undefined;
  }

  /** A sketch of the range, of the series at `place` in `ids`. */
  addSketch(place: number, seconds: number, bytes: Uint8Array): void {
    const { start, stepSeconds, width } = this.cells;
    const cell = (this.#rows[place] as number) * width + Math.floor((seconds - start) / stepSeconds);
    this.sketches?.add(cell, bytes);
  }

  /** Puts sketches also where a series was asked for once more. */
  repeatSketches(sketches: Map<number, Uint8Array>): void {
    const { width } = this.cells;
    for (const [from, to] of this.#twins)
      for (let i = 0; i < width; i++) {
        const bytes = sketches.get(from * width + i);
        if (bytes !== undefined) sketches.set(to * width + i, bytes);
      }
  }

  /** Adds the rows, all of them in the range, of the series at `place` in `ids`. */
  addRows(place: number, rows: Summaries): void {
    const { wanted, cells } = this;
    const { count } = rows;
    this.#place(place, rows);
    // As src/metric/summary.ts has it, signs of zero included (S3).
    const to = this.#to;
    if (wanted.sum) {
      const { sum } = cells;
      const values = rows.sum;
      for (let i = 0; i < count; i++) {
        const cell = to[i] as number;
        if (cell >= 0) sum[cell] = values[i] as number;
        else sum[~cell] = (sum[~cell] as number) + (values[i] as number);
      }
    }
    if (wanted.min) {
      const { min } = cells;
      const values = rows.min;
      for (let i = 0; i < count; i++) {
        const cell = to[i] as number;
        if (cell >= 0) min[cell] = values[i] as number;
        else min[~cell] = Math.min(min[~cell] as number, values[i] as number);
      }
    }
    if (wanted.max) {
      const { max } = cells;
      const values = rows.max;
      for (let i = 0; i < count; i++) {
        const cell = to[i] as number;
        if (cell >= 0) max[cell] = values[i] as number;
        else max[~cell] = Math.max(max[~cell] as number, values[i] as number);
      }
    }
    if (wanted.last) this.#addLast(rows);
  }

  /** Where each row goes; its points are there then. */
  #place(place: number, { bucket, points: added, count }: Summaries): void {
    const { start, stepSeconds, width, points } = this.cells;
    if (count > this.#to.length) this.#to = new Int32Array(2 * count);
    const to = this.#to;
    const first = (this.#rows[place] as number) * width;
    let cell = first;
    let cellStart = start;
    for (let i = 0; i < count; i++) {
      const seconds = bucket[i] as number;
      const after = seconds - cellStart;
      // Mostly the next cell, or the same one again: no division.
      if (after >= stepSeconds || after < 0) {
        const steps = after >= 0 && after < 2 * stepSeconds ? 1 : Math.floor(after / stepSeconds);
        cell += steps;
        cellStart += steps * stepSeconds;
      }
      const before = points[cell] as number;
      points[cell] = before + (added[i] as number);
      to[i] = before === 0 ? cell : ~cell;
    }
  }

  #addLast({ last: values, lastSeconds: seconds, lastReceivedAtMs: received, count }: Summaries): void {
    const { last } = this.cells;
    const to = this.#to;
    const lastSeconds = this.#lastSeconds;
    const lastReceivedAtMs = this.#lastReceivedAtMs;
    for (let i = 0; i < count; i++) {
      let cell = to[i] as number;
      if (cell >= 0) last[cell] = values[i] as number;
      else {
        cell = ~cell;
        const newer =
          (seconds[i] as number) - (lastSeconds[cell] as number) ||
          (received[i] as number) - (lastReceivedAtMs[cell] as number);
        if (newer < 0) continue;
        const value = values[i] as number;
        last[cell] = newer > 0 ? value : Math.max(last[cell] as number, value);
      }
      lastSeconds[cell] = seconds[i] as number;
      lastReceivedAtMs[cell] = received[i] as number;
    }
  }

  /** Call once, after all rows. */
  finish(): Cells {
    const { cells } = this;
    for (const [from, to] of this.#twins)
      for (const column of [cells.points, cells.sum, cells.min, cells.max, cells.last])
        column.copyWithin(to * cells.width, from * cells.width, (from + 1) * cells.width);
    return cells;
  }
}
