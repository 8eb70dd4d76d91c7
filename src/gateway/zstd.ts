// zstd for a Node that has none: frames are taken apart here (RFC 8878, 3.1.1), their blocks are undone by fzstd one at
// a time, as the reader asks for them.
//
// Z1. A window is at most 8 MB, which is what the RFC asks readers to support, and a block at most 128 KB: what a header
//     claims is looked at before anything is allocated for it.
// Z2. fzstd moves the whole window for each block, so many tiny blocks would cost much time for few bytes: the bytes
//     moved are bounded in proportion to what came out.
// Z3. A stream ends at the end of a frame, or is broken. Checksums of contents are not looked at.
import { Decompress } from "fzstd";

export const zstdWindowLogMax = 23;
const windowBytesMax = 1 << zstdWindowLogMax;
const blockBytesMax = 128 << 10;
/** Full blocks under the largest window move 64 bytes for each byte that comes out; flushed ones move more. */
const movedPerByte = windowBytesMax / blockBytesMax;
const movedFree = 2 ** 32;

const magic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const none: Buffer = Buffer.alloc(0);

export async function* unzstd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const frames = new Frames();
  for await (const chunk of chunks) yield* frames.push(chunk);
  frames.end();
}

interface OpenFrame {
  decoder: Decompress;
  windowBytes: number;
  checksum: boolean;
}

class Frames {
  #held = none;
  /** Of a skippable frame: bytes still to be passed over. */
  #skip = 0;
  #frame: OpenFrame | undefined;
  #out: Buffer[] = [];
  #bytes = 0;
  #moved = 0;

  *push(chunk: Buffer): Generator<Buffer> {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#step()) {
      for (const out of this.#out) {
        this.#bytes += out.length;
        yield out;
      }
      this.#out = [];
      if (this.#moved > movedFree + this.#bytes * movedPerByte) throw new Error("too many small blocks");
    }
  }

  end(): void {
    if (this.#frame !== undefined || this.#held.length > 0 || this.#skip > 0)
      throw new Error("unexpected end of file");
  }

  /** Takes the next part; false: it is not here yet. */
  #step(): boolean {
    if (this.#skip > 0) {
      const take = Math.min(this.#skip, this.#held.length);
      this.#skip -= take;
      this.#take(take);
      return take > 0;
    }
    return this.#frame === undefined ? this.#header() : this.#block(this.#frame);
  }

  #header(): boolean {
    const held = this.#held;
    if (held.length < 5) return false;
    const word = held.readUInt32LE(0);
    if ((word & 0xfffffff0) >>> 0 === skippableMagic) {
      if (held.length < 8) return false;
      this.#skip = held.readUInt32LE(4);
      this.#take(8);
      return true;
    }
    if (word !== magic) throw new Error("not a zstd frame");
    const flags = held[4] ?? 0;
    if ((flags & 8) !== 0) throw new Error("a reserved bit is set");
    const single = (flags & 0x20) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0;
    const sizeFlag = flags >> 6;
    const sizeBytes = sizeFlag > 0 ? 1 << sizeFlag : single ? 1 : 0;
    const sizeAt = (single ? 5 : 6) + dictionaryBytes;
    if (held.length < sizeAt + sizeBytes) return false;
    for (let at = sizeAt - dictionaryBytes; at < sizeAt; at++)
      if (held[at] !== 0) throw new Error("it needs a dictionary");
    const windowBytes = single ? contentSize(held, sizeAt, sizeBytes) : windowOf(held[5] ?? 0);
    if (windowBytes > windowBytesMax) throw new Error(`its window is over ${windowBytesMax} bytes`);
    const decoder = new Decompress((bytes) => {
      this.#out.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    });
    decoder.push(this.#take(sizeAt + sizeBytes));
    this.#frame = { decoder, windowBytes, checksum: (flags & 4) !== 0 };
    return true;
  }

  #block(frame: OpenFrame): boolean {
    const held = this.#held;
    if (held.length < 3) return false;
    const word = held.readUIntLE(0, 3);
    const last = (word & 1) !== 0;
    const kind = (word >> 1) & 3;
    const size = word >> 3;
    if (kind === 3 || size > blockBytesMax) throw new Error("a block is malformed");
    const bytes = 3 + (kind === 1 ? 1 : size) + (last && frame.checksum ? 4 : 0);
    if (held.length < bytes) return false;
    this.#moved += frame.windowBytes;
    frame.decoder.push(this.#take(bytes), last);
    if (last) this.#frame = undefined;
    return true;
  }

  /** A copy: the decoder may keep it. */
  #take(bytes: number): Buffer {
    const taken = Buffer.from(this.#held.subarray(0, bytes));
    this.#held = this.#held.subarray(bytes);
    return taken;
  }
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(bytes: Buffer, at: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0);
}
