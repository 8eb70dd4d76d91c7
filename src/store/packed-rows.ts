// Rows to put, keys and values one behind the other in one piece of memory. A commit that names 100,000 series puts half
// a million rows: as an object and two Buffers each, the garbage collector would cost more than the store does.
//
// W1. The memory is written once and never used again: LMDB's thread reads values where they lie, maybe late.
import { assert } from "../base/assert.ts";

/** By length: views of the same few bytes. A key is copied away at once by whoever takes it. */
const scratch = new ArrayBuffer(2048);
const scratchViews: Buffer[] = [];

/** A key of so many bytes to write into, good until the next one is asked for. */
export function scratchKey(bytes: number): Buffer {
  return (scratchViews[bytes] ??= Buffer.from(scratch, 0, bytes));
}

/** What lmdb-js takes from its own encoders: of these bytes those in [start, end). It notes where they lie. */
export interface Slice extends Buffer {
  start: number;
  end: number;
}

export class PackedRows {
  /** To be written: a key of `keyBytes` where `add` says, its value right behind it. */
  readonly target: Slice;
  /** Of each row: length of the key, length of the value. */
  readonly #lengths: Uint16Array;
  #count = 0;
  #used = 0;

  /** Room for exactly so many rows of so many bytes. */
  constructor(count: number, bytes: number) {
    // Not of Buffer's pool: W1.
    this.target = Object.assign(Buffer.from(new ArrayBuffer(bytes)), { start: 0, end: 0 });
    this.#lengths = new Uint16Array(2 * count);
  }

  get count(): number {
    return this.#count;
  }

  /** Of keys and values. */
  get bytes(): number {
    return this.#used;
  }

  add(keyBytes: number, valueBytes: number): number {
    const at = this.#used;
    this.#lengths[2 * this.#count] = keyBytes;
    this.#lengths[2 * this.#count + 1] = valueBytes;
    this.#count++;
    this.#used += keyBytes + valueBytes;
    assert(
      this.#used <= this.target.length && this.#count * 2 <= this.#lengths.length,
      "no more rows than were announced",
    );
    return at;
  }

  /** Key and slice are good until `put` returns, the bytes of the slice for good. */
  each(put: (key: Buffer, value: Slice) => void): void {
    const { target } = this;
    let at = 0;
    for (let row = 0; row < this.#count; row++) {
      const keyBytes = this.#lengths[2 * row] as number;
      const valueBytes = this.#lengths[2 * row + 1] as number;
      const key = scratchKey(keyBytes);
      for (let i = 0; i < keyBytes; i++) key[i] = target[at + i] as number;
      target.start = at + keyBytes;
      target.end = target.start + valueBytes;
      put(key, target);
      at += keyBytes + valueBytes;
    }
  }
}
