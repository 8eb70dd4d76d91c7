// Open summaries in a kernel's memory (kernel/cells.ts), for what TypeScript adds itself, and their columns. The promises
// are those of cells.ts, its twin: E1 to E3.
import type { OpenCells, Point } from "./cells.ts";
import type { KernelExports } from "./instance.ts";
import type { Deltas } from "./kernel.ts";
import type { Layout, Region } from "./layout.ts";

const cellBytes = 64;
const wideColumns = 5;
const narrowColumns = 4;

export interface CellRegions {
  readonly rowsMax: number;
  readonly cells: Region;
  readonly evenLater: Region;
  readonly oddLater: Region;
  readonly columns: Region;
}

export function layCells(layout: Layout, rowsMax: number): CellRegions {
  const laterBits = Math.max(8, Math.ceil(Math.log2(2 * rowsMax)));
  return {
    rowsMax,
    cells: layout.add(cellBytes * rowsMax),
    evenLater: layout.add(4 << (laterBits - (laterBits % 2))),
    oddLater: layout.add(4 << (laterBits % 2 === 1 ? laterBits : laterBits - 1)),
    columns: layout.add((8 * wideColumns + 4 * narrowColumns) * rowsMax),
  };
}

export class KernelCells implements OpenCells {
  readonly #exports: KernelExports;
  readonly #columns: Omit<Deltas, "count" | "sketches" | "gauges">;
  #receivedAtMs = 0;

  constructor(exports: KernelExports, buffer: ArrayBuffer, regions: CellRegions) {
    this.#exports = exports;
    const { rowsMax, cells, evenLater, oddLater, columns } = regions;
    exports.configureCells(cells.at, rowsMax, evenLater.at, oddLater.at);
    exports.configureColumns(columns.at, rowsMax);
    const wide = (i: number) => new Float64Array(buffer, columns.at + 8 * rowsMax * i, rowsMax);
    const narrowAt = columns.at + 8 * rowsMax * wideColumns;
    const narrow = (i: number) => new Uint32Array(buffer, narrowAt + 4 * rowsMax * i, rowsMax);
    this.#columns = {
      sum: wide(0),
      min: wide(1),
      max: wide(2),
      last: wide(3),
      lastReceivedAtMs: wide(4),
      series: narrow(0),
      bucket: narrow(1),
      points: narrow(2),
      lastSeconds: narrow(3),
    };
  }

  get count(): number {
    return this.#exports.cellCount();
  }

  get receivedAtMs(): number {
    return this.#receivedAtMs;
  }

  set receivedAtMs(ms: number) {
    this.#receivedAtMs = ms;
    this.#exports.setReceivedAtMs(ms);
  }

  add(series: number, bucketSeconds: number, point: Point): number {
    return this.#exports.addPoint(series, bucketSeconds, point.value, point.seconds) >>> 0;
  }

  preferLast(cell: number, point: Point): void {
    this.#exports.preferLast(cell, point.value, point.seconds);
  }

  /** All cells as columns, and none from now on. The columns are views that the next `take` writes anew. */
  take(): Deltas {
    const count = this.#exports.commit();
    const { series, bucket, points, sum, min, max, last, lastSeconds, lastReceivedAtMs } = this.#columns;
    return {
      count,
      series: series.subarray(0, count),
      bucket: bucket.subarray(0, count),
      points: points.subarray(0, count),
      sum: sum.subarray(0, count),
      min: min.subarray(0, count),
      max: max.subarray(0, count),
      last: last.subarray(0, count),
      lastSeconds: lastSeconds.subarray(0, count),
      lastReceivedAtMs: lastReceivedAtMs.subarray(0, count),
    };
  }
}
