// A decimal number in bytes to a double: the one that JavaScript's Number gives, bit for bit. The grammar is that of
// its twin, src/metric/number.ts.
//
//   up to 16 digits and a dot    all at once by SIMD; one rounding, so it is exact
//   up to 19 digits, any power   the product of digits and a 128-bit power of five (Lemire, 2021; no case is left over)
//   more digits                  twice the same, for the digits cut off and for one more: mostly they agree
//   where they do not            `slowNumber`, which is Number itself

/** [from, to) holds digits with at most one dot and an exponent: what remains of them is decided by Number. */
// @ts-ignore: decorator
@external("millrace", "slowNumber")
declare function slowNumber(from: usize, to: usize): f64;

/** As numberCode of src/metric/number.ts. */
export const finite: i32 = 0;
export const nan: i32 = 1;
export const invalid: i32 = 2;
export const infinite: i32 = 3;

/** What `readNumber` read, when its answer is finite. */
export let number: f64 = 0;

/**
 * 640 bytes of `short` tables, then 651 powers of five, 16 bytes each. `configureNumbers` fills the first; the second
 * is written by src/kernel/powers.ts.
 */
let tables: usize = 0;
/** By position of the dot (16: none): which bytes are digits, in order. */
const shuffles: usize = 0;
/** By position of the dot: the power of ten behind it. */
const divisors: usize = 17 * 16;
const powers: usize = 640;
const leastPower: i32 = -342;
const mostPower: i32 = 308;
const digitsMost: u32 = 19;
const exponentMost: i32 = 100000;

export function configureNumbers(at: usize): void {
  tables = at;
  let power: f64 = 1;
  for (let dot = 15; dot >= 0; dot--) {
    store<f64>(at + divisors + (<usize>dot << 3), power);
    power *= 10;
    for (let i = 0; i < 16; i++) {
      const from = i == 0 ? 0x80 : i <= dot ? i - 1 : i; // 0x80: a zero in front
      store<u8>(at + shuffles + (<usize>dot << 4) + i, <u8>from);
    }
  }
  store<f64>(at + divisors + (16 << 3), 1);
  for (let i = 0; i < 16; i++) store<u8>(at + shuffles + (16 << 4) + i, <u8>i);
}

/** Reads [from, to) whole; the 16 bytes before `to` may be read whatever they are. Answers a code. */
// @ts-ignore: decorator
@inline
export function readNumber(from: usize, to: usize): i32 {
  const first = load<u8>(from);
  const isNegative = first == 0x2d;
  const digitsFrom = from + <usize>isNegative;
  const length = <i32>(to - digitsFrom);
  const isShort = length <= 16 && length > 0;
  const wanted = i8x16.ge_s(
    i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    i8x16.splat(<i8>(16 - length)),
  );
  const bytes = v128.load(to - 16);
  const digits = v128.and(i8x16.sub(bytes, i8x16.splat(0x30)), wanted);
  const others = <u32>i8x16.bitmask(i8x16.gt_u(digits, i8x16.splat(9)));
  const dots = <u32>i8x16.bitmask(v128.and(i8x16.eq(bytes, i8x16.splat(0x2e)), wanted));
  if (isShort && others == dots && (others & (others - 1)) == 0 && length > <i32>(others != 0)) {
    const dot = <usize>ctz(others | 0x10000);
    const whole = sixteenDigits(i8x16.swizzle(digits, v128.load(tables + shuffles + (dot << 4))));
    const value = <f64>(<i64>whole) / load<f64>(tables + divisors + (dot << 3));
    number = isNegative ? -value : value;
    return finite;
  }
  return readAnyNumber(from, to);
}

/** The number of 16 bytes 0 to 9. */
// @ts-ignore: decorator
@inline
export function sixteenDigits(digits: v128): u64 {
  const twos = i16x8.add(
    i16x8.mul(v128.and(digits, i16x8.splat(0xff)), i16x8.splat(10)),
    i16x8.shr_u(digits, 8),
  );
  const fours = i32x4.dot_i16x8_s(twos, i16x8(100, 1, 100, 1, 100, 1, 100, 1));
  const packed = i16x8.narrow_i32x4_u(fours, fours);
  const eights = i32x4.dot_i16x8_s(packed, i16x8(10000, 1, 10000, 1, 10000, 1, 10000, 1));
  const both = i64x2.extract_lane(eights, 0);
  return <u64>(<u32>both) * 100000000 + <u64>(both >>> 32);
}

