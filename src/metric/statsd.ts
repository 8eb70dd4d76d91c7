// The grammar of a StatsD line, once for doors and actors:
//
//   name:value|type[|@rate][|#tag:value,...]      c counter, g gauge, ms timer (h and d mean it too), s set
//   name:1:2:3|ms                                 several values (DogStatsD)
//   name:1|c:320|ms|@0.1                          several values of several types (etsy)
//
// At a door `KEY.` stands in front of the name. Other fields (`|T1700000000`, `|c:container`) are passed over.
//
// D1. A line is taken whole or refused whole, by its bytes alone: the books count lines.
// D2. The same line gets the same answer with its key or stripped of it, and however its bytes came.
// D3. Nothing is allocated: the answer is in a StatsdLine, which is used again and again.
// D4. Names are cleaned as etsy's statsd does: blanks become `_`, `/` becomes `-`, what is not a letter, a digit, `_`,
//     `-` or `.` is left out. Tags become Graphite's, `;tag=value`; so do those that stand in the name, behind a `;`.
//     A tag without a value gets the value `true`; one without a name is left out. Values may hold `:` and `=` too.
//
// The judgement names the first thing wrong: line-too-long, no-key, bad-type (an event or a service check), malformed
// (no `:` or no `|`), bad-name (nothing is left of it), then each value's type, number and rate, then name-too-long.
import { lineBytesMax, nameBytesMax } from "./line.ts";
import { numberCode, NumberSlot, readNumber } from "./number.ts";
import { reasonCode } from "./reason.ts";

/** Index into what a value is; in this order in StatsdLine.types. */
export const statsdType = { counter: 0, gauge: 1, timer: 2, set: 3 } as const;

/** What is added to a cleaned name to make the stored one: `stats.counters.` and `.\u0001c`. */
const nameExtraBytes = 18;
/** Of a cleaned name with its tags. */
export const statsdNameBytesMax = nameBytesMax - nameExtraBytes;
/** A value takes a character, and one more stands before it. */
const valuesMax = lineBytesMax / 2;
/** A value that stands for more others than a thousand million is a rate gone wrong. */
const rateMin = 1e-9;

/** Offsets are into the bytes that `readStatsd` was given. */
export class StatsdLine {
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
  /** [from, to): the line behind its key, without blanks at its end. */
  from = 0;
  to = 0;
  /** Of a good line: the cleaned name in clean[0, nameLength), and behind it `;tag=value...` up to cleanLength. */
  readonly clean = new Uint8Array(statsdNameBytesMax + 2);
  nameLength = 0;
  cleanLength = 0;
  /** Of a good line: its values. */
  count = 0;
  readonly types = new Uint8Array(valuesMax);
  /** Not of sets: their values are bytes[valueFrom, valueTo). */
  readonly values = new Float64Array(valuesMax);
  readonly valueFrom = new Int32Array(valuesMax);
  readonly valueTo = new Int32Array(valuesMax);
  /** In (0, 1]. */
  readonly rates = new Float64Array(valuesMax);
  /** 1: a gauge's value begins with a sign, so it is a difference. */
  readonly signed = new Uint8Array(valuesMax);
}

const slot = new NumberSlot();
const newline = 0x0a;
const dot = 0x2e;
const colon = 0x3a;
const semicolon = 0x3b;
const equals = 0x3d;
const bar = 0x7c;
const dash = 0x2d;
const underscore = 0x5f;
const trueBytes = new TextEncoder().encode("true");

/** Reads the line that starts at bytes[from] and ends before `\n` or at `to`. */
export function readStatsd(
  bytes: Uint8Array,
  from: number,
  to: number,
  keyed: boolean,
  line: StatsdLine,
): void {
  const found = bytes.indexOf(newline, from);
  line.finished = found >= 0 && found < to;
  line.end = line.finished ? found : to;
  const tooLong = line.end - from > lineBytesMax;
  // Of a line that is too long only its beginning is looked at: the rest may not have come yet (D2).
  const cut = tooLong ? from + lineBytesMax : line.end;
  const first = skipBlanks(bytes, from, cut);
  const last = tooLong ? cut : trimmed(bytes, first, cut);
  line.blank = first === last && !tooLong;
  line.keyFrom = first;
  line.keyTo = first;
  line.from = first;
  line.to = last;
  line.count = 0;
  line.reason = reasonCode.ok;
  if (keyed) {
    const stop = keyStop(bytes, first, last);
    if (stop > first && stop < last && bytes[stop] === dot) {
      line.keyTo = stop;
      line.from = skipBlanks(bytes, stop + 1, last);
    } else line.reason = reasonCode["no-key"];
  }
  if (tooLong) line.reason = reasonCode["line-too-long"];
  else if (line.reason === 0 && !line.blank) line.reason = judge(bytes, line);
}

