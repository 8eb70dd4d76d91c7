// Summaries merged onto a grid of series and time. Merging is adding, min, max, and for `last` the greatest of
// (time stamp, receivedAtMs, value): so no order of commits matters, and any coarser step comes out the same as if the
// points themselves had been merged.
import { assert } from "../base/assert.ts";
import { firstRowOf, valueAt, type Blob } from "./blob.ts";
import type { Cells } from "./store.ts";
import type { Summaries } from "./summaries.ts";

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
    // Few asked series in a big blob: jump to each. Many: walk both lists side by side.
    const jump = ids.length * Math.log2(blob.rows + 1) < blob.rows;
    const { base, values } = blob.series;
    let at = 0;
    for (let i = 0; i < ids.length && at < blob.rows; i++) {
      const id = ids[i] ?? 0;
      if (id < leastSeries) continue;
      if (jump) at = firstRowOf(blob, id, at);
      else while (at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) < id) at++;
      for (; at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) === id; at++)
        this.#addBlobRow(blob, at, this.#rows[i] ?? 0);
    }
  }

  #addBlobRow(blob: Blob, at: number, row: number): void {
    const { start, stepSeconds, width } = this.cells;
    const bucket = valueAt(blob.bucket, at);
    const column = Math.floor((bucket - start) / stepSeconds);
    if (column < 0 || column >= width) return;
    this.#addTo(
      row * width + column,
      valueAt(blob.points, at),
      valueAt(blob.sum, at),
      valueAt(blob.min, at),
      valueAt(blob.max, at),
      valueAt(blob.last, at),
      bucket + valueAt(blob.lastAfterBucket, at),
      valueAt(blob.lastReceivedAtMs, at),
    );
  }

  /** Adds the rows, all of them in the range, of the series at `place` in `ids`. */
  addRows(place: number, rows: Summaries): void {
    const { start, stepSeconds, width } = this.cells;
    const { count, bucket, points, sum, min, max, last, lastSeconds, lastReceivedAtMs } = rows;
    const row = (this.#rows[place] as number) * width;
    for (let at = 0; at < count; at++)
      this.#addTo(
        row + Math.floor(((bucket[at] as number) - start) / stepSeconds),
        points[at] as number,
        sum[at] as number,
        min[at] as number,
        max[at] as number,
        last[at] as number,
        lastSeconds[at] as number,
        lastReceivedAtMs[at] as number,
      );
  }

  #addTo(
    cell: number,
    points: number,
    sum: number,
    min: number,
    max: number,
    last: number,
    lastSeconds: number,
    lastReceivedAtMs: number,
  ): void {
    const { cells } = this;
    const before = cells.points[cell] as number;
    cells.points[cell] = before + points;
    // As src/metric/summary.ts has it, signs of zero included (S3).
    if (before === 0) {
      cells.sum[cell] = sum;
      cells.min[cell] = min;
      cells.max[cell] = max;
      cells.last[cell] = last;
    } else {
      cells.sum[cell] = (cells.sum[cell] as number) + sum;
      cells.min[cell] = Math.min(cells.min[cell] as number, min);
      cells.max[cell] = Math.max(cells.max[cell] as number, max);
      const newer =
        lastSeconds - (this.#lastSeconds[cell] as number) ||
        lastReceivedAtMs - (this.#lastReceivedAtMs[cell] as number);
      if (newer < 0) return;
      cells.last[cell] = newer > 0 ? last : Math.max(cells.last[cell] as number, last);
    }
    this.#lastSeconds[cell] = lastSeconds;
    this.#lastReceivedAtMs[cell] = lastReceivedAtMs;
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
