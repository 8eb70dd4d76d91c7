// A point as a plaintext line, for doors whose senders write something else. What is no good point becomes a line that
// is refused for the same reason: so there is one grammar, one place that counts, and a line to show to the sender.
//
// W1. A name can't write a second line or a second word: what splits lines or words becomes a control character, and
//     no name may have one.
// W2. The number read back is the number written, to the bit, -0 included.
import { lineBytesMax } from "./line.ts";

/** Bytes that a line can need at most: a name that is cut where it is too long anyway, two numbers, three signs. */
export const pointLineBytesMost = lineBytesMax + 1 + 2 * 25 + 3;

const control = 0x01;
const zero = 0x30;
const digitsMost = 1e15;

/** Writes a line at `at`, behind which there is room for `pointLineBytesMost`; answers where it ends. */
export function writePoint(
  out: Uint8Array,
  at: number,
  name: Uint8Array,
  from: number,
  to: number,
  value: number,
  seconds: number,
): number {
  let end = writeName(out, at, name, from, to);
  out[end++] = 0x20;
  end = writeNumber(out, end, value);
  out[end++] = 0x20;
  // Cut towards zero as int() does; a point at -1 is a point of now.
  end = writeNumber(out, end, Math.trunc(seconds) + 0);
  out[end++] = 0x0a;
  return end;
}

/** A line of the name alone: what is refused as malformed, on the account of the key in it. */
export function writeNameOnly(
  out: Uint8Array,
  at: number,
  name: Uint8Array,
  from: number,
  to: number,
): number {
  const end = writeName(out, at, name, from, to);
  out[end] = 0x0a;
  return end + 1;
}

function writeName(out: Uint8Array, at: number, name: Uint8Array, from: number, to: number): number {
  let end = at;
  const last = Math.min(to, from + lineBytesMax + 1);
  for (let i = from; i < last; i++) {
    const byte = name[i] as number;
    out[end++] = byte > 0x20 ? byte : control;
  }
  // An empty first word would make the value the name.
  if (end === at) out[end++] = control;
  return end;
}

function writeNumber(out: Uint8Array, at: number, number: number): number {
  if (Number.isInteger(number) && number < digitsMost && number > -digitsMost && !Object.is(number, -0))
    return writeInteger(out, at, number);
  // The grammar takes neither word: nan is refused as nan, inf as a bad value or a bad time stamp.
  const text = Number.isFinite(number)
    ? Object.is(number, -0)
      ? "-0"
      : String(number)
    : Number.isNaN(number)
      ? "nan"
      : "inf";
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}

function writeInteger(out: Uint8Array, at: number, number: number): number {
  let left = Math.abs(number);
  let end = at;
  if (number < 0) out[end++] = 0x2d;
  let digits = 1;
  for (let power = 10; power <= left; power *= 10) digits++;
  end += digits;
  for (let i = end - 1; digits > 0; digits--, i--) {
    out[i] = zero + (left % 10);
    left = Math.floor(left / 10);
  }
  return end;
}
