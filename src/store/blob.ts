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
import { sortRows } from "./order.ts";
import { decodeSketchList, encodeSketchList, type SketchEntry } from "./sketches.ts";
import { newSeriesFlag, type DeltaColumns } from "./store.ts";

const blobFormat = 1;
const blobFormatSketches = 2;
const headBytes = 8;
const columnBytes = 16;
const kindWhole = 0;
const kindSame = 1;
const kindFloat = 2;

export const columnNames = [
  "series",
  "bucket",
  "points",
  "lastAfterBucket", // lastSeconds - bucket: small
  "sum",
  "min",
  "max",
  "last",
  "lastReceivedAtMs",
] as const;
export type ColumnName = (typeof columnNames)[number];
const dataStart = headBytes + columnBytes * columnNames.length;

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
  const { count } = deltas;
  assert(count > 0, "a blob of at least one row");
  const series = new Uint32Array(count);
  let minBucket = 0xffff_ffff;
  let maxBucket = 0;
  for (let i = 0; i < count; i++) {
    const said = deltas.series[i] ?? 0;
    const id = said >= newSeriesFlag ? ids[said - newSeriesFlag] : said;
    // No text is made for each row.
    if (id === undefined || id === 0) throw strangeSeries(said);
    series[i] = id;
    const bucket = deltas.bucket[i] ?? 0;
    if (bucket < minBucket) minBucket = bucket;
    if (bucket > maxBucket) maxBucket = bucket;
  }
  const order = sortRows(series, deltas.bucket, count);
  const { sum } = deltas;
  const columns = new Map<ColumnName, Float64Array>([["sum", inOrder(sum, order)]]);
  for (const name of columnNames) {
    if (name === "lastAfterBucket") columns.set(name, lastAfterBucket(deltas, order));
    else if (name === "series") columns.set(name, inOrder32(series, order));
    else if (name === "bucket" || name === "points") columns.set(name, inOrder32(deltas[name], order));
    else if (name === "lastReceivedAtMs") columns.set(name, inOrder(deltas[name], order));
    // Most rows are of one point, whose values are the same: then they are put in order once.
    else if (name !== "sum") columns.set(name, valuesInOrder(deltas[name], sum, order, columns));
  }
  const values = columnNames.map((name) => columns.get(name) ?? new Float64Array(0));
  const bytes = withSketches(writeColumns(values, count), sketchesInOrder(deltas, order));
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

function valuesInOrder(
  from: Float64Array,
  sum: Float64Array,
  order: Uint32Array,
  columns: ReadonlyMap<ColumnName, Float64Array>,
): Float64Array {
  const same = sameBits(from, sum) ? columns.get("sum") : undefined;
  return same ?? inOrder(from, order);
}

function inOrder(from: Float64Array, order: Uint32Array): Float64Array {
  const out = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) out[i] = from[order[i] as number] as number;
  return out;
}

function inOrder32(from: Uint32Array, order: Uint32Array): Float64Array {
  const out = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) out[i] = from[order[i] as number] as number;
  return out;
}

function lastAfterBucket({ lastSeconds, bucket }: DeltaColumns, order: Uint32Array): Float64Array {
  const out = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) {
    const row = order[i] as number;
    out[i] = (lastSeconds[row] as number) - (bucket[row] as number);
  }
  return out;
}

/** In the order of columnNames; the same array is the same column. */
export function writeColumns(columns: readonly Float64Array[], count: number): Buffer {
  let size = dataStart;
  const plans = columns.map((values, at) => {
    // Only the four values are ever the same as each other in all rows (V2).
    const sum = columnNames.indexOf("sum");
    for (let other = sum; other < at && at < columnNames.indexOf("lastReceivedAtMs"); other++)
      if (sameBits(values, columns[other] ?? values))
        return { kind: kindSame, width: other, base: 0, start: 0 };
    const whole = wholeRange(values);
    const plan =
      whole === undefined
        ? { kind: kindFloat, width: 8, base: 0, start: size }
        : { kind: kindWhole, width: widthFor(whole.max - whole.min), base: whole.min, start: size };
    size += Math.ceil((plan.width * count) / 8) * 8;
    return plan;
  });
  const buffer = new ArrayBuffer(size);
  const view = new DataView(buffer);
  view.setUint8(0, blobFormat);
  view.setUint32(4, count, true);
  for (const [at, { kind, width, base, start }] of plans.entries()) {
    const head = headBytes + at * columnBytes;
    view.setUint8(head, kind);
    view.setUint8(head + 1, width);
    view.setUint32(head + 4, start, true);
    view.setFloat64(head + 8, base, true);
    const values = columns[at];
    if (kind === kindSame || width === 0 || values === undefined) continue;
    const out = viewOf(kind, width, buffer, start, count);
    if (kind === kindFloat) out.set(values);
    else for (let i = 0; i < count; i++) out[i] = (values[i] ?? 0) - base;
  }
  return Buffer.from(buffer);
}

function sameBits(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i]) || Number.isNaN(a[i])) return false;
  return true;
}

/** undefined when a value is no whole number, or when they are too far apart for four bytes. */
function wholeRange(values: Float64Array): { min: number; max: number } | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return undefined;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return max - min <= 0xffff_ffff ? { min, max } : undefined;
}

function widthFor(range: number): number {
  return range === 0 ? 0 : range <= 0xff ? 1 : range <= 0xffff ? 2 : 4;
}

function viewOf(kind: number, width: number, buffer: ArrayBufferLike, at: number, count: number): Values {
  if (kind === kindFloat) return new Float64Array(buffer, at, count);
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
    if (kind === kindSame) {
      const other = columns[width];
      if (other === undefined) throw corrupt(`column ${at}`);
      columns.push(other);
      continue;
    }
    const widthFits = kind === kindFloat ? width === 8 : kind === kindWhole && [0, 1, 2, 4].includes(width);
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
