// Sketches: what a series keeps beside its summaries where these can't answer. A sketch is a sorted list of keys with a
// count each, in bytes; two of them merge key by key.
//
//   quantile   how many values fell into each bin; bins grow by a factor, so every quantile is within 0.5 % of a value
//              that was sent. Counts add. A sampled value (`@0.1`) counts as many as it stands for, whole or not.
//              The count of `squaresKey` is no bin's: it is the sum of the squares of the values, so that a deviation
//              far smaller than a bin is right too. It adds like the others.
//   set        HyperLogLog with 16,384 registers (0.8 % standard error): how many different values there were. The count
//              of a register is its highest rank; the greater one stays.
//
//   u8 kind, varint keys; then per key: varint of zigzag(key - key before), count.
//   A count is varint(2 * count) where that is whole and below 2^31, else varint(1) and a float64.
//
// K1. Merging is what adding everything to one sketch would have given, in any order (sums up to rounding).
// K2. Reading never throws: bytes that are no sketch of ours are undefined.

export const sketchKinds = ["quantile", "set"] as const;
export type SketchKind = (typeof sketchKinds)[number];

export interface Sketch {
  kind: SketchKind;
  /** Ascending, each once. */
  keys: Int32Array;
  /** Above 0. */
  counts: Float64Array;
}

const gamma = 1.005 / 0.995;
const logGamma = Math.log(gamma);
/** Bins of values below 1 have keys above 0 too: the smallest value told apart from 0 is about 1e-9. */
const keyOfOne = 2100;
export const keyMost = 6000;
/** See above. */
export const squaresKey = keyMost + 1;

/** The bin of a value: 0 for those around 0, negative for negative ones. */
export function quantileKey(value: number): number {
  const size = Math.abs(value);
  const at = keyOfOne + Math.ceil(Math.log(size) / logGamma);
  if (!(at >= 1)) return 0;
  const key = Math.min(at, keyMost);
  return value < 0 ? -key : key;
}

/** What stands for the values of a bin. */
export function quantileValue(key: number): number {
  if (key === 0) return 0;
  const value = (2 * gamma ** (Math.abs(key) - keyOfOne)) / (gamma + 1);
  return key < 0 ? -value : value;
}

/** What stands for the squares of the values of a bin: within 1 % of each. */
export function quantileSquare(key: number): number {
  return key === 0 ? 0 : (2 * gamma ** (2 * (Math.abs(key) - keyOfOne))) / (gamma * gamma + 1);
}

/** Entries in the order of their keys. */
export function encodeSketch(sketch: Sketch): Uint8Array {
  const { keys, counts } = sketch;
  const out = new Uint8Array(6 + keys.length * 15);
  const view = new DataView(out.buffer);
  out[0] = sketchKinds.indexOf(sketch.kind) + 1;
  let at = writeVarint(out, 1, keys.length);
  let before = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as number;
    const step = key - before;
    before = key;
    at = writeVarint(out, at, step >= 0 ? step * 2 : -step * 2 - 1);
    const count = counts[i] as number;
    if (Number.isInteger(count) && count < 2 ** 31) at = writeVarint(out, at, count * 2);
    else {
      out[at++] = 1;
      view.setFloat64(at, count, true);
      at += 8;
    }
  }
  return out.slice(0, at);
}

/** undefined: no sketch of ours. */
export function decodeSketch(bytes: Uint8Array): Sketch | undefined {
  const kind = sketchKinds[(bytes[0] ?? 0) - 1];
  if (kind === undefined) return undefined;
  const reader = new Reader(bytes, 1);
  const length = reader.varint();
  // A key takes two bytes at least.
  if (!(length * 2 <= bytes.length)) return undefined;
  const keys = new Int32Array(length);
  const counts = new Float64Array(length);
  let key = 0;
  for (let i = 0; i < length; i++) {
    const step = reader.varint();
    key += step % 2 === 0 ? step / 2 : -(step + 1) / 2;
    const said = reader.varint();
    const count = said === 1 ? reader.float() : said / 2;
    if (!(count > 0) || (i > 0 && key <= (keys[i - 1] as number))) return undefined;
    keys[i] = key;
    counts[i] = count;
  }
  return reader.at === bytes.length ? { kind, keys, counts } : undefined;
}

/** Of one kind. What is no sketch is left out; undefined: nothing is left. */
export function mergeSketches(parts: readonly Uint8Array[]): Uint8Array | undefined {
  const sketches = parts.map(decodeSketch).filter((sketch) => sketch !== undefined);
  const [first, ...rest] = sketches;
  if (first === undefined) return undefined;
  let merged = first;
  for (const next of rest) if (next.kind === merged.kind) merged = mergeTwo(merged, next);
  return encodeSketch(merged);
}

export function mergeTwo(a: Sketch, b: Sketch): Sketch {
  const keys = new Int32Array(a.keys.length + b.keys.length);
  const counts = new Float64Array(keys.length);
  let length = 0;
  for (let i = 0, j = 0; i < a.keys.length || j < b.keys.length; length++) {
    const left = a.keys[i] ?? Number.POSITIVE_INFINITY;
    const right = b.keys[j] ?? Number.POSITIVE_INFINITY;
    keys[length] = Math.min(left, right);
    const fromLeft = left <= right ? (a.counts[i++] as number) : 0;
    const fromRight = right <= left ? (b.counts[j++] as number) : 0;
    counts[length] = a.kind === "set" ? Math.max(fromLeft, fromRight) : fromLeft + fromRight;
  }
  return { kind: a.kind, keys: keys.slice(0, length), counts: counts.slice(0, length) };
}

/** Whole numbers below 2^53. */
function writeVarint(out: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) + 128;
  out[at++] = rest;
  return at;
}

/** Beyond the end it reads NaN, which no count and no key is. */
class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i++) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    return Number.NaN;
  }

  float(): number {
    if (this.at + 8 > this.#bytes.length) return Number.NaN;
    const { buffer, byteOffset } = this.#bytes;
    const value = new DataView(buffer, byteOffset + this.at, 8).getFloat64(0, true);
    this.at += 8;
    return value;
  }
}
