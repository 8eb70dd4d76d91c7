// Summaries merged onto a grid of series and time. Merging is adding, min, max, and for `last` the greatest of
// (time stamp, receivedAtMs, value): so no order of commits matters, and any coarser step comes out the same as if the
// points themselves had been merged.
import { assert } from "../base/assert.ts";
import { firstRowOf, valueAt, type Blob } from "./blob.ts";
import type { Cells } from "./store.ts";
import { Summaries } from "./summaries.ts";

export interface GridRange {
  start: number;
  stepSeconds: number;
  width: number;
}

/** Empty cells: points and sum 0, the others NaN. */
export function emptyCells(rows: number, range: GridRange): Cells {
  const { start, stepSeconds, width } = range;
  assert(
    stepSeconds > 0 && width >= 0 && start % stepSeconds === 0,
    "a start that is a multiple of the step",
  );
  const size = rows * width;
  return {
    start,
    stepSeconds,
    width,
    points: new Float64Array(size),
    sum: new Float64Array(size),
    min: new Float64Array(size).fill(Number.NaN),
    max: new Float64Array(size).fill(Number.NaN),
    last: new Float64Array(size).fill(Number.NaN),
  };
}

export class Grid {
  readonly cells: Cells;
  /** Asked series, each once, ascending. */
  readonly ids: Uint32Array;
  /** Their rows in the cells. */
  readonly #rows: Uint32Array;
  /** Of the `last` in each cell. */
  readonly #lastSeconds: Float64Array;
  readonly #lastReceivedAtMs: Float64Array;
  /** [row, its twin's row] of series that were asked more than once. */
  readonly #twins: [number, number][] = [];
  /** Of one series in one blob. */
  readonly #found = new Summaries();

  constructor(ids: readonly number[], range: GridRange) {
    this.cells = emptyCells(ids.length, range);
    this.#lastSeconds = new Float64Array(ids.length * range.width);
    this.#lastReceivedAtMs = new Float64Array(ids.length * range.width);
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
    const found = this.#found;
    // Few asked series in a big blob: jump to each. Many: walk both lists side by side.
    const jump = ids.length * Math.log2(blob.rows + 1) < blob.rows;
    const { base, values } = blob.series;
    let at = 0;
    for (let i = 0; i < ids.length && at < blob.rows; i++) {
      const id = ids[i] ?? 0;
      if (id < leastSeries) continue;
      if (jump) at = firstRowOf(blob, id, at);
      else while (at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) < id) at++;
      found.clear();
      for (; at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) === id; at++)
        this.#find(blob, at);
      this.addRows(i, found);
    }
  }

  /** A row that lies in the range is one of those found. */
  #find(blob: Blob, at: number): void {
    const { start, stepSeconds, width } = this.cells;
    const bucket = valueAt(blob.bucket, at);
    if (bucket < start || bucket >= start + stepSeconds * width) return;
    const found = this.#found;
    found.reserve(1);
    const to = found.count++;
    found.bucket[to] = bucket;
    found.points[to] = valueAt(blob.points, at);
    found.sum[to] = valueAt(blob.sum, at);
    found.min[to] = valueAt(blob.min, at);
    found.max[to] = valueAt(blob.max, at);
    found.last[to] = valueAt(blob.last, at);
    found.lastSeconds[to] = bucket + valueAt(blob.lastAfterBucket, at);
    found.lastReceivedAtMs[to] = valueAt(blob.lastReceivedAtMs, at);
  }

  /** Adds the rows, all of them in the range, of the series at `place` in `ids`. */
  addRows(place: number, rows: Summaries): void {
    const { start, stepSeconds, width, points, sum, min, max, last } = this.cells;
    const lastSeconds = this.#lastSeconds;
    const lastReceivedAtMs = this.#lastReceivedAtMs;
    const first = (this.#rows[place] as number) * width;
    for (let i = 0; i < rows.count; i++) {
      const cell = first + Math.floor(((rows.bucket[i] as number) - start) / stepSeconds);
      const before = points[cell] as number;
      const seconds = rows.lastSeconds[i] as number;
      const receivedAtMs = rows.lastReceivedAtMs[i] as number;
      points[cell] = before + (rows.points[i] as number);
      if (before === 0) {
        sum[cell] = rows.sum[i] as number;
        min[cell] = rows.min[i] as number;
        max[cell] = rows.max[i] as number;
        last[cell] = rows.last[i] as number;
      } else {
        // As src/metric/summary.ts has it, signs of zero included (S3).
        sum[cell] = (sum[cell] as number) + (rows.sum[i] as number);
        min[cell] = Math.min(min[cell] as number, rows.min[i] as number);
        max[cell] = Math.max(max[cell] as number, rows.max[i] as number);
        const newer =
          seconds - (lastSeconds[cell] as number) || receivedAtMs - (lastReceivedAtMs[cell] as number);
        if (newer < 0) continue;
        const value = rows.last[i] as number;
        last[cell] = newer > 0 ? value : Math.max(last[cell] as number, value);
      }
      lastSeconds[cell] = seconds;
      lastReceivedAtMs[cell] = receivedAtMs;
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
