// The segments that lie in a shard's folder, and the way through one: record after record, over damaged places.
import { join } from "node:path";
import type { SpoolFile, SpoolFiles } from "./spool-files.ts";
import { markerOf, recordHeadBytes, recordLength, recordOf, segmentHeadBytes } from "./spool-record.ts";

export interface Segment {
  number: number;
  path: string;
  /** What was written, and is good. */
  bytes: number;
  /** What was handed out and is done. */
  doneTo: number;
  /** Frames in it that are not done, as far as this process knows. */
  frames: number;
}

export function segmentFile(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(8, "0")}.spool`);
}

/** Holds how far the oldest segment was forwarded: its number, and a place in it. */
export function noteFile(folder: string): string {
  return join(folder, "forwarded");
}

/** What an earlier process left, the oldest first. */
export async function leftSegments(files: SpoolFiles, folder: string): Promise<Segment[]> {
  const segments = (await files.list(folder))
    .flatMap(({ name, bytes }) => {
      const number = Number(/^(\d{8,})\.spool$/.exec(name)?.[1] ?? 0);
      return number > 0 ? [{ number, path: join(folder, name), bytes, doneTo: 0, frames: 0 }] : [];
    })
    .sort((a, b) => a.number - b.number);
  const note = /^(\d+) (\d+)\n$/.exec((await files.readSmall(noteFile(folder))) ?? "");
  const first = segments[0];
  if (first !== undefined && first.number === Number(note?.[1]))
    first.doneTo = Math.min(Number(note?.[2]), first.bytes);
  return segments;
}

/** Small records are read many at a time. */
const windowBytes = 256 << 10;

export type SegmentPiece =
  | { kind: "record"; receivedAtMs: number; data: Buffer; end: number }
  /** Bytes that are no record, up to the next one; `torn`: there is no next one. */
  | { kind: "damaged"; end: number; torn: boolean };

export class SegmentReader {
  readonly #file: SpoolFile;
  #marker: Buffer | undefined;
  #window: { at: number; bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) };

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  /** What lies at `at`, which is below `limit`, the end of what was written. Rejects with the disk's own errors. */
  async read(at: number, limit: number): Promise<SegmentPiece> {
    this.#marker ??= markerOf(await this.#bytes(0, segmentHeadBytes, limit));
    if (this.#marker === undefined) return { kind: "damaged", end: limit, torn: true };
    const from = Math.max(at, segmentHeadBytes);
    const whole = await this.#recordAt(from, limit);
    if (whole !== undefined) return { kind: "record", ...whole };
    for (let look = from + 1; look < limit; ) {
      const window = await this.#bytes(look, Math.min(windowBytes, limit - look), limit);
      const found = window.indexOf(this.#marker);
      if (found >= 0) {
        if ((await this.#recordAt(look + found, limit)) !== undefined)
          return { kind: "damaged", end: look + found, torn: false };
        look += found + 1;
      } else if (window.length < this.#marker.length) break;
      else look += window.length - this.#marker.length + 1;
    }
    return { kind: "damaged", end: limit, torn: true };
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #recordAt(at: number, limit: number) {
    const marker = this.#marker;
    if (marker === undefined) return undefined;
    const length = recordLength(marker, await this.#bytes(at, recordHeadBytes, limit));
    if (length === undefined || at + length > limit) return undefined;
    const record = await this.#bytes(at, length, limit);
    if (record.length < length) return undefined;
    const found = recordOf(record);
    return found === undefined ? undefined : { ...found, end: at + length };
  }

  /** Up to `length` bytes, a view that stays as it is. */
  async #bytes(at: number, length: number, limit: number): Promise<Buffer> {
    const { at: first, bytes } = this.#window;
    const wanted = Math.min(length, limit - at);
    if (at >= first && at + wanted <= first + bytes.length)
      return bytes.subarray(at - first, at - first + wanted);
    const read = await this.#file.read(at, Math.min(Math.max(length, windowBytes), limit - at));
    this.#window = { at, bytes: read };
    return read.subarray(0, wanted);
  }
}
