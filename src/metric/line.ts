// The grammar of a plaintext line, once for doors and actors: `name value [timestamp]`, or `KEY.name ...` at a door.
//
// L1. A line is judged by its bytes alone, never by a clock: whether a time stamp is too old is its reader's business.
// L2. The same line gets the same answer however its bytes came, with its key or stripped of it.
// L3. Nothing is allocated: the answer is in a Line, which is used again and again.
// L4. Words are split where carbon splits them (Python's str.split), as far as that is ASCII: space, tab, CR, VT, FF,
//     FS, GS, RS, US. White space beyond ASCII is part of a word.
//
// The judgement goes from the outside in and names the first thing wrong: line-too-long, no-key, malformed, bad-name
// (empty), name-too-long, not-utf8, bad-name (a control character), bad-value or nan, bad-timestamp.
import { numberCode, NumberSlot, readNumber } from "./number.ts";
import { reasonCode } from "./reason.ts";

/** A line without its line end, key included. carbon's own limit. */
export const lineBytesMax = 16_384;
/** A name without its key. */
export const nameBytesMax = 1000;

/** Offsets are into the bytes that `readLine` was given. */
export class Line {
  /** Index into src/metric/reason.ts; 0 is ok. */
  reason = 0;
  /** Nothing but blanks: no line at all. */
  blank = false;
  /** A line end was seen: it is at bytes[end]. If not, `end` is where the bytes end. */
  finished = false;
  end = 0;
  /** [keyFrom, keyTo): the key before the first dot. Empty when there is none. */
  keyFrom = 0;
  keyTo = 0;
  /** [from, nameTo) is the name behind the key; [from, to) the line from there to the end of its last word. */
  from = 0;
  nameTo = 0;
  to = 0;
  value = Number.NaN;
  /** Whole epoch seconds; NaN where the line leaves them out or says -1: now. */
  seconds = Number.NaN;
}

const slot = new NumberSlot();
const newline = 0x0a;
const dot = 0x2e;

/**
 * Reads the line that starts at bytes[from] and ends before `\n` or at `to`. With `keyed`, the first word starts with
 * a key and a dot. Fields of a refused line are filled as far as they make sense: the key wherever there is one.
 */
export function readLine(bytes: Uint8Array, from: number, to: number, keyed: boolean, line: Line): void {
  const first = skipBlanks(bytes, from, to);
  let at = first;
  let problem = reasonCode.ok;
  line.keyFrom = first;
  line.keyTo = first;
  if (keyed) {
    const stop = keyStop(bytes, first, to);
    if (stop > first && stop < to && bytes[stop] === dot) {
      line.keyTo = stop;
      at = stop + 1;
    } else problem = reasonCode["no-key"];
  }
  line.from = at;
  line.reason = reasonCode.ok;
  const nameTo = scanName(bytes, at, to, line);
  line.nameTo = nameTo;

  const valueFrom = skipBlanks(bytes, nameTo, to);
  const valueTo = wordEnd(bytes, valueFrom, to);
  const timeFrom = skipBlanks(bytes, valueTo, to);
  const timeTo = wordEnd(bytes, timeFrom, to);
  let end = skipBlanks(bytes, timeTo, to);
  line.to = timeTo > timeFrom ? timeTo : valueTo > valueFrom ? valueTo : nameTo;
  if (end < to && bytes[end] !== newline) {
    if (problem === 0) problem = reasonCode.malformed;
    end = skipWords(bytes, end, to, line);
  }
  line.end = end;
  line.finished = end < to;
  line.blank = false;

  if (end - from > lineBytesMax) tooLong(bytes, from, keyed, line);
  else if (nameTo === first) line.blank = true;
  else if (problem !== 0) line.reason = problem;
  else if (valueTo === valueFrom) line.reason = reasonCode.malformed;
  else judge(bytes, valueFrom, valueTo, timeFrom, timeTo, line);
}

