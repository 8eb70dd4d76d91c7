// The grammar of a plaintext line, as in its twin, src/metric/line.ts, whose words are used here: `name value
// [timestamp]`, or `KEY.name ...` at a door. Nearly all lines are plain and read at once; whatever is not, byte by byte.
import { find, equal64, wordEnds32, wordEnds64 } from "./scan";
import { finite, nan, number, readNumber, sixteenDigits } from "./number";
import { setKey, setReason, setSeconds, setValue, setWords } from "./rows";
import {
  badName,
  badTimestamp,
  badValue,
  lineTooLong,
  malformed,
  nameTooLong,
  noKey,
  notANumber,
  notUtf8,
  ok,
} from "./reason";

export const lineBytesMost: usize = 16384;
const nameBytesMost: usize = 1000;

/** What `readLine` found beside its row. */
export let isBlank: bool = false;
/** A line end was seen; it is at the answer of `readLine`. */
export let isFinished: bool = false;

/**
 * Reads the line that starts at `at` and ends before `\n` or at `to`, into a row. Answers where it ends: at the line
 * end, or at `to`.
 */
// @ts-ignore: decorator
@inline
export function readLine(at: usize, to: usize, isKeyed: bool, row: u32): usize {
  const end = readPlain(at, to, isKeyed, row);
  return end != 0 ? end : readAny(at, to, isKeyed, row);
}

