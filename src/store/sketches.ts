// Sketches in the store (src/metric/sketch.ts says what is in one): few beside the plain series, so they lie beside the
// columns, and what has none costs nothing.
//
//   list: u8 format, 3 unused, u32 entries; per entry u32 first, u32 second, u32 where its bytes end; then the bytes.
//   Behind a blob's columns: first is the row, second 0. As a row of its own beside a piece: first is the slot of the
//   series in its block, second the start of the bucket.
//
// S1. A sketch belongs to a (series, bucket): it goes wherever that row goes, in the same slice.
// S2. A list that is not what was written is the outage store-corrupt. Single bytes that are no sketch are left out of
//     whatever they are merged into.
import { Outage } from "../base/errors.ts";
import { mergeSketches } from "../metric/sketch.ts";

const listFormat = 1;
const headBytes = 8;
const entryBytes = 12;

export interface SketchEntry {
  first: number;
  second: number;
  bytes: Uint8Array;
}

export function encodeSketchList(entries: readonly SketchEntry[]): Buffer {
  const start = headBytes + entryBytes * entries.length;
  const out = Buffer.alloc(entries.reduce((sum, { bytes }) => sum + bytes.length, start));
  out[0] = listFormat;
  out.writeUInt32LE(entries.length, 4);
  let end = start;
  for (const [at, { first, second, bytes }] of entries.entries()) {
    out.set(bytes, end);
    end += bytes.length;
    const head = headBytes + at * entryBytes;
    out.writeUInt32LE(first, head);
    out.writeUInt32LE(second, head + 4);
    out.writeUInt32LE(end, head + 8);
  }
  return out;
}

/** In the order in which they were written; their bytes are views. */
export function decodeSketchList(list: Uint8Array): SketchEntry[] {
  const view = new DataView(list.buffer, list.byteOffset, list.length);
  if (list.length < headBytes || view.getUint8(0) !== listFormat) throw corrupt("its head");
  const count = view.getUint32(4, true);
  let from = headBytes + entryBytes * count;
  if (from > list.length) throw corrupt("its length");
  const out: SketchEntry[] = [];
  for (let at = 0; at < count; at++) {
    const head = headBytes + at * entryBytes;
    const end = view.getUint32(head + 8, true);
    if (end < from || end > list.length) throw corrupt(`entry ${at}`);
    out.push({
      first: view.getUint32(head, true),
      second: view.getUint32(head + 4, true),
      bytes: list.subarray(from, end),
    });
    from = end;
  }
  if (from !== list.length) throw corrupt("its length");
  return out;
}

function corrupt(where: string): Outage {
  return new Outage("store-corrupt", `a list of sketches is not what was written: ${where}`);
}

/** Parts of a merge that are held before they become one. */
const partsMost = 16;

/** Sketches by a whole number, merged. The bytes handed in are views: what is held beyond the call is a copy. */
export class MergedSketches {
  readonly #parts = new Map<number, Uint8Array[]>();

  get size(): number {
    return this.#parts.size;
  }

  add(at: number, bytes: Uint8Array): void {
    // A view's buffer may be lmdb-js's own, which is written to again.
    const copy = new Uint8Array(bytes);
    const parts = this.#parts.get(at);
    if (parts === undefined) this.#parts.set(at, [copy]);
    else if (parts.push(copy) >= partsMost) this.#parts.set(at, mergedOf(parts));
  }

  /** Ascending; each merge is done when it is asked for. */
  *entries(): Generator<{ at: number; bytes: Uint8Array }> {
    for (const at of [...this.#parts.keys()].sort((a, b) => a - b))
      for (const bytes of mergedOf(this.#parts.get(at) ?? [])) yield { at, bytes };
  }
}

/** One, or none (S2). */
function mergedOf(parts: readonly Uint8Array[]): Uint8Array[] {
  const merged = mergeSketches(parts);
  return merged === undefined ? [] : [merged];
}

/** The sketches of a piece: by slot and bucket. */
export class PieceSketches {
  readonly #merged = new MergedSketches();

  add(slot: number, bucket: number, bytes: Uint8Array): void {
    this.#merged.add(slot * 2 ** 32 + bucket, bytes);
  }

  /** Those of a row of sketches whose slot is among the bits, of buckets in [from, until). */
  addList(list: Uint8Array, slots = 0xffff, from = 0, until = Number.POSITIVE_INFINITY): void {
    for (const { first, second, bytes } of decodeSketchList(list))
      if (((slots >>> first) & 1) === 1 && second >= from && second < until) this.add(first, second, bytes);
  }

  /** undefined: there are none. */
  finish(): Buffer | undefined {
    const entries = Array.from(this.#merged.entries(), ({ at, bytes }) => ({
      first: Math.floor(at / 2 ** 32),
      second: at % 2 ** 32,
      bytes,
    }));
    return entries.length === 0 ? undefined : encodeSketchList(entries);
  }
}
