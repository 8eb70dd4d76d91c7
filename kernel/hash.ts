// A keyed hash of names: NH (Black, Halevi and others, UMAC, 1999), the sum of products of words that a secret was
// added to. For any two names, 2^-32 of the secrets give them the same sum, so who does not know the secret can't aim
// names at one slot. It only narrows: names are compared.
import { mix } from "./mix";

/** Where the secret lies: as many random bytes as a name may have and 96 more, a multiple of 16. */
let secret: usize = 0;
/** 32 times 0xff, then 32 zeros. */
let masks: usize = 0;
export const secretBytes: usize = 1120;
const masksBytes: usize = 64;

/** The secret itself is written by src/kernel/secret.ts. */
export function configureHash(at: usize): void {
  secret = at;
  masks = at + secretBytes;
  memory.fill(masks, 0xff, masksBytes / 2);
  memory.fill(masks + masksBytes / 2, 0, masksBytes / 2);
}

/** Of a tenant's number and the bytes [at, at + length); length is at most 1,024. */
// @ts-ignore: decorator
@inline
export function hashName(tenant: i32, at: usize, length: u32): u32 {
  let sum = i64x2.splat(0);
  let done: usize = 0;
  for (; done + 32 <= length; done += 32) {
    const a = i32x4.add(v128.load(at + done), v128.load(secret + done));
    const b = i32x4.add(v128.load(at + done, 16), v128.load(secret + done, 16));
    sum = i64x2.add(sum, i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b)));
  }
  // What is left, behind it zeros.
  const mask = masks + masksBytes / 2 - (<usize>length - done);
  const a = i32x4.add(v128.and(v128.load(at + done), v128.load(mask)), v128.load(secret + done));
  const b = i32x4.add(v128.and(v128.load(at + done, 16), v128.load(mask, 16)), v128.load(secret + done, 16));
  sum = i64x2.add(sum, i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b)));
  return mix(i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1) + hashWords(<u32>tenant, length));
}

/** The same of two words, before they are mixed. */
// @ts-ignore: decorator
@inline
export function hashWords(a: u32, b: u32): u64 {
  const key = secret + secretBytes - 16;
  return <u64>(a + load<u32>(key)) * <u64>(b + load<u32>(key, 4)) + load<u64>(key, 8);
}
