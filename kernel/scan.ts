// Looking at many bytes at once. A bit of an answer stands for a byte: bit 0 for the first.
//
// M1. Loads are whole vectors: up to 64 bytes behind what was asked for are read, never used. Regions are padded.

/** Which of 64 bytes end a plain word: blanks and control characters, and 0x7f and above, which need a closer look. */
// @ts-ignore: decorator
@inline
export function wordEnds64(at: usize): u64 {
  return (
    (<u64>(wordEnds16(at) | (wordEnds16(at + 16) << 16))) |
    ((<u64>(wordEnds16(at + 32) | (wordEnds16(at + 48) << 16))) << 32)
  );
}

/** The same of 32 bytes. */
// @ts-ignore: decorator
@inline
export function wordEnds32(at: usize): u32 {
  return wordEnds16(at) | (wordEnds16(at + 16) << 16);
}

// As signed bytes 0x80 to 0xff lie below 0x20; adding 1 first puts 0x7f there too.
// @ts-ignore: decorator
@inline
function wordEnds16(at: usize): u32 {
  return <u32>i8x16.bitmask(i8x16.le_s(i8x16.add(v128.load(at), i8x16.splat(1)), i8x16.splat(0x21)));
}

/** Which of 64 bytes are `byte`. */
// @ts-ignore: decorator
@inline
export function equal64(at: usize, byte: i8): u64 {
  const wanted = i8x16.splat(byte);
  const low = equal16(at, wanted) | (equal16(at + 16, wanted) << 16);
  const high = equal16(at + 32, wanted) | (equal16(at + 48, wanted) << 16);
  return <u64>low | ((<u64>high) << 32);
}

// @ts-ignore: decorator
@inline
function equal16(at: usize, wanted: v128): u32 {
  return <u32>i8x16.bitmask(i8x16.eq(v128.load(at), wanted));
}

/** Where `byte` first stands in [at, to), or `to`. */
export function find(at: usize, to: usize, byte: i8): usize {
  for (let from = at; from < to; from += 64) {
    const found = equal64(from, byte);
    if (found != 0) return min(from + <usize>ctz(found), to);
  }
  return to;
}

/** Whether n bytes are the same. */
// @ts-ignore: decorator
@inline
export function sameBytes(a: usize, b: usize, n: u32): bool {
  let done: u32 = 0;
  for (; done + 16 <= n; done += 16)
    if (v128.any_true(v128.xor(v128.load(a + done), v128.load(b + done)))) return false;
  const rest = n - done;
  if (rest == 0) return true;
  const different = v128.xor(v128.load(a + done), v128.load(b + done));
  return !v128.any_true(v128.and(different, firstBytes(rest)));
}

/** A mask of the first n bytes of 16. */
// @ts-ignore: decorator
@inline
export function firstBytes(n: u32): v128 {
  return i8x16.lt_u(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>n));
}