/** `name value 1234567890\n` in plain ASCII, or 0: look closer. */
// @ts-ignore: decorator
@inline
function readPlain(at: usize, to: usize, isKeyed: bool, row: u32): usize {
  let look = at;
  let ends = wordEnds64(look);
  while (ends == 0) {
    look += 64;
    if (look >= to) return 0;
    ends = wordEnds64(look);
  }
  const nameTo = look + <usize>ctz(ends);
  let name = at;
  if (isKeyed) {
    const dots = equal64(at, 0x2e);
    if (dots == 0) return 0;
    name = at + <usize>ctz(dots) + 1;
    if (name == at + 1 || name > nameTo) return 0;
  }
  const valueFrom = nameTo + 1;
  let stops = wordEnds32(valueFrom);
  const valueTo = valueFrom + <usize>ctz(stops);
  stops &= stops - 1;
  const end = valueFrom + <usize>ctz(stops);
  // Ten digits between the last two. Behind `to` anything may lie, so `end` is looked at first.
  if (stops == 0 || end >= to || end - valueTo != 11 || valueTo == valueFrom) return 0;
  if (load<u8>(nameTo) != 0x20 || load<u8>(valueTo) != 0x20 || load<u8>(end) != 0x0a) return 0;
  if (nameTo - name > nameBytesMost || name >= nameTo || load<u8>(name) == 0x2e) return 0;
  const digits = v128.and(
    i8x16.sub(v128.load(end - 16), i8x16.splat(0x30)),
    i8x16(0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
  );
  if (v128.any_true(i8x16.gt_u(digits, i8x16.splat(9)))) return 0;
  if (readNumber(valueFrom, valueTo) != finite) return 0;
  setValue(row, number);
  setSeconds(row, <f64>(<i64>sixteenDigits(digits)));
  setWords(row, name, nameTo, end);
  if (isKeyed) setKey(row, at, name - 1);
  setReason(row, ok);
  isBlank = false;
  isFinished = true;
  return end;
}

let problem: u32 = 0;

function readAny(at: usize, to: usize, isKeyed: bool, row: u32): usize {
  const first = skipBlanks(at, to);
  let name = first;
  let keyProblem = ok;
  setKey(row, first, first);
  if (isKeyed) {
    const stop = keyStop(first, to);
    if (stop > first && stop < to && load<u8>(stop) == 0x2e) {
      setKey(row, first, stop);
      name = stop + 1;
    } else keyProblem = noKey;
  }
  problem = ok;
  const nameTo = scanName(name, to);
  const valueFrom = skipBlanks(nameTo, to);
  const valueTo = wordEnd(valueFrom, to);
  const timeFrom = skipBlanks(valueTo, to);
  const timeTo = wordEnd(timeFrom, to);
  let end = skipBlanks(timeTo, to);
  let last = timeTo > timeFrom ? timeTo : valueTo > valueFrom ? valueTo : nameTo;
  if (end < to && load<u8>(end) != 0x0a) {
    if (keyProblem == ok) keyProblem = malformed;
    while (end < to && load<u8>(end) != 0x0a) {
      last = wordEnd(end, to);
      end = skipBlanks(last, to);
    }
  }
  isFinished = end < to;
  isBlank = false;
  setWords(row, name, nameTo, last);
  if (end - at > lineBytesMost) tooLong(at, isKeyed, row);
  else if (nameTo == first) isBlank = true;
  else if (keyProblem != ok) setReason(row, keyProblem);
  else if (valueTo == valueFrom) setReason(row, malformed);
  else setReason(row, judge(name, nameTo, valueFrom, valueTo, timeFrom, timeTo, row));
  return end;
}

/** Name, value and time stamp of a line that has the right words. */
function judge(
  name: usize,
  nameTo: usize,
  valueFrom: usize,
  valueTo: usize,
  timeFrom: usize,
  timeTo: usize,
  row: u32,
): u32 {
  if (nameTo - name > nameBytesMost) return nameTooLong;
  if (nameTo == name || onlyDots(name, nameTo)) return badName;
  if (problem != ok) return problem;
  const kind = readNumber(valueFrom, valueTo);
  if (kind != finite) return kind == nan ? notANumber : badValue;
  setValue(row, number);
  setSeconds(row, NaN);
  if (timeTo == timeFrom) return ok;
  if (readNumber(timeFrom, timeTo) != finite || number <= -2) return badTimestamp;
  // Cut towards zero, as int() does, so that -1.9 is -1: now. Adding 0 makes -0 (of -0.5) 0.
  const seconds = trunc(number) + 0.0;
  if (seconds != -1) setSeconds(row, seconds);
  return ok;
}

/** The end of the name; what is wrong with its bytes is left in `problem`. */
function scanName(from: usize, to: usize): usize {
  let at = from;
  while (at < to) {
    const byte = <u32>load<u8>(at);
    if (byte > 0x20 && byte < 0x7f) at++;
    else if (byte >= 0x80) {
      const length = utf8Length(at, to);
      if (length == 0) problem = notUtf8;
      // U+0080 to U+009F are control characters too.
      else if (byte == 0xc2 && load<u8>(at, 1) < 0xa0 && problem == ok) problem = badName;
      at += length == 0 ? 1 : length;
    } else if (isSeparator(byte)) break;
    else {
      if (problem == ok) problem = badName;
      at++;
    }
  }
  return at;
}

/** Length of the UTF-8 sequence at `at`, whose byte is >= 0x80; 0 when it is none (RFC 3629: no surrogates either). */
function utf8Length(at: usize, to: usize): usize {
  const byte = <u32>load<u8>(at);
  if (byte < 0xc2 || byte > 0xf4) return 0;
  const length: usize = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  if (at + length > to) return 0;
  const second = <u32>load<u8>(at, 1);
  const lowest: u32 = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
  const highest: u32 = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i: usize = 2; i < length; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return 0;
  return length;
}

/** White space that splits words; \n, which ends lines, among it. */
// @ts-ignore: decorator
@inline
function isSeparator(byte: u32): bool {
  return byte <= 0x20 && (byte >= 0x1c || (byte >= 0x09 && byte <= 0x0d));
}

function skipBlanks(from: usize, to: usize): usize {
  let at = from;
  while (at < to) {
    const byte = <u32>load<u8>(at);
    if (byte == 0x0a || !isSeparator(byte)) break;
    at++;
  }
  return at;
}

function wordEnd(from: usize, to: usize): usize {
  let at = from;
  while (at < to && !isSeparator(load<u8>(at))) at++;
  return at;
}

/** Where the key stops: at a dot, or at the end of the word. */
function keyStop(from: usize, to: usize): usize {
  let at = from;
  while (at < to) {
    const byte = <u32>load<u8>(at);
    if (byte == 0x2e || isSeparator(byte)) break;
    at++;
  }
  return at;
}

/** Of a line that is too long only the first 16 KB are looked at, whether the rest has come already or not. */
function tooLong(at: usize, isKeyed: bool, row: u32): void {
  const to = at + lineBytesMost;
  const first = skipBlanks(at, to);
  const stop = isKeyed ? keyStop(first, to) : first;
  const hasKey = stop > first && stop < to && load<u8>(stop) == 0x2e;
  setReason(row, lineTooLong);
  setKey(row, first, hasKey ? stop : first);
  const from = hasKey ? stop + 1 : first;
  setWords(row, from, from, to);
}

function onlyDots(from: usize, to: usize): bool {
  for (let at = from; at < to; at++) if (load<u8>(at) != 0x2e) return false;
  return true;
}

/** Behind the line end that comes next, or 0 when none comes before `to`. */
export function nextLine(at: usize, to: usize): usize {
  const end = find(at, to, 0x0a);
  return end < to ? end + 1 : 0;
}
