// A commit's summaries as one value: nine columns, rows sorted by (series, bucket).
//
//   u8 format, 3 unused, u32 rows; then per column 16 bytes: u8 kind, u8 width or other column, u16 unused,
//   u32 where its data begins, f64 base; then the data, each column at a multiple of 8.
//
// Where rows have sketches the format is another one: behind the data follows a list of them (sketches.ts), and in the
// last four bytes where it begins.
//
// V1. Every number comes back bit for bit, whatever it is.
// V2. A column is written the short way where all its rows allow it: not at all where it equals another column (a row
//     of one point has sum = min = max = last), as base + 0, 1, 2 or 4 bytes where it holds whole numbers.
// V3. Reading checks what it is given: bytes that are no blob of ours are the outage store-corrupt, never a wrong sum.
//
// Little-endian throughout, like LMDB's own pages on the machines that Node runs on.
import { assert, Bug } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import {
  blobFormat,
  blobFormatSketches,
  columnBytes,
  columnNames,
  dataStart,
  headBytes,
  kinds,
  type ColumnName,
} from "./blob-format.ts";
import { writeColumns } from "./blob-writer.ts";
import { sortRows } from "./order.ts";
import { decodeSketchList, encodeSketchList, type SketchEntry } from "./sketches.ts";
import { newSeriesFlag, type DeltaColumns } from "./store.ts";

export { columnNames, type ColumnName } from "./blob-format.ts";

type Values = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** One column of a stored blob: row i is base + values[i], or base where there are no values. */
export interface Column {
  readonly base: number;
  readonly values: Values | undefined;
}

/** `sketchList`: what `sketchesOf` reads, if there is any. */
export type Blob = { readonly rows: number; readonly sketchList: Uint8Array | undefined } & {
  readonly [K in ColumnName]: Column;
};

export function valueAt(column: Column, row: number): number {
  const { values } = column;
  if (values === undefined) return column.base;
  // A float column has no base: adding 0 would turn -0 into 0.
  return values instanceof Float64Array ? (values[row] ?? 0) : column.base + (values[row] ?? 0);
}

/**
 * `ids[i]` is the stored id of the commit's newSeries[i]. At least one row. `minBucket` and `maxBucket` go into the
 * key, so that readers can skip by time.
 */
export function encodeBlob(
  deltas: DeltaColumns,
  ids: Uint32Array,
): { bytes: Buffer; minBucket: number; maxBucket: number } {
  const { count, bucket } = deltas;
  assert(count > 0, "a blob of at least one row");
  const series = new Uint32Array(count);
  let minBucket = 0xffff_ffff;
  let maxBucket = 0;
  for (let i = 0; i < count; i++) {
    const said = deltas.series[i] as number;
    const id = said >= newSeriesFlag ? ids[said - newSeriesFlag] : said;
    // No text is made for each row.
    if (id === undefined || id === 0) throw strangeSeries(said);
    series[i] = id;
    const at = bucket[i] as number;
    if (at < minBucket) minBucket = at;
    if (at > maxBucket) maxBucket = at;
  }
  const order = sortRows(series, bucket, count);
  const { points, sum, min, max, last, lastReceivedAtMs } = deltas;
  const sources = [series, bucket, points, lastAfterBucket(deltas), sum, min, max, last, lastReceivedAtMs];
  const bytes = withSketches(writeColumns(sources, count, order), sketchesInOrder(deltas, order));
  return { bytes, minBucket, maxBucket };
}

export interface RowSketch {
  row: number;
  bytes: Uint8Array;
}

function sketchesInOrder({ sketches }: DeltaColumns, order: Uint32Array): RowSketch[] {
  const out: RowSketch[] = [];
  if (sketches === undefined || sketches.size === 0) return out;
  for (let row = 0; row < order.length; row++) {
    const bytes = sketches.get(order[row] as number);
    if (bytes !== undefined) out.push({ row, bytes });
  }
  return out;
}