function judge(bytes: Uint8Array, line: StatsdLine): number {
  const { from, to } = line;
  if (isOther(bytes, from, to)) return reasonCode["bad-type"];
  let nameTo = from;
  while (nameTo < to && bytes[nameTo] !== colon && bytes[nameTo] !== bar) nameTo++;
  if (nameTo === to || bytes[nameTo] === bar) return reasonCode.malformed;
  const tagsOfName = cleanName(bytes, from, nameTo, line);
  if (tagsOfName < 0) return reasonCode["bad-name"];

  let tagsFrom = to;
  let tagsTo = to;
  let at = nameTo;
  while (at < to) {
    // bytes[at] is the colon before some values of one type.
    const valuesFrom = at + 1;
    const valuesTo = find(bytes, valuesFrom, to, bar, bar);
    if (valuesTo === to) return reasonCode.malformed;
    at = find(bytes, valuesTo + 1, to, bar, colon);
    const type = typeOf(bytes, valuesTo + 1, at);
    if (type < 0) return reasonCode["bad-type"];
    const before = line.count;
    const problem = readValues(bytes, valuesFrom, valuesTo, type, line);
    if (problem !== 0) return problem;
    slot.value = 1;
    while (at < to && bytes[at] === bar) {
      const field = at + 1;
      if (bytes[field] === 0x40 && field < to) {
        at = find(bytes, field, to, bar, colon);
        if (!readRate(bytes, field + 1, at)) return reasonCode["bad-value"];
        for (let i = before; i < line.count; i++) line.rates[i] = slot.value;
      } else {
        // These may hold colons.
        at = find(bytes, field, to, bar, bar);
        if (bytes[field] === 0x23 && field < to) {
          tagsFrom = field + 1;
          tagsTo = at;
        }
      }
    }
    for (let i = before; i < line.count; i++)
      if (
        type === statsdType.counter &&
        !Number.isFinite((line.values[i] as number) / (line.rates[i] as number))
      )
        return reasonCode["bad-value"];
  }
  line.cleanLength = line.nameLength;
  cleanTags(bytes, tagsOfName, nameTo, semicolon, line);
  cleanTags(bytes, tagsFrom, tagsTo, 0x2c, line);
  return line.cleanLength > statsdNameBytesMax ? reasonCode["name-too-long"] : reasonCode.ok;
}

/** bytes[from, to) as values of a type; answers what is wrong. */
function readValues(bytes: Uint8Array, from: number, to: number, type: number, line: StatsdLine): number {
  for (let at = from; at <= to; ) {
    // What is in a set is any text: an address, for example.
    const end = type === statsdType.set ? to : find(bytes, at, to, colon, colon);
    const valueFrom = skipBlanks(bytes, at, end);
    const valueTo = trimmed(bytes, valueFrom, end);
    if (valueFrom === valueTo) return reasonCode["bad-value"];
    const i = line.count++;
    if (type !== statsdType.set) {
      const code = readNumber(bytes, valueFrom, valueTo, slot);
      if (code !== numberCode.finite)
        return code === numberCode.nan ? reasonCode.nan : reasonCode["bad-value"];
      line.values[i] = slot.value;
    }
    const lead = bytes[valueFrom];
    line.types[i] = type;
    line.signed[i] = type === statsdType.gauge && (lead === 0x2b || lead === dash) ? 1 : 0;
    line.rates[i] = 1;
    line.valueFrom[i] = valueFrom;
    line.valueTo[i] = valueTo;
    at = end + 1;
  }
  return reasonCode.ok;
}

/** Into the slot. */
function readRate(bytes: Uint8Array, from: number, to: number): boolean {
  const start = skipBlanks(bytes, from, to);
  if (readNumber(bytes, start, trimmed(bytes, start, to), slot) !== numberCode.finite) return false;
  return slot.value >= rateMin && slot.value <= 1;
}

