// Bytes that come in chunks and are wanted in one.
//
// G1. What it takes in memory is in proportion to its bytes, however many chunks they came in: a chunk of one byte, kept
//     as it is, takes a hundred times that, and whoever sends decides how bytes are cut.

const bytesFirst = 4096;

export class Gathered {
  length = 0;
  /** The only chunk so far, not ours to write to. */
  #only: Buffer | undefined;
  /** Ours, with room at its end, as soon as there are two. */
  #room: Buffer | undefined;

  add(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.length === 0) this.#only = chunk;
    else this.#append(chunk);
    this.length += chunk.length;
  }

  /** All that came, without a copy; what comes later is not written into it. */
  take(): Buffer {
    const all = this.bytes;
    this.#only = undefined;
    this.#room = undefined;
    this.length = 0;
    return all;
  }

  get bytes(): Buffer {
    return this.#only ?? this.#room?.subarray(0, this.length) ?? Buffer.alloc(0);
  }

  #append(chunk: Buffer): void {
    const needed = this.length + chunk.length;
    if (this.#room === undefined || this.#room.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(bytesFirst, needed, 2 * this.length));
      this.bytes.copy(grown);
      this.#room = grown;
      this.#only = undefined;
    }
    chunk.copy(this.#room, this.length);
  }
}
