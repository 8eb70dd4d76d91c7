// Columns to the bytes of a blob (blob.ts says what they are), straight from where the values lie: a commit's rows are
// never copied into their order, each is written where it belongs.
import { assert } from "../base/assert.ts";
import { blobFormat, columnBytes, columnNames, dataStart, headBytes, kinds } from "./blob-format.ts";

export type Source = Uint32Array | Float64Array;

interface Plan {
  kind: number;
  /** Of a number; or which other column it equals. */
  width: number;
  base: number;
  start: number;
}

const firstValue = columnNames.indexOf("sum");
const lastValue = columnNames.indexOf("last");

/**
 * Sources in the order of columnNames; the same array is the same column. Row i of the blob is row order[i] of them, or
 * row i where there is no order.
 */
export function writeColumns(sources: readonly Source[], count: number, order?: Uint32Array): Buffer {
  let size = dataStart;
  const plans = sources.map((values, at) => {
    const plan = planColumn(sources, values, at, count);
    plan.start = size;
    if (plan.kind !== kinds.same) size += Math.ceil((plan.width * count) / 8) * 8;
    return plan;
  });
  // Not of Buffer's pool: LMDB reads it where it lies.
  const buffer = new ArrayBuffer(size);
  const view = new DataView(buffer);
  view.setUint8(0, blobFormat);
  view.setUint32(4, count, true);
  for (const [at, { kind, width, base, start }] of plans.entries()) {
    const head = headBytes + at * columnBytes;
    const isData = kind !== kinds.same;
    view.setUint8(head, kind);
    view.setUint8(head + 1, width);
    view.setUint32(head + 4, isData ? start : 0, true);
    view.setFloat64(head + 8, base, true);
    const values = sources[at];
    assert(values !== undefined, "a plan is of a column");
    if (!isData || width === 0) continue;
    if (kind === kinds.float) writeFloats(new Float64Array(buffer, start, count), values, order);
    else if (width === 1) write8(new Uint8Array(buffer, start, count), values, base, order);
    else if (width === 2) write16(new Uint16Array(buffer, start, count), values, base, order);
    else write32(new Uint32Array(buffer, start, count), values, base, order);
  }
  return Buffer.from(buffer);
}

function planColumn(sources: readonly Source[], values: Source, at: number, count: number): Plan {
  if (values instanceof Uint32Array) return planWhole(wholeRange32(values, count));
  // Only the four values are ever the same as each other in all rows (V2).
  if (at <= lastValue)
    for (let other = firstValue; other < at; other++) {
      const before = sources[other];
      if (before instanceof Float64Array && sameBits(values, before, count))
        return { kind: kinds.same, width: other, base: 0, start: 0 };
    }
  const whole = wholeRange(values, count);
  return whole === undefined ? { kind: kinds.float, width: 8, base: 0, start: 0 } : planWhole(whole);
}

function planWhole({ min, max }: { min: number; max: number }): Plan {
  const range = max - min;
  const width = range === 0 ? 0 : range <= 0xff ? 1 : range <= 0xffff ? 2 : 4;
  return { kind: kinds.whole, width, base: min, start: 0 };
}

/** Loops of their own for each type of array: one for all would look at the type for each number. */
function write8(out: Uint8Array, values: Source, base: number, order: Uint32Array | undefined): void {
  if (order === undefined) for (let i = 0; i < out.length; i++) out[i] = (values[i] as number) - base;
  else for (let i = 0; i < out.length; i++) out[i] = (values[order[i] as number] as number) - base;
}

function write16(out: Uint16Array, values: Source, base: number, order: Uint32Array | undefined): void {
  if (order === undefined) for (let i = 0; i < out.length; i++) out[i] = (values[i] as number) - base;
  else for (let i = 0; i < out.length; i++) out[i] = (values[order[i] as number] as number) - base;
}

function write32(out: Uint32Array, values: Source, base: number, order: Uint32Array | undefined): void {
  if (order === undefined) for (let i = 0; i < out.length; i++) out[i] = (values[i] as number) - base;
  else for (let i = 0; i < out.length; i++) out[i] = (values[order[i] as number] as number) - base;
}

function writeFloats(out: Float64Array, values: Source, order: Uint32Array | undefined): void {
  if (order === undefined) out.set(values.subarray(0, out.length));
  else for (let i = 0; i < out.length; i++) out[i] = values[order[i] as number] as number;
}

/** NaN is like nothing, and -0 not like 0. */
function sameBits(a: Float64Array, b: Float64Array, count: number): boolean {
  if (a === b) return true;
  for (let i = 0; i < count; i++) {
    const value = a[i] as number;
    if (value !== b[i] || (value === 0 && 1 / value !== 1 / (b[i] as number))) return false;
  }
  return true;
}

/** undefined when a value is no whole number, or when they are too far apart for four bytes. */
function wholeRange(values: Float64Array, count: number): { min: number; max: number } | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const value = values[i] as number;
    // NaN is never the same as itself; -0 is not to become 0.
    if (value !== Math.floor(value) || (value === 0 && 1 / value < 0)) return undefined;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (min < Number.MIN_SAFE_INTEGER || max > Number.MAX_SAFE_INTEGER) return undefined;
  return max - min <= 0xffff_ffff ? { min, max } : undefined;
}

function wholeRange32(values: Uint32Array, count: number): { min: number; max: number } {
  let min = 0xffff_ffff;
  let max = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
