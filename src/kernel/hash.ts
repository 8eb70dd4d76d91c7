// HalfSipHash-1-3: a keyed hash for 32-bit words (Aumasson and Bernstein; the Linux kernel uses this variant for its
// hash tables). Who does not know the seed can't aim names at one slot, so the tables need no defence of their own.

export interface HashSeed {
  readonly low: number;
  readonly high: number;
}

export const seedBytes = 8;

/** From 8 random bytes. */
export function hashSeed(bytes: Uint8Array): HashSeed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, seedBytes);
  return { low: view.getInt32(0, true), high: view.getInt32(4, true) };
}

/** Hash of a tenant's number and bytes[from, to), an int32. `view` is over the same bytes, from their first one on. */
export function hashName(
  seed: HashSeed,
  tenant: number,
  bytes: Uint8Array,
  view: DataView,
  from: number,
  to: number,
): number {
  let a = seed.low;
  let b = seed.high;
  let c = 0x6c796765 ^ a;
  let d = 0x74656462 ^ b;
  const whole = from + ((to - from) & ~3);
  // The last word holds what is left of the bytes and their number, as SipHash has it.
  let rest = (to - from) << 24;
  for (let at = whole, shift = 0; at < to; at++, shift += 8) rest |= (bytes[at] as number) << shift;
  let word = tenant | 0;
  let at = from;
  for (;;) {
    d ^= word;
    a = (a + b) | 0;
    b = ((b << 5) | (b >>> 27)) ^ a;
    a = (a << 16) | (a >>> 16);
    c = (c + d) | 0;
    d = ((d << 8) | (d >>> 24)) ^ c;
    a = (a + d) | 0;
    d = ((d << 7) | (d >>> 25)) ^ a;
    c = (c + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ c;
    c = (c << 16) | (c >>> 16);
    a ^= word;
    if (at < whole) word = view.getInt32(at, true);
    else if (at === whole) word = rest;
    else break;
    at += 4;
  }
  return finish(a, b, c, d);
}

/** Hash of two int32, an int32. */
export function hashPair(seed: HashSeed, first: number, second: number): number {
  let a = seed.low;
  let b = seed.high;
  let c = 0x6c796765 ^ a;
  let d = 0x74656462 ^ b;
  for (let i = 0; i < 2; i++) {
    const word = i === 0 ? first : second;
    d ^= word;
    a = (a + b) | 0;
    b = ((b << 5) | (b >>> 27)) ^ a;
    a = (a << 16) | (a >>> 16);
    c = (c + d) | 0;
    d = ((d << 8) | (d >>> 24)) ^ c;
    a = (a + d) | 0;
    d = ((d << 7) | (d >>> 25)) ^ a;
    c = (c + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ c;
    c = (c << 16) | (c >>> 16);
    a ^= word;
  }
  return finish(a, b, c, d);
}

function finish(a0: number, b0: number, c0: number, d0: number): number {
  let a = a0;
  let b = b0;
  let c = c0 ^ 0xff;
  let d = d0;
  for (let i = 0; i < 3; i++) {
    a = (a + b) | 0;
    b = ((b << 5) | (b >>> 27)) ^ a;
    a = (a << 16) | (a >>> 16);
    c = (c + d) | 0;
    d = ((d << 8) | (d >>> 24)) ^ c;
    a = (a + d) | 0;
    d = ((d << 7) | (d >>> 25)) ^ a;
    c = (c + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ c;
    c = (c << 16) | (c >>> 16);
  }
  return b ^ d;
}
