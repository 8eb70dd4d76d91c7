// Points out of pickles, `[(path, (time stamp, value)), ...]` in protocols 0 to 5, without ever doing what a pickle says.
//
// P1. Only data is read. What would import, call, build or fetch anything refuses the message whole.
// P2. Nothing throws, nothing recurses; the work is bounded by the length of the message: one step per opcode, and a
//     walk over one list. Parts that are shared by the memo are looked at once for each element, never multiplied.
// P3. A message is read whole or refused whole, before its first element is seen; of a message that was read an
//     element that is no point costs itself alone.
import { addQuoted, addUnicode } from "./pickle-text.ts";
import { floatOfText, integerOfBytes, integerOfText, valueKind, Values } from "./pickle-values.ts";

/** carbon's limit. */
export const pickleBytesMax = 1 << 20;
/** Of a longer text only so much is ever looked at: one more than a line may have. */
export const textBytesMost = 16_385;
/** Bytes of names and digits that all elements together may refer to: the memo lets a short message name much. */
export const workBytesMost = 16 << 20;
/** Picklers count from 0, and each entry takes a byte of the message. */
const memoMost = 1 << 20;

/** Why a message is refused. */
export const pickleProblems = [
  "too-long",
  "cut", // it ends before its end
  "opcode", // none of protocols 0 to 5
  "code", // it would have to import or call something
  "stack", // it takes what is not there
  "memo",
  "text", // digits or escapes that are none
  "shape", // not a list
  "work", // a bomb: small, but its elements refer to more than we look at
] as const;
export type PickleProblem = (typeof pickleProblems)[number];

/** What follows an opcode. */
const arg = {
  none: 1,
  one: 2,
  two: 3,
  four: 4,
  eight: 5,
  counted1: 6,
  counted4: 7,
  counted8: 8,
  line: 9,
  code: 10,
};
const forms = new Uint8Array(256);
const fixed: readonly number[] = [0, 0, 1, 2, 4, 8];
for (const [form, letters] of [
  [arg.none, "(.012Nad}esl]t)u\x85\x86\x87\x88\x89\x8f\x90\x91\x94"],
  [arg.one, "Khq\x80"],
  [arg.two, "M"],
  [arg.four, "Jjr"],
  [arg.eight, "G\x95"],
  [arg.counted1, "UC\x8a\x8c"],
  [arg.counted4, "TXB\x8b"],
  [arg.counted8, "\x8d\x8e\x96"],
  [arg.line, "FILSVgp"],
  [arg.code, "PQRbcio\x81\x82\x83\x84\x92\x93\x97\x98"],
] as const)
  for (const letter of letters) forms[letter.charCodeAt(0)] = form;

export class PickleReader {
  /** The element that `next` moved to: a point, or not. */
  isPoint = false;
  /** [nameFrom, nameTo) of `nameBytes`; empty where there is none. Of no point it is the first member, if a text. */
  nameBytes: Uint8Array = new Uint8Array(0);
  nameFrom = 0;
  nameTo = 0;
  /** Infinite: not a finite number, or no number at all. NaN: nan. */
  value = 0;
  seconds = 0;

  /** The message that is read now. */
  message: Uint8Array | undefined;
  /** How many elements have been seen. */
  seen = 0;
  /** How many there are. */
  elements = 0;

  readonly #values = new Values();
  #view: DataView = new DataView(new ArrayBuffer(0));
  #stack = new Int32Array(0);
  #height = 0;
  /** Heights of the stack at the marks. */
  #marks = new Int32Array(0);
  #markCount = 0;
  /** An entry holds while its round is the present one: so a new message need not clear what an old one left. */
  #memo = new Int32Array(0);
  #memoRound = new Float64Array(0);
  #memoCount = 0;
  #round = 0;
  #argFrom = 0;
  #argTo = 0;
  #root = 0;
  #cell = -1;

