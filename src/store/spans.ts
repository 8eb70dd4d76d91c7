// Of which pieces a span of a rung consists. A round or a merge gives all its pieces one number; each block of series
// has at most one piece of a number, and many have none.
import { count, pack, unpack } from "./rows.ts";

export interface Piece {
  number: number;
  /** Merges that its rows went through. */
  level: number;
  /** Of all its blocks' values. */
  bytes: number;
}

export function encodeSpan(pieces: readonly Piece[]): Buffer {
  return pack(pieces.map(({ number, level, bytes }) => [number, level, bytes]));
}

export function decodeSpan(value: Uint8Array): Piece[] {
  const what = "a span's row";
  return unpack(value, 0, what).map((entry) => {
    const [number, level, bytes] = Array.isArray(entry) ? (entry as unknown[]) : [];
    return { number: count(number, what), level: count(level, what), bytes: count(bytes, what) };
  });
}
