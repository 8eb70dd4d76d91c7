// The part of msgpack that points are made of: nil, booleans, numbers, texts, arrays and maps. A library would do for
// what we wrote ourselves, but this comes from strangers: a header of five bytes may claim four billion elements.
//
// M1. Nothing is allocated for a claim: a count that the bytes left can't hold is malformed. Depth is bounded, and so is
//     the number of points: the smallest one takes four bytes.
// M2. Never throws on input: what can't be read is undefined, and `broken` says why.
import type { PointLines } from "./points.ts";

const depthMax = 8;
const pointBytesLeast = 4;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a payload is msgpack: an array or a map. No line begins with such a byte. */
export function looksLikeMsgpack(first: number | undefined): boolean {
  return first !== undefined && ((first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf));
}

/** An array of points, or one point as a map. */
export function pointsOfMsgpack(bytes: Buffer, points: PointLines): void {
  const reader = new Reader(bytes);
  const count = reader.arrayCount();
  if (count === undefined) {
    one(reader, points);
  } else for (let n = 0; n < count && reader.broken === ""; n++) one(reader, points);
  if (reader.broken === "" && !reader.atEnd) points.refuse("malformed", "", "bytes behind the last point");
}

function one(reader: Reader, points: PointLines): void {
  const value = reader.value(0);
  // Where one value can't be read, nobody knows where the next begins.
  if (reader.broken !== "") points.refuse("malformed", "", `msgpack: ${reader.broken}`);
  else points.add(value, () => textOf(value));
}

function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? ""
  );
}

class Reader {
  broken = "";
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Of an array that begins here; undefined, and nothing read, where there is none. */
  arrayCount(): number | undefined {
    const head = this.#bytes[this.#at] ?? 0;
    if ((head & 0xf0) === 0x90) {
      this.#at++;
      return this.#fits(head & 0x0f, 1);
    }
    if (head !== 0xdc && head !== 0xdd) return undefined;
    this.#at++;
    return this.#fits(this.#uint(head === 0xdc ? 2 : 4), pointBytesLeast);
  }

  value(depth: number): unknown {
    const head = this.#uint(1);
    if (this.broken !== "") return undefined;
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 256;
    if (head < 0x90) return this.#map(head & 0x0f, depth);
    if (head < 0xa0) return this.#array(head & 0x0f, depth);
    if (head < 0xc0) return this.#text(head & 0x1f);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xd9:
        return this.#text(this.#uint(1));
      case 0xc5:
      case 0xda:
        return this.#text(this.#uint(2));
      case 0xc6:
      case 0xdb:
        return this.#text(this.#uint(4));
      case 0xca:
        return this.#take(4)?.readFloatBE(0);
      case 0xcb:
        return this.#take(8)?.readDoubleBE(0);
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#take(8)?.readBigUInt64BE(0);
      case 0xd0:
        return this.#take(1)?.readInt8(0);
      case 0xd1:
        return this.#take(2)?.readInt16BE(0);
      case 0xd2:
        return this.#take(4)?.readInt32BE(0);
      case 0xd3:
        return this.#take(8)?.readBigInt64BE(0);
      case 0xdc:
        return this.#array(this.#uint(2), depth);
      case 0xdd:
        return this.#array(this.#uint(4), depth);
      case 0xde:
        return this.#map(this.#uint(2), depth);
      case 0xdf:
        return this.#map(this.#uint(4), depth);
      default:
        this.broken = `a value of type 0x${head.toString(16)}`;
        return undefined;
    }
  }

  #array(count: number, depth: number): unknown[] {
    const out: unknown[] = [];
    if (depth >= depthMax) this.broken = "too deep";
    const fits = this.#fits(count, 1);
    for (let n = 0; n < fits && this.broken === ""; n++) out.push(this.value(depth + 1));
    return out;
  }

  #map(count: number, depth: number): unknown {
    const out: [string, unknown][] = [];
    if (depth >= depthMax) this.broken = "too deep";
    const fits = this.#fits(count, 2);
    for (let n = 0; n < fits && this.broken === ""; n++) {
      const key = this.value(depth + 1);
      const value = this.value(depth + 1);
      if (typeof key === "string") out.push([key, value]);
    }
    return Object.fromEntries(out);
  }

  #text(length: number): string {
    const bytes = this.#take(length);
    if (bytes === undefined) return "";
    try {
      return utf8.decode(bytes);
    } catch {
      // A name with a control character: refused as one, and the next point is read.
      return "\u0000";
    }
  }

  /** M1. */
  #fits(count: number, bytesEach: number): number {
    if (count * bytesEach <= this.#bytes.length - this.#at) return count;
    this.broken ||= "it ends early";
    return 0;
  }

  #uint(length: number): number {
    return this.#take(length)?.readUIntBE(0, length) ?? 0;
  }

  #take(length: number): Buffer | undefined {
    if (this.broken !== "") return undefined;
    if (length > this.#bytes.length - this.#at) {
      this.broken = "it ends early";
      return undefined;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