/** Name, value and time stamp of a line that has the right words. */
function judge(
  bytes: Uint8Array,
  valueFrom: number,
  valueTo: number,
  timeFrom: number,
  timeTo: number,
  line: Line,
): void {
  const nameBytes = line.nameTo - line.from;
  if (nameBytes > nameBytesMax) line.reason = reasonCode["name-too-long"];
  else if (nameBytes === 0 || (bytes[line.from] === dot && onlyDots(bytes, line.from, line.nameTo)))
    line.reason = reasonCode["bad-name"];
  if (line.reason !== 0) return;

  const kind = readNumber(bytes, valueFrom, valueTo, slot);
  if (kind !== numberCode.finite) {
    line.reason = kind === numberCode.nan ? reasonCode.nan : reasonCode["bad-value"];
    return;
  }
  line.value = slot.value;

  line.seconds = Number.NaN;
  if (timeTo === timeFrom) return;
  if (readNumber(bytes, timeFrom, timeTo, slot) !== numberCode.finite || slot.value <= -2) {
    line.reason = reasonCode["bad-timestamp"];
    return;
  }
  // Cut towards zero, as int() does, so that -1.9 is -1: now. Adding 0 makes -0 (of -0.5) 0.
  const seconds = Math.trunc(slot.value) + 0;
  if (seconds !== -1) line.seconds = seconds;
}

/** The end of the name; what is wrong with its bytes is left in line.reason. */
function scanName(bytes: Uint8Array, from: number, to: number, line: Line): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at] as number;
    if (byte > 0x20 && byte < 0x7f) at++;
    else if (byte >= 0x80) {
      const length = utf8Length(bytes, at, to);
      if (length === 0) line.reason = reasonCode["not-utf8"];
      // U+0080 to U+009F are control characters too.
      else if (byte === 0xc2 && (bytes[at + 1] as number) < 0xa0 && line.reason === 0)
        line.reason = reasonCode["bad-name"];
      at += length === 0 ? 1 : length;
    } else if (isSeparator(byte)) break;
    else {
      if (line.reason === 0) line.reason = reasonCode["bad-name"];
      at++;
    }
  }
  return at;
}

/** Length of the UTF-8 sequence at bytes[at], which is >= 0x80; 0 when it is none (RFC 3629: no surrogates either). */
function utf8Length(bytes: Uint8Array, at: number, to: number): number {
  const byte = bytes[at] as number;
  if (byte < 0xc2 || byte > 0xf4) return 0;
  const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  if (at + length > to) return 0;
  const second = bytes[at + 1] as number;
  const lowest = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
  const highest = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) if (((bytes[at + i] as number) & 0xc0) !== 0x80) return 0;
  return length;
}

/** White space that splits words; \n, which ends lines, among it. */
export function isSeparator(byte: number): boolean {
  return byte <= 0x20 && (byte >= 0x1c || (byte >= 0x09 && byte <= 0x0d));
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at] as number;
    if (byte === newline || !isSeparator(byte)) break;
    at++;
  }
  return at;
}

function wordEnd(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && !isSeparator(bytes[at] as number)) at++;
  return at;
}

/** Where the key stops: at a dot, or at the end of the word. */
function keyStop(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const byte = bytes[at] as number;
    if (byte === dot || isSeparator(byte)) break;
    at++;
  }
  return at;
}

/** Over the words that are too many: answers the line's end and moves line.to behind the last one. */
function skipWords(bytes: Uint8Array, from: number, to: number, line: Line): number {
  let at = from;
  while (at < to && bytes[at] !== newline) {
    line.to = wordEnd(bytes, at, to);
    at = skipBlanks(bytes, line.to, to);
  }
  return at;
}

/**
 * Of a line that is too long only the first 16 KB are looked at: so the answer is the same whether the rest has
 * come already or not (L2).
 */
function tooLong(bytes: Uint8Array, from: number, keyed: boolean, line: Line): void {
  const to = from + lineBytesMax;
  const first = skipBlanks(bytes, from, to);
  const stop = keyed ? keyStop(bytes, first, to) : first;
  const hasKey = stop > first && stop < to && bytes[stop] === dot;
  line.reason = reasonCode["line-too-long"];
  line.keyFrom = first;
  line.keyTo = hasKey ? stop : first;
  line.from = hasKey ? stop + 1 : first;
  line.nameTo = line.from;
  line.to = to;
}

function onlyDots(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== dot) return false;
  return true;
}