  /** Of a good message the elements come by `next`; they rest on `bytes`, which must not change. */
  read(bytes: Uint8Array): PickleProblem | undefined {
    this.message = undefined;
    if (bytes.length > pickleBytesMax) return "too-long";
    const values = this.#values;
    values.clear(bytes.length);
    if (this.#stack.length < values.kind.length) {
      this.#stack = new Int32Array(values.kind.length);
      this.#marks = new Int32Array(values.kind.length);
    }
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#height = 0;
    this.#markCount = 0;
    this.#memoCount = 0;
    this.#round++;
    const problem = this.#run(bytes);
    if (problem !== undefined) return problem;
    if (!values.isSequence(this.#root)) return "shape";
    this.message = bytes;
    this.elements = values.number[this.#root] as number;
    this.seek(0);
    if (this.#workBytes() > workBytesMost) {
      this.message = undefined;
      return "work";
    }
    return undefined;
  }

  /** Goes where `seen` elements are behind it. */
  seek(seen: number): void {
    const values = this.#values;
    this.seen = seen;
    this.#cell = this.elements === 0 ? -1 : (values.from[this.#root] as number);
    for (let i = 0; i < seen && this.#cell >= 0; i++) this.#cell = values.next[this.#cell] as number;
  }

  /** Moves on to the next element; false behind the last one. */
  next(): boolean {
    if (this.#cell < 0) return false;
    const values = this.#values;
    const element = values.member[this.#cell] as number;
    this.#cell = values.next[this.#cell] as number;
    this.seen++;
    this.isPoint = false;
    this.nameFrom = 0;
    this.nameTo = 0;
    if (!values.isSequence(element) || values.number[element] === 0) return true;
    const first = values.from[element] as number;
    const name = values.member[first] as number;
    if (!values.isText(name)) return true;
    this.#name(name);
    if (values.number[element] !== 2) return true;
    const pair = values.member[values.next[first] as number] as number;
    if (!values.isSequence(pair) || values.number[pair] !== 2) return true;
    const cell = values.from[pair] as number;
    this.seconds = this.#numberOf(values.member[cell] as number);
    this.value = this.#numberOf(values.member[values.next[cell] as number] as number);
    this.isPoint = true;
    return true;
  }

  #name(text: number): void {
    const { kind, from, own } = this.#values;
    this.nameBytes = kind[text] === valueKind.ownText ? own : (this.message as Uint8Array);
    this.nameFrom = from[text] as number;
    this.nameTo = this.nameFrom + Math.min(this.#values.textLength(text), textBytesMost);
  }

  #numberOf(value: number): number {
    const { kind, number, from, to, own } = this.#values;
    if (kind[value] === valueKind.number) return number[value] as number;
    const length = this.#values.textLength(value);
    if (length === 0 || length > textBytesMost) return Number.POSITIVE_INFINITY;
    const bytes = kind[value] === valueKind.ownText ? own : (this.message as Uint8Array);
    return floatOfText(bytes, from[value] as number, to[value] as number);
  }

  /** P2: what the elements refer to, counted as often as they do. */
  #workBytes(): number {
    const values = this.#values;
    const length = (text: number) => Math.min(values.textLength(text), textBytesMost);
    let bytes = 0;
    for (let cell = this.#cell; cell >= 0; cell = values.next[cell] as number) {
      const element = values.member[cell] as number;
      if (!values.isSequence(element) || values.number[element] === 0) continue;
      const first = values.from[element] as number;
      bytes += length(values.member[first] as number);
      if (values.number[element] !== 2) continue;
      const pair = values.member[values.next[first] as number] as number;
      if (!values.isSequence(pair) || values.number[pair] !== 2) continue;
      const inner = values.from[pair] as number;
      bytes += length(values.member[inner] as number);
      bytes += length(values.member[values.next[inner] as number] as number);
    }
    return bytes;
  }

  #run(bytes: Uint8Array): PickleProblem | undefined {
    let at = 0;
    while (at < bytes.length) {
      const opcode = bytes[at++] as number;
      const end = this.#argument(bytes, at, forms[opcode] as number);
      if (typeof end === "string") return end;
      at = end;
      if (opcode === 0x2e) {
        if (this.#height <= this.#floor()) return "stack";
        this.#root = this.#stack[this.#height - 1] as number;
        return undefined;
      }
      const problem = this.#step(bytes, opcode);
      if (problem !== undefined) return problem;
    }
    return "cut";
  }

  /** Finds [#argFrom, #argTo) and answers where the next opcode is. */
  #argument(bytes: Uint8Array, at: number, form: number): number | PickleProblem {
    let from = at;
    let length: number;
    if (form <= arg.eight) {
      if (form === 0) return "opcode";
      length = fixed[form] as number;
    } else if (form === arg.line) {
      const end = bytes.indexOf(0x0a, at);
      if (end < 0) return "cut";
      this.#argFrom = at;
      this.#argTo = end;
      return end + 1;
    } else if (form === arg.code) return "code";
    else {
      const width = form === arg.counted1 ? 1 : form === arg.counted4 ? 4 : 8;
      from = at + width;
      if (from > bytes.length) return "cut";
      length = width === 1 ? (bytes[at] as number) : this.#view.getUint32(at, true);
      if (width === 8 && this.#view.getUint32(at + 4, true) !== 0) return "cut";
    }
    // A length that is negative in Python's eyes is one beyond the message here.
    if (length > bytes.length - from) return "cut";
    this.#argFrom = from;
    this.#argTo = from + length;
    return this.#argTo;
  }

  #step(bytes: Uint8Array, opcode: number): PickleProblem | undefined {
    const values = this.#values;
    const view = this.#view;
    const from = this.#argFrom;
    const to = this.#argTo;
    switch (opcode) {
      case 0x4a: // BININT
        return this.#number(view.getInt32(from, true));
      case 0x4b: // BININT1
        return this.#number(bytes[from] as number);
      case 0x4d: // BININT2
        return this.#number(view.getUint16(from, true));
      case 0x47: // BINFLOAT
        return this.#number(view.getFloat64(from));
      case 0x88: // NEWTRUE
        return this.#number(1);
      case 0x89: // NEWFALSE
        return this.#number(0);
      case 0x8a: // LONG1
      case 0x8b: // LONG4
        return this.#number(integerOfBytes(view, from, to));
      case 0x46: // FLOAT
        return this.#number(floatOfText(bytes, from, to));
      case 0x49: // INT; 00 and 01 are bools, and the same numbers
        return this.#integer(integerOfText(bytes, from, to));
      case 0x4c: // LONG
        return this.#integer(integerOfText(bytes, from, bytes[to - 1] === 0x4c && to > from ? to - 1 : to));
      case 0x4e: // NONE
        return this.#push(values.add(valueKind.none, 0, 0, 0));
      case 0x53: // STRING
        return this.#text(addQuoted(values, bytes, from, to));
      case 0x56: // UNICODE
        return this.#text(addUnicode(values, bytes, from, to));
      case 0x54: // BINSTRING
      case 0x55: // SHORT_BINSTRING
      case 0x58: // BINUNICODE
      case 0x42: // BINBYTES
      case 0x43: // SHORT_BINBYTES
      case 0x8c: // SHORT_BINUNICODE
      case 0x8d: // BINUNICODE8
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(values.add(valueKind.text, 0, from, to));
      case 0x67: // GET
      case 0x68: // BINGET
      case 0x6a: // LONG_BINGET
        return this.#recall(this.#index(bytes, from, to, opcode === 0x67));
      case 0x70: // PUT
      case 0x71: // BINPUT
      case 0x72: // LONG_BINPUT
        return this.#keep(this.#index(bytes, from, to, opcode === 0x70));
      case 0x94: // MEMOIZE
        return this.#keep(this.#memoCount);
      case 0x80: // PROTO
        return (bytes[from] as number) > 5 ? "opcode" : undefined;
      case 0x95: // FRAME: a hint for readers of files; one that promises more than there is, is cut
        return view.getUint32(from + 4, true) !== 0 || view.getUint32(from, true) > bytes.length - to
          ? "cut"
          : undefined;
      default:
        return this.#arrange(opcode);
    }
  }

  /** Opcodes without an argument that move what is on the stack. */
  #arrange(opcode: number): PickleProblem | undefined {
    const values = this.#values;
    switch (opcode) {
      case 0x28: // MARK
        this.#marks[this.#markCount++] = this.#height;
        return undefined;
      case 0x30: // POP; a mark on top is what it pops
        if (this.#height > this.#floor()) this.#height--;
        else if (this.#markCount > 0) this.#markCount--;
        else return "stack";
        return undefined;
      case 0x31: // POP_MARK
        return this.#toMark() < 0 ? "stack" : undefined;
      case 0x32: // DUP
        if (this.#height <= this.#floor()) return "stack";
        return this.#push(this.#stack[this.#height - 1] as number);
      case 0x5d: // EMPTY_LIST
        return this.#push(values.add(valueKind.list, 0, -1, -1));
      case 0x29: // EMPTY_TUPLE
        return this.#push(values.add(valueKind.tuple, 0, -1, -1));
      case 0x7d: // EMPTY_DICT
        return this.#push(values.add(valueKind.dict, 0, 0, 0));
      case 0x8f: // EMPTY_SET
        return this.#push(values.add(valueKind.set, 0, 0, 0));
      case 0x61: // APPEND
        return this.#extend(valueKind.list, 1);
      case 0x73: // SETITEM
        return this.#extend(valueKind.dict, 2);
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#collect(valueKind.tuple, opcode - 0x84);
      default: {
        const members = this.#toMark();
        if (members < 0) return "stack";
        this.#height += members;
        if (opcode === 0x65) return this.#extend(valueKind.list, members); // APPENDS
        if (opcode === 0x6c) return this.#collect(valueKind.list, members); // LIST
        if (opcode === 0x74) return this.#collect(valueKind.tuple, members); // TUPLE
        if (opcode === 0x90) return this.#extend(valueKind.set, members); // ADDITEMS
        if (opcode === 0x91) return this.#collect(valueKind.set, members); // FROZENSET
        if (members % 2 !== 0) return "stack";
        if (opcode === 0x75) return this.#extend(valueKind.dict, members); // SETITEMS
        return this.#collect(valueKind.dict, members); // DICT
      }
    }
  }

  /** Below it the stack belongs to an open mark. */
  #floor(): number {
    return this.#markCount === 0 ? 0 : (this.#marks[this.#markCount - 1] as number);
  }

  /** Takes all above the last mark off the stack, and the mark; answers how many they were, or -1. */
  #toMark(): number {
    if (this.#markCount === 0) return -1;
    const height = this.#marks[--this.#markCount] as number;
    const members = this.#height - height;
    this.#height = height;
    return members;
  }

  #push(value: number): undefined {
    this.#stack[this.#height++] = value;
  }

  #number(number: number): undefined {
    this.#push(this.#values.add(valueKind.number, number, 0, 0));
  }

  #integer(number: number | undefined): PickleProblem | undefined {
    return number === undefined ? "text" : this.#number(number);
  }

  #text(value: number | undefined): PickleProblem | undefined {
    return value === undefined ? "text" : this.#push(value);
  }

