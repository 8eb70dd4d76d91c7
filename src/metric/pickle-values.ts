// The values of one pickle, as rows of columns: a message of a megabyte makes a million of them, and no object.
//
// V1. Room is made once, from the length of the message: an opcode is a byte at least and makes one value at most, and
//     a value that is put into a list was pushed by a byte of its own. So nothing here can overflow.
import { NumberSlot, numberCode, readNumber } from "./number.ts";

export const valueKind = {
  none: 0,
  number: 1,
  text: 2,
  ownText: 3,
  list: 4,
  tuple: 5,
  dict: 6,
  set: 7,
} as const;

/** Doubles end below 2^1024: a longer integer is infinite. */
const longBytesMost = 129;
/** More digits than anybody sends; to read them all would be work for nothing. */
export const numberCharsMost = 1000;
const bits64 = 64n;
const slot = new NumberSlot();

export class Values {
  count = 0;
  kind = new Uint8Array(0);
  /** The number, or how many members a list has. */
  number = new Float64Array(0);
  /** Text: [from, to) in the message, or in `own`. List or tuple: its first and its last cell. */
  from = new Int32Array(0);
  to = new Int32Array(0);
  /** Cells chain the members of lists and tuples, in order. */
  cells = 0;
  member = new Int32Array(0);
  next = new Int32Array(0);
  /** Texts that had to be rewritten: what stood in escapes. Never longer than what they were made of, twice. */
  own = new Uint8Array(0);
  ownLength = 0;

  clear(messageBytes: number): void {
    this.count = 0;
    this.cells = 0;
    this.ownLength = 0;
    if (this.kind.length >= messageBytes) return;
    const room = Math.max(4096, 2 ** Math.ceil(Math.log2(messageBytes)));
    this.kind = new Uint8Array(room);
    this.number = new Float64Array(room);
    this.from = new Int32Array(room);
    this.to = new Int32Array(room);
    this.member = new Int32Array(room);
    this.next = new Int32Array(room);
  }

  add(kind: number, number: number, from: number, to: number): number {
    const at = this.count++;
    this.kind[at] = kind;
    this.number[at] = number;
    this.from[at] = from;
    this.to[at] = to;
    return at;
  }

  append(list: number, value: number): void {
    const cell = this.cells++;
    this.member[cell] = value;
    this.next[cell] = -1;
    if (this.number[list] === 0) this.from[list] = cell;
    else this.next[this.to[list] as number] = cell;
    this.to[list] = cell;
    this.number[list] = (this.number[list] as number) + 1;
  }

  /** Room for a rewritten text of a source this long. */
  reserveOwn(sourceBytes: number): void {
    const needed = this.ownLength + 2 * sourceBytes;
    if (this.own.length >= needed) return;
    const grown = new Uint8Array(Math.max(4096, 2 * needed));
    grown.set(this.own.subarray(0, this.ownLength));
    this.own = grown;
  }

  isSequence(value: number): boolean {
    const kind = this.kind[value];
    return kind === valueKind.list || kind === valueKind.tuple;
  }

  isText(value: number): boolean {
    const kind = this.kind[value];
    return kind === valueKind.text || kind === valueKind.ownText;
  }

  textLength(value: number): number {
    return this.isText(value) ? (this.to[value] as number) - (this.from[value] as number) : 0;
  }
}

/** What Python's float() makes of digits; an infinity stands for everything that is no finite number, NaN for nan. */
export function floatOfText(bytes: Uint8Array, from: number, to: number): number {
  let first = from;
  let end = to;
  while (first < end && isBlank(bytes[first] as number)) first++;
  while (end > first && isBlank(bytes[end - 1] as number)) end--;
  if (end - first > numberCharsMost) return Number.POSITIVE_INFINITY;
  const code = readNumber(bytes, first, end, slot);
  if (code === numberCode.finite) return slot.value;
  return code === numberCode.nan ? Number.NaN : Number.POSITIVE_INFINITY;
}

/** A decimal integer as INT and LONG write it, L stripped; undefined where it is none. */
export function integerOfText(bytes: Uint8Array, from: number, to: number): number | undefined {
  let first = from;
  let end = to;
  while (first < end && isBlank(bytes[first] as number)) first++;
  while (end > first && isBlank(bytes[end - 1] as number)) end--;
  const sign = bytes[first];
  const digits = sign === 0x2d || sign === 0x2b ? first + 1 : first;
  if (digits >= end) return undefined;
  for (let at = digits; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
  }
  return floatOfText(bytes, first, end);
}

/** Two's complement, the low byte first. Rounded as float(int) rounds. */
export function integerOfBytes(view: DataView, from: number, to: number): number {
  if (from === to) return 0;
  let end = to;
  const negative = view.getInt8(to - 1) < 0;
  const fill = negative ? 0xff : 0;
  while (end - from > 1 && view.getUint8(end - 1) === fill && view.getInt8(end - 2) < 0 === negative) end--;
  if (end - from > longBytesMost) return Number.POSITIVE_INFINITY;
  if (end - from <= 6) {
    let number = view.getInt8(end - 1);
    for (let at = end - 2; at >= from; at--) number = number * 256 + view.getUint8(at);
    return number;
  }
  let head = end;
  let big = 0n;
  for (let left = (end - from) % 8; left > 0; left--) big = (big << 8n) | BigInt(view.getUint8(--head));
  const bits = (end - from) * 8;
  for (; head > from; head -= 8) big = (big << bits64) | view.getBigUint64(head - 8, true);
  return Number(BigInt.asIntN(bits, big));
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
