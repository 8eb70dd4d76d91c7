// Summaries merged onto a grid of series and time. Merging is adding, min, max, and for `last` the greatest of
// (time stamp, receivedAtMs, value): so no order of commits matters, and any coarser step comes out the same as if the
// points themselves had been merged.
import { assert } from "../base/assert.ts";
import { firstRowOf, valueAt, type Blob } from "./blob.ts";
import type { Cells } from "./store.ts";

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
  /** Asked series, each once, ascending; its row in the cells beside it. */
  readonly #ids: Uint32Array;
  readonly #rows: Uint32Array;
  /** Of the `last` in each cell. */
  readonly #lastSeconds: Float64Array;
  readonly #lastReceivedAtMs: Float64Array;
  /** [row, its twin's row] of series that were asked more than once. */
  readonly #twins: [number, number][] = [];

  constructor(ids: readonly number[], range: GridRange) {
    this.cells = emptyCells(ids.length, range);
    this.#lastSeconds = new Float64Array(ids.length * range.width).fill(-1);
    this.#lastReceivedAtMs = new Float64Array(ids.length * range.width).fill(-1);
    const order = ids.map((_, row) => row).sort((a, b) => (ids[a] ?? 0) - (ids[b] ?? 0));
    const once: number[] = [];
    for (const row of order) {
      const before = once.at(-1);
      if (before !== undefined && ids[before] === ids[row]) this.#twins.push([before, row]);
      else once.push(row);
    }
    this.#rows = Uint32Array.from(once);
    this.#ids = Uint32Array.from(once, (row) => ids[row] ?? 0);
  }

  /** Adds all rows of the blob that belong to asked series and lie in the range. */
  add(blob: Blob): void {
    const ids = this.#ids;
    // Few asked series in a big blob: jump to each. Many: walk both lists side by side.
    const jump = ids.length * Math.log2(blob.rows + 1) < blob.rows;
    const { base, values } = blob.series;
    let at = 0;
    for (let i = 0; i < ids.length && at < blob.rows; i++) {
      const id = ids[i] ?? 0;
      if (jump) at = firstRowOf(blob, id, at);
      else while (at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) < id) at++;
      for (; at < blob.rows && base + (values === undefined ? 0 : (values[at] ?? 0)) === id; at++)
        this.#addRow(blob, at, this.#rows[i] ?? 0);
    }
  }

  #addRow(blob: Blob, at: number, row: number): void {
    const { cells } = this;
    const bucket = valueAt(blob.bucket, at);
    const column = Math.floor((bucket - cells.start) / cells.stepSeconds);
    if (column < 0 || column >= cells.width) return;
    const cell = row * cells.width + column;
    const min = valueAt(blob.min, at);
    const max = valueAt(blob.max, at);
    const last = valueAt(blob.last, at);
    const lastSeconds = bucket + valueAt(blob.lastAfterBucket, at);
    const lastReceivedAtMs = valueAt(blob.lastReceivedAtMs, at);
    const empty = cells.points[cell] === 0;
    cells.points[cell] = (cells.points[cell] ?? 0) + valueAt(blob.points, at);
    cells.sum[cell] = (cells.sum[cell] ?? 0) + valueAt(blob.sum, at);
    if (empty || min < (cells.min[cell] ?? 0)) cells.min[cell] = min;
    if (empty || max > (cells.max[cell] ?? 0)) cells.max[cell] = max;
    const bySeconds = lastSeconds - (this.#lastSeconds[cell] ?? 0);
    const byReceived = lastReceivedAtMs - (this.#lastReceivedAtMs[cell] ?? 0);
    const newer =
      bySeconds > 0 ||
      (bySeconds === 0 && (byReceived > 0 || (byReceived === 0 && last > (cells.last[cell] ?? 0))));
    if (empty || newer) {
      cells.last[cell] = last;
      this.#lastSeconds[cell] = lastSeconds;
      this.#lastReceivedAtMs[cell] = lastReceivedAtMs;
    }
  }

  /** Call once, after all blobs. */
  finish(): Cells {
    const { cells } = this;
    for (const [from, to] of this.#twins)
      for (const column of [cells.points, cells.sum, cells.min, cells.max, cells.last])
        column.copyWithin(to * cells.width, from * cells.width, (from + 1) * cells.width);
    return cells;
  }
}
