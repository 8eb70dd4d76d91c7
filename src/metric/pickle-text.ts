// The two texts of pickle's oldest protocol that have escapes: STRING, quoted as Python 2's repr, and UNICODE.
//
// E1. A text without an escape stays where it is, in the message; the others are written anew, once.
import { valueKind, type Values } from "./pickle-values.ts";

const backslash = 0x5c;
/** After a backslash: what \n, \t and the like stand for. */
const shorts = new Map(
  Object.entries({ "\\": 92, "'": 39, '"': 34, a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 }).map(
    ([letter, code]) => [letter.charCodeAt(0), code],
  ),
);

/** Adds the text of a STRING; undefined where its quotes or escapes are wrong. */
export function addQuoted(
  values: Values,
  bytes: Uint8Array,
  lineFrom: number,
  lineTo: number,
): number | undefined {
  const quote = bytes[lineFrom];
  const from = lineFrom + 1;
  const to = lineTo - 1;
  if (to < from || bytes[to] !== quote || (quote !== 0x27 && quote !== 0x22)) return undefined;
  let plain = true;
  for (let at = from; at < to && plain; at++) plain = bytes[at] !== backslash;
  if (plain) return values.add(valueKind.text, 0, from, to);
  values.reserveOwn(to - from);
  const start = values.ownLength;
  for (let at = from; at < to; ) {
    const byte = bytes[at++] as number;
    if (byte !== backslash) values.own[values.ownLength++] = byte;
    else {
      const escaped = bytes[at] as number;
      const short = shorts.get(escaped);
      if (at >= to) return undefined;
      if (short !== undefined) {
        values.own[values.ownLength++] = short;
        at++;
      } else if (escaped === 0x78) {
        const code = hexAt(bytes, at + 1, 2, to);
        if (code < 0) return undefined;
        values.own[values.ownLength++] = code;
        at += 3;
      } else if (escaped >= 0x30 && escaped <= 0x37) {
        let code = 0;
        for (let digits = 0; digits < 3 && at < to && ((bytes[at] as number) & 0xf8) === 0x30; digits++)
          code = code * 8 + (bytes[at++] as number) - 0x30;
        values.own[values.ownLength++] = code;
      } else values.own[values.ownLength++] = backslash; // Python leaves an escape it does not know
    }
  }
  return values.add(valueKind.ownText, 0, start, values.ownLength);
}

/** Adds the text of a UNICODE line: Latin-1 with \uXXXX and \UXXXXXXXX. */
export function addUnicode(values: Values, bytes: Uint8Array, from: number, to: number): number | undefined {
  let plain = true;
  for (let at = from; at < to && plain; at++) plain = bytes[at] !== backslash && (bytes[at] as number) < 0x80;
  if (plain) return values.add(valueKind.text, 0, from, to);
  values.reserveOwn(to - from);
  const start = values.ownLength;
  for (let at = from; at < to; ) {
    let code = bytes[at++] as number;
    if (code === backslash && at < to && (bytes[at] === 0x75 || bytes[at] === 0x55)) {
      const digits = bytes[at] === 0x75 ? 4 : 8;
      code = hexAt(bytes, at + 1, digits, to);
      if (code < 0 || code > 0x10ffff) return undefined;
      at += 1 + digits;
    }
    putUtf8(values, code);
  }
  return values.add(valueKind.ownText, 0, start, values.ownLength);
}

/** Surrogates too, as three bytes: whoever looks at the name finds that it is not UTF-8. */
function putUtf8(values: Values, code: number): void {
  const { own } = values;
  if (code < 0x80) own[values.ownLength++] = code;
  else {
    if (code < 0x800) own[values.ownLength++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) own[values.ownLength++] = 0xe0 | (code >> 12);
      else {
        own[values.ownLength++] = 0xf0 | (code >> 18);
        own[values.ownLength++] = 0x80 | ((code >> 12) & 0x3f);
      }
      own[values.ownLength++] = 0x80 | ((code >> 6) & 0x3f);
    }
    own[values.ownLength++] = 0x80 | (code & 0x3f);
  }
}

/** -1 where there is anything but `digits` hexadecimal digits before `to`. */
function hexAt(bytes: Uint8Array, from: number, digits: number, to: number): number {
  if (from + digits > to) return -1;
  let code = 0;
  for (let at = from; at < from + digits; at++) {
    const byte = bytes[at] as number;
    const lower = byte | 0x20;
    const digit = byte <= 0x39 ? byte - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}