  /** The uppermost `members` become members of what lies below them. Only those of lists are of interest. */
  #extend(kind: number, members: number): PickleProblem | undefined {
    const at = this.#height - members - 1;
    if (at < this.#floor()) return "stack";
    const target = this.#stack[at] as number;
    if (this.#values.kind[target] !== kind) return "stack";
    if (kind === valueKind.list)
      for (let i = at + 1; i < this.#height; i++) this.#values.append(target, this.#stack[i] as number);
    this.#height = at + 1;
    return undefined;
  }

  /** The uppermost `members` become one value. */
  #collect(kind: number, members: number): PickleProblem | undefined {
    const at = this.#height - members;
    if (at < this.#floor()) return "stack";
    const value = this.#values.add(kind, 0, -1, -1);
    if (kind === valueKind.list || kind === valueKind.tuple)
      for (let i = at; i < this.#height; i++) this.#values.append(value, this.#stack[i] as number);
    this.#height = at;
    return this.#push(value);
  }

  /** An index into the memo; -1 where it is none. */
  #index(bytes: Uint8Array, from: number, to: number, isText: boolean): number {
    if (isText) return integerOfText(bytes, from, to) ?? -1;
    return to - from === 1 ? (bytes[from] as number) : this.#view.getUint32(from, true);
  }

  #keep(index: number): PickleProblem | undefined {
    if (index < 0 || index >= memoMost) return "memo";
    if (this.#height <= this.#floor()) return "stack";
    if (index >= this.#memo.length) {
      const room = Math.max(1024, 2 ** Math.ceil(Math.log2(index + 1)));
      const [memo, rounds] = [new Int32Array(room), new Float64Array(room)];
      memo.set(this.#memo);
      rounds.set(this.#memoRound);
      this.#memo = memo;
      this.#memoRound = rounds;
    }
    if (this.#memoRound[index] !== this.#round) this.#memoCount++;
    this.#memoRound[index] = this.#round;
    this.#memo[index] = this.#stack[this.#height - 1] as number;
    return undefined;
  }

  #recall(index: number): PickleProblem | undefined {
    if (index < 0 || index >= this.#memo.length || this.#memoRound[index] !== this.#round) return "memo";
    return this.#push(this.#memo[index] as number);
  }
}