function readAnyNumber(from: usize, to: usize): i32 {
  let at = from;
  const sign: u32 = at < to ? load<u8>(at) : 0;
  if (sign == 0x2d || sign == 0x2b) at++;
  const digitsFrom = at;
  let digits: u64 = 0;
  let count: u32 = 0; // significant ones: leading zeros are not counted
  let power: i32 = 0;
  let dots: i32 = 0;
  for (; at < to; at++) {
    const byte = <u32>load<u8>(at);
    const digit = byte - 0x30;
    if (digit <= 9) {
      if (count == 0 && digit == 0) power -= dots;
      else if (count++ < digitsMost) {
        digits = digits * 10 + digit;
        power -= dots;
      } else power += 1 - dots; // cut off
    } else if (byte == 0x2e && dots == 0) dots = 1;
    else break;
  }
  if (at - digitsFrom == <usize>dots) return isNanWord(digitsFrom, to) ? nan : invalid;
  if (at < to) {
    if ((load<u8>(at) | 0x20) != 0x65) return invalid;
    at++;
    const isDown = at < to && load<u8>(at) == 0x2d;
    if (isDown || (at < to && load<u8>(at) == 0x2b)) at++;
    if (at >= to) return invalid;
    let exponent: i32 = 0;
    for (; at < to; at++) {
      const digit = <u32>load<u8>(at) - 0x30;
      if (digit > 9) return invalid;
      if (exponent < exponentMost) exponent = exponent * 10 + digit;
    }
    power += isDown ? -exponent : exponent;
  }
  let value = scaled(digits, power);
  if (count > digitsMost && value != scaled(digits + 1, power)) value = slowNumber(digitsFrom, to);
  if (value == Infinity) return infinite;
  number = sign == 0x2d ? -value : value;
  return finite;
}

/** `nan` in any case; the sign is behind us. */
function isNanWord(from: usize, to: usize): bool {
  return (
    to - from == 3 &&
    (load<u8>(from) | 0x20) == 0x6e &&
    (load<u8>(from, 1) | 0x20) == 0x61 &&
    (load<u8>(from, 2) | 0x20) == 0x6e
  );
}

const fractionBits: i32 = 52;
const exponentBias: i32 = 1023;

/** digits * 10^power, rounded once; Infinity where it is too great. */
function scaled(digits: u64, power: i32): f64 {
  if (digits == 0 || power < leastPower) return 0;
  if (power > mostPower) return Infinity;
  const zeros = <i32>clz(digits);
  const factor = digits << zeros;
  const entry = tables + powers + (<usize>(power - leastPower) << 4);
  multiply(factor, load<u64>(entry));
  let low = productLow;
  let high = productHigh;
  if ((high & 0x1ff) == 0x1ff) {
    // The first 64 bits of the power are not enough to tell how to round.
    multiply(factor, load<u64>(entry, 8));
    low += productHigh;
    if (productHigh > low) high++;
  }
  const upperBit = <i32>(high >> 63);
  const cut = upperBit + 64 - fractionBits - 3;
  let fraction = high >> cut;
  // 217706 / 2^16 is log2(10), near enough for these powers.
  let exponent = ((217706 * power) >> 16) + 63 + upperBit - zeros + exponentBias;
  if (exponent <= 0) {
    if (1 - exponent >= 64) return 0;
    fraction >>= 1 - exponent;
    fraction += fraction & 1;
    fraction >>= 1;
    // Where rounding makes it the least normal number, its bits say so by themselves.
    return reinterpret<f64>(fraction);
  }
  // Exactly between two doubles: to the even one.
  if (low <= 1 && power >= -4 && power <= 23 && (fraction & 3) == 1 && fraction << cut == high)
    fraction &= ~(<u64>1);
  fraction += fraction & 1;
  fraction >>= 1;
  if (fraction >= <u64>2 << fractionBits) {
    fraction = <u64>1 << fractionBits;
    exponent++;
  }
  if (exponent >= 0x7ff) return Infinity;
  return reinterpret<f64>((fraction & ~(<u64>1 << fractionBits)) | (<u64>exponent << fractionBits));
}

let productLow: u64 = 0;
let productHigh: u64 = 0;

/** 64 by 64 to 128 bits. */
// @ts-ignore: decorator
@inline
function multiply(a: u64, b: u64): void {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const lowHigh = aLow * bHigh;
  const highLow = aHigh * bLow;
  const middle = ((aLow * bLow) >> 32) + (lowHigh & 0xffffffff) + (highLow & 0xffffffff);
  productHigh = aHigh * bHigh + (lowHigh >> 32) + (highLow >> 32) + (middle >> 32);
  productLow = a * b;
}