/** `columns` as writeColumns made them; `sketches` ascending by row. */
export function withSketches(columns: Buffer, sketches: readonly RowSketch[]): Buffer {
  if (sketches.length === 0) return columns;
  const list = encodeSketchList(
    sketches.map(({ row, bytes }): SketchEntry => ({ first: row, second: 0, bytes })),
  );
  const out = Buffer.alloc(columns.length + list.length + 4);
  out.set(columns);
  out[0] = blobFormatSketches;
  out.set(list, columns.length);
  out.writeUInt32LE(columns.length, out.length - 4);
  return out;
}

/** Ascending by row; views of the blob's bytes. */
export function sketchesOf({ sketchList, rows }: Blob): RowSketch[] {
  if (sketchList === undefined) return [];
  return decodeSketchList(sketchList).map(({ first: row, bytes }) => {
    if (row >= rows) throw corrupt("a sketch of no row");
    return { row, bytes };
  });
}

function strangeSeries(said: number): Error {
  return new Bug(`a stored series or one of newSeries, got ${said}`);
}

function lastAfterBucket({ lastSeconds, bucket, count }: DeltaColumns): Float64Array {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = (lastSeconds[i] as number) - (bucket[i] as number);
  return out;
}

function viewOf(kind: number, width: number, buffer: ArrayBufferLike, at: number, count: number): Values {
  if (kind === kinds.float) return new Float64Array(buffer, at, count);
  if (width === 1) return new Uint8Array(buffer, at, count);
  return width === 2 ? new Uint16Array(buffer, at, count) : new Uint32Array(buffer, at, count);
}

/** The columns are views of `bytes` where those are aligned, else of a copy: valid as long as `bytes` are. */
export function decodeBlob(bytes: Uint8Array): Blob {
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes);
  const { buffer, byteOffset, length } = aligned;
  const view = new DataView(buffer, byteOffset, length);
  const format = length < dataStart ? 0 : view.getUint8(0);
  if (format !== blobFormat && format !== blobFormatSketches) throw corrupt("its head");
  let sketchList: Uint8Array | undefined;
  if (format === blobFormatSketches) {
    const start = view.getUint32(length - 4, true);
    if (start < dataStart || start > length - 4) throw corrupt("its sketches");
    sketchList = aligned.subarray(start, length - 4);
  }
  const rows = view.getUint32(4, true);
  const columns: Column[] = [];
  for (let at = 0; at < columnNames.length; at++) {
    const head = headBytes + at * columnBytes;
    const kind = view.getUint8(head);
    const width = view.getUint8(head + 1);
    const start = view.getUint32(head + 4, true);
    const base = view.getFloat64(head + 8, true);
    if (kind === kinds.same) {
      const other = columns[width];
      if (other === undefined) throw corrupt(`column ${at}`);
      columns.push(other);
      continue;
    }
    const widthFits =
      kind === kinds.float ? width === 8 : kind === kinds.whole && [0, 1, 2, 4].includes(width);
    if (!widthFits || start % 8 !== 0 || start < dataStart || start + width * rows > length)
      throw corrupt(`column ${at}`);
    const values = width === 0 ? undefined : viewOf(kind, width, buffer, byteOffset + start, rows);
    columns.push({ base, values });
  }
  const [series, bucket, points, lastAfterBucket, sum, min, max, last, lastReceivedAtMs] = columns;
  assert(
    series && bucket && points && lastAfterBucket && sum && min && max && last && lastReceivedAtMs,
    "nine columns",
  );
  return { rows, sketchList, series, bucket, points, lastAfterBucket, sum, min, max, last, lastReceivedAtMs };
}

function corrupt(where: string): Outage {
  return new Outage("store-corrupt", `a blob is not what was written: ${where}`);
}

/** The first row at or after `from` whose series is at least `id`. */
export function firstRowOf(blob: Blob, id: number, from: number): number {
  const { base, values } = blob.series;
  if (values === undefined) return base >= id ? from : blob.rows;
  const wanted = id - base;
  let low = from;
  let high = blob.rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
