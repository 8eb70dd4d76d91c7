// Bytes of names, kept for good and never moved: chunks of 1 MB, a new one when the last is full.
//
// A handle is a number of 4-byte words from the start of the first chunk: an int32 reaches 8 GB. Names begin at a
// word and are padded with zeros, so that they are compared four bytes at a time.
import { assert } from "../base/assert.ts";

const chunkBytes = 1 << 20;
const chunkWords = chunkBytes >> 2;
const chunkShift = 18;
const chunksMax = 1 << 13;

export class NameArena {
  readonly #words: Int32Array[] = [];
  readonly #bytes: Uint8Array[] = [];
  /** Words used of the last chunk. */
  #used = chunkWords;

  /** Copies bytes[from, to) in; answers the handle. */
  add(bytes: Uint8Array, from: number, to: number): number {
    const words = (to - from + 3) >> 2;
    assert(words <= chunkWords, "a name is shorter than a chunk");
    if (this.#used + words > chunkWords) {
      assert(this.#words.length < chunksMax, "names of a shard stay below 8 GB");
      const buffer = new ArrayBuffer(chunkBytes);
      this.#words.push(new Int32Array(buffer));
      this.#bytes.push(new Uint8Array(buffer));
      this.#used = 0;
    }
    const chunk = this.#words.length - 1;
    const start = this.#used;
    this.#bytes[chunk]?.set(bytes.subarray(from, to), start << 2);
    this.#used += words;
    return (chunk << chunkShift) | start;
  }

  /** Whether the `length` bytes of a handle are bytes[from, from + length). `view` is over the same bytes. */
  equals(handle: number, length: number, bytes: Uint8Array, view: DataView, from: number): boolean {
    const words = this.#words[handle >>> chunkShift] as Int32Array;
    let at = from;
    let word = handle & (chunkWords - 1);
    const whole = from + (length & ~3);
    for (; at < whole; at += 4, word++) if (words[word] !== view.getInt32(at, true)) return false;
    let rest = 0;
    for (let shift = 0; at < from + length; at++, shift += 8) rest |= (bytes[at] as number) << shift;
    return rest === 0 || words[word] === rest;
  }

  /** A view; nobody writes there again. */
  name(handle: number, length: number): Uint8Array {
    const start = (handle & (chunkWords - 1)) << 2;
    const chunk = this.#bytes[handle >>> chunkShift];
    assert(chunk !== undefined, "a name handle comes from this arena");
    return chunk.subarray(start, start + length);
  }
}
