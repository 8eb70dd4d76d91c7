// Large buffers for frames, used again and again: a fresh one costs more than the copy into it, for the system hands out
// zeroed pages one by one.
//
// B1. A buffer is given back by who knows that nobody reads it any more, once. Who does not know leaves it to the
//     garbage collector.
// B2. What lies here unused is bounded.

const sizes = [320 << 10, 1280 << 10, 2560 << 10] as const;
const keptBytesMax = 32 << 20;

export class LargeBuffers {
  readonly #free = new Map<number, ArrayBufferLike[]>(sizes.map((size) => [size, []]));
  #keptBytes = 0;

  /** At least so many bytes, whatever is in them. */
  take(bytes: number): Buffer {
    const size = bytes < sizes[0] / 4 ? undefined : sizes.find((most) => most >= bytes);
    if (size === undefined) return Buffer.allocUnsafe(bytes);
    const free = this.#free.get(size)?.pop();
    if (free === undefined) return Buffer.allocUnsafeSlow(size);
    this.#keptBytes -= size;
    return Buffer.from(free);
  }

  /** A buffer that `take` gave, or a view of its beginning. */
  give(buffer: Uint8Array): void {
    const whole = buffer.buffer;
    const free = this.#free.get(whole.byteLength);
    if (free === undefined || this.#keptBytes + whole.byteLength > keptBytesMax) return;
    free.push(whole);
    this.#keptBytes += whole.byteLength;
  }
}