/** -1: none that we know. */
function typeOf(bytes: Uint8Array, from: number, to: number): number {
  const at = skipBlanks(bytes, from, to);
  const length = trimmed(bytes, at, to) - at;
  const letter = bytes[at];
  if (length === 2) return letter === 0x6d && bytes[at + 1] === 0x73 ? statsdType.timer : -1;
  if (length !== 1) return -1;
  if (letter === 0x63) return statsdType.counter;
  if (letter === 0x67) return statsdType.gauge;
  if (letter === 0x73) return statsdType.set;
  return letter === 0x68 || letter === 0x64 ? statsdType.timer : -1;
}

/** DogStatsD's events `_e{` and service checks `_sc|`. */
function isOther(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < 3 || bytes[from] !== underscore) return false;
  if (bytes[from + 1] === 0x65) return bytes[from + 2] === 0x7b;
  return to - from > 3 && bytes[from + 1] === 0x73 && bytes[from + 2] === 0x63 && bytes[from + 3] === bar;
}

/** D4. Answers where the tags in the name begin, or -1 if nothing is left of the name. */
function cleanName(bytes: Uint8Array, from: number, to: number, line: StatsdLine): number {
  const { clean } = line;
  const tagsFrom = find(bytes, from, to, semicolon, semicolon);
  let length = 0;
  let hasNode = false;
  for (let at = from; at < tagsFrom && length < clean.length; at++) {
    const byte = cleanByte(bytes, at, from);
    if (byte === 0) continue;
    hasNode ||= byte !== dot;
    clean[length++] = byte;
  }
  line.nameLength = length;
  return hasNode ? tagsFrom : -1;
}

/** Tags in bytes[from, to), each ended by `separator`, to the cleaned name. */
function cleanTags(bytes: Uint8Array, from: number, to: number, separator: number, line: StatsdLine): void {
  const { clean } = line;
  for (let at = from; at < to && line.cleanLength <= statsdNameBytesMax; ) {
    const end = find(bytes, at, to, separator, separator);
    const tagFrom = skipBlanks(bytes, at, end);
    const tagTo = trimmed(bytes, tagFrom, end);
    const split = find(bytes, tagFrom, tagTo, colon, equals);
    at = end + 1;
    const before = line.cleanLength;
    let length = before;
    // Beyond the bound there is room for what shows that it is too much.
    const put = (byte: number) => {
      if (length < clean.length) clean[length++] = byte;
    };
    put(semicolon);
    for (let i = tagFrom; i < split; i++) {
      const byte = cleanByte(bytes, i, tagFrom);
      if (byte !== 0) put(byte);
    }
    if (length === before + 1) continue;
    put(equals);
    const valueFrom = length;
    for (let i = split + 1; i < tagTo; i++) {
      const raw = bytes[i] as number;
      const byte = raw === colon || raw === equals ? raw : cleanByte(bytes, i, split + 1);
      if (byte !== 0) put(byte);
    }
    if (length === valueFrom) for (const byte of trueBytes) put(byte);
    line.cleanLength = length;
  }
}

/** What of bytes[at] is kept: 0 for nothing. `from`: where its text begins, for a run of blanks is one `_`. */
function cleanByte(bytes: Uint8Array, at: number, from: number): number {
  const byte = bytes[at] as number;
  if ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a))
    return byte;
  if (byte === dot || byte === dash || byte === underscore) return byte;
  if (byte === 0x2f) return dash;
  if (!isBlank(byte)) return 0;
  return at > from && isBlank(bytes[at - 1] as number) ? 0 : underscore;
}

function keyStop(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte === dot || byte === colon || byte === bar || isBlank(byte)) break;
  }
  return at;
}

/** The first of two bytes in [from, to); `to` if there is none. */
function find(bytes: Uint8Array, from: number, to: number, one: number, other: number): number {
  let at = from;
  while (at < to && bytes[at] !== one && bytes[at] !== other) at++;
  return Math.min(at, to);
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(bytes[at] as number)) at++;
  return at;
}

/** The end of [from, to) without the blanks at it. */
function trimmed(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && isBlank(bytes[end - 1] as number)) end--;
  return end;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
