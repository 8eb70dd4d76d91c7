// A decimal number in bytes to a double, without making a string of it.
//
// N1. What is taken is what Python's float() takes in everyday form: a sign, digits, `5.`, `.5`, an exponent. No hex,
//     no underscore, no `inf`; `nan` is recognised, not taken.
// N2. The double is the one that Number(text) gives, bit for bit, -0 and denormals included.
// N3. Up to 19 significant digits with a power of ten within +-22 (nearly all traffic) nothing is allocated.
//
// Why the short ways are exact: up to 15 digits are an integer below 2^53 and 10^0..10^22 are doubles without
// error, so one multiplication or division rounds once, correctly (Clinger, 1990). 16 to 19 digits are
// computed with twice the precision; where its small error could change the rounding, Number decides.

/** What `readNumber` answers: small integers, so that nothing is boxed. */
export const numberCode = { finite: 0, nan: 1, invalid: 2, infinite: 3 } as const;
export type NumberCode = (typeof numberCode)[keyof typeof numberCode];

/** Where `readNumber` leaves what it read: one object, used again and again. */
export class NumberSlot {
  value = Number.NaN;
}

const headDigits = 15;
const digitsMax = 19;
const powerMax = 22;
/** Exponents are cut here while reading: far beyond what a double holds, far below what an int32 holds. */
const exponentMax = 100_000;

const powersOfTen = Float64Array.from({ length: powerMax + 1 }, (_, power) => Number(`1e${power}`));
const ascii = new TextDecoder("latin1");

/** Reads bytes[from, to) whole. The value is in `slot` when the answer is `finite`; else it is unspecified. */
export function readNumber(bytes: Uint8Array, from: number, to: number, slot: NumberSlot): NumberCode {
  let at = from;
  const sign = at < to ? (bytes[at] as number) : 0;
  if (sign === 0x2d || sign === 0x2b) at++;
  const digitsFrom = at;

  let head = 0; // the first 15 significant digits
  let tail = 0; // the next 4
  let digits = 0; // significant ones, so leading zeros are not counted
  let fraction = 0; // digits behind the dot
  let dots = 0;
  for (; at < to; at++) {
    const byte = bytes[at] as number;
    const digit = byte - 0x30;
    if (digit >= 0 && digit <= 9) {
      fraction += dots;
      if (digits === 0 && digit === 0) continue;
      if (digits < headDigits) head = head * 10 + digit;
      else if (digits < digitsMax) tail = tail * 10 + digit;
      digits++;
    } else if (byte === 0x2e && dots === 0) dots = 1;
    else break;
  }
  if (at - digitsFrom === dots) return isNanWord(bytes, digitsFrom, to) ? numberCode.nan : numberCode.invalid;

  let exponent = 0;
  if (at < to) {
    if (((bytes[at] as number) | 0x20) !== 0x65) return numberCode.invalid;
    const down = at + 1 < to && bytes[at + 1] === 0x2d;
    at += down || (at + 1 < to && bytes[at + 1] === 0x2b) ? 2 : 1;
    if (at >= to) return numberCode.invalid;
    for (; at < to; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return numberCode.invalid;
      if (exponent < exponentMax) exponent = exponent * 10 + digit;
    }
    if (down) exponent = -exponent;
  }

  const power = exponent - fraction;
  slot.value = head;
  if (digits <= headDigits && power >= -powerMax && power <= powerMax) {
    slot.value = power < 0 ? head / (powersOfTen[-power] as number) : head * (powersOfTen[power] as number);
  } else if (
    digits <= headDigits ||
    digits > digitsMax ||
    power < -powerMax ||
    power > powerMax ||
    !scale(slot, tail, digits - headDigits, power)
  ) {
    slot.value = digits === 0 ? 0 : Number(ascii.decode(bytes.subarray(digitsFrom, to)));
    if (slot.value === Number.POSITIVE_INFINITY) return numberCode.infinite;
  }
  if (sign === 0x2d) slot.value = -slot.value;
  return numberCode.finite;
}

/** `nan` in any case; the sign is behind us. */
function isNanWord(bytes: Uint8Array, from: number, to: number): boolean {
  return (
    to - from === 3 &&
    ((bytes[from] as number) | 0x20) === 0x6e &&
    ((bytes[from + 1] as number) | 0x20) === 0x61 &&
    ((bytes[from + 2] as number) | 0x20) === 0x6e
  );
}

const splitter = 134_217_729; // 2^27 + 1: cuts a double into two halves of 26 bits (Dekker, 1971)
/** Above the relative error of the steps below (about 2^-51), so that "surely" is sure. */
const slack = 2 ** -48;

/**
 * (slot.value * 10^tailDigits + tail) * 10^power into the slot, if its rounding is certain; answers whether. Each
 * quantity is a pair of doubles whose sum is the number: 106 bits, of which the result needs 53.
 */
function scale(slot: NumberSlot, tail: number, tailDigits: number, power: number): boolean {
  // The digits as an exact pair (high, low): an integer below 10^19 needs 64 bits.
  const head = slot.value;
  const shift = powersOfTen[tailDigits] as number;
  const product = head * shift;
  const productRest = productError(head, shift, product);
  const high = product + (productRest + tail);
  const low = product - high + (productRest + tail);

  const ten = powersOfTen[power < 0 ? -power : power] as number;
  let result: number;
  let rest: number;
  let doubt: number;
  if (power < 0) {
    result = high / ten;
    const back = result * ten;
    // What the division left over is a double without error, because high / ten was rounded to nearest.
    const left = high - back - productError(result, ten, back);
    rest = (left + low) / ten;
    doubt = ((Math.abs(left) + Math.abs(low)) / ten) * slack;
  } else {
    result = high * ten;
    const error = productError(high, ten, result);
    rest = error + low * ten;
    doubt = (Math.abs(error) + Math.abs(low * ten)) * slack;
  }
  slot.value = result + (rest - doubt);
  return slot.value === result + (rest + doubt);
}

/** a * b - product, exactly, where product is a * b rounded. */
function productError(a: number, b: number, product: number): number {
  const aCut = splitter * a;
  const aHigh = aCut - (aCut - a);
  const aLow = a - aHigh;
  const bCut = splitter * b;
  const bHigh = bCut - (bCut - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}
