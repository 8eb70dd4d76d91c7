// Reads what columns.ts writes (K1 to K3), into columns of whoever asks. Nothing is allocated but scratch that grows with
// the rows, and no more rows are believed than `rowsMaxOf` allows for the bytes there are.
import { Outage } from "../base/errors.ts";
import {
  kindOne,
  kindRaw,
  kindUlps,
  kindXor,
  modeDeltas,
  modeOffsets,
  modeRuns,
  placesMost,
  planeBits,
  planeUnit,
  powers,
  slackBytes,
} from "./columns.ts";

const widthMost = 53;

const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);

export function corruptPiece(why: string): Outage {
  return new Outage("store-corrupt", `a piece is not what was written: ${why}`);
}

export class ColumnReader {
  #bytes: Uint8Array = new Uint8Array(slackBytes);
  #view: DataView = new DataView(this.#bytes.buffer);
  at = 0;
  /** Nothing from here on is read, but for the slack that follows the columns somewhere. */
  end = 0;
  /** Rows of a column that are wanted; what comes of the others is not said. */
  from = 0;
  to = 0;
  /** Whole numbers read last: of row i at i. */
  whole = new Float64Array(512);
  #decimals = new Float64Array(512);

  /** `bytes` end with the slack. */
  open(bytes: Uint8Array): void {
    if (bytes.length < slackBytes) throw corruptPiece("it is too short");
    // Whatever kind of buffer they come in: the loops below see one kind only.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = 0;
    this.end = bytes.length - slackBytes;
  }

  reserve(rows: number): void {
    if (rows <= this.whole.length) return;
    const capacity = 2 ** Math.ceil(Math.log2(rows));
    this.whole = new Float64Array(capacity);
    this.#decimals = new Float64Array(capacity);
  }

  /** Where `length` bytes begin that are there. */
  #take(length: number): number {
    const { at } = this;
    if (at + length > this.end) throw corruptPiece("a column goes beyond its end");
    this.at = at + length;
    return at;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  count(): number {
    let value = 0;
    for (let unit = 1; unit < 2 ** 56; unit *= 128) {
      const byte = this.byte();
      value += (byte & 127) * unit;
      if (byte < 128) {
        if (value > 2 ** 53) break;
        return value;
      }
    }
    throw corruptPiece("a number is too long");
  }

  #signed(): number {
    const value = this.count();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Positions of the bits that are set, into `whole`: `rows` of them among `count` bits. */
  bitmap(rows: number, count: number): void {
    const bytes = this.#bytes;
    const length = Math.ceil(count / 8);
    const start = this.#take(length);
    const { whole } = this;
    let found = 0;
    for (let i = 0; i < length; i++) {
      for (let left = bytes[start + i] as number; left !== 0; left &= left - 1) {
        if (found === rows) throw corruptPiece("too many rows");
        whole[found++] = i * 8 + 31 - Math.clz32(left & -left);
      }
    }
    if (found !== rows) throw corruptPiece("too few rows");
  }

  /** Whole numbers of `rows` rows, into `whole`. */
  wholes(rows: number): void {
    const head = this.byte();
    const mode = head >>> 6;
    const width = head & 63;
    if (width > widthMost) throw corruptPiece("numbers too wide");
    const least = this.#signed();
    const { whole, from, to } = this;
    if (mode === modeOffsets) {
      this.#unpack(whole, 0, rows, from, to, least, width);
      return;
    }
    if (mode === modeDeltas) {
      let value = this.#signed();
      this.#unpack(whole, 1, rows, 1, to, least, width);
      whole[0] = value;
      for (let i = 1; i < to; i++) {
        value += whole[i] as number;
        whole[i] = value;
      }
      return;
    }
    if (mode !== modeRuns) throw corruptPiece("numbers of an unknown kind");
    this.#runs(rows, least, width);
  }

  #runs(rows: number, least: number, width: number): void {
    const changes = this.count();
    if (changes >= rows) throw corruptPiece("too many changes");
    const bytes = this.#bytes;
    const start = this.#take(Math.ceil(rows / 8));
    const values = this.#decimals;
    this.#unpack(values, 0, changes + 1, 0, changes + 1, least, width);
    const { whole, to } = this;
    let kept = 0;
    let value = values[0] as number;
    for (let i = 0; i < to; i++) {
      if ((((bytes[start + (i >>> 3)] as number) >>> (i & 7)) & 1) === 1) {
        if (++kept > changes) throw corruptPiece("more changes than values");
        value = values[kept] as number;
      }
      whole[i] = value;
    }
  }

  /** A column of rows [first, end): of these [from, to) into `into`. */
  #unpack(
    into: Float64Array,
    first: number,
    end: number,
    from: number,
    to: number,
    least: number,
    width: number,
  ): void {
    if (width === 0) {
      for (let i = from; i < to; i++) into[i] = least;
      return;
    }
    for (let plane = 0; plane * planeBits < width; plane++) {
      const bits = Math.min(width - plane * planeBits, planeBits);
      const start = this.#take(Math.ceil(((end - first) * bits) / 8));
      if (plane === 0) this.#unpackPlane(into, start, from, to, first, least, bits);
      else this.#addPlane(into, start, from, to, first, planeUnit ** plane, bits);
    }
  }

  #unpackPlane(
    into: Float64Array,
    start: number,
    from: number,
    to: number,
    first: number,
    least: number,
    width: number,
  ): void {
    if (width === 8) {
      const bytes = this.#bytes;
      for (let i = from, at = start + from - first; i < to; i++, at++)
        into[i] = least + (bytes[at] as number);
      return;
    }
    const view = this.#view;
    const mask = (1 << width) - 1;
    for (let i = from, bit = (from - first) * width; i < to; i++, bit += width)
      into[i] = least + ((view.getUint32(start + (bit >>> 3), true) >>> (bit & 7)) & mask);
  }

  #addPlane(
    into: Float64Array,
    start: number,
    from: number,
    to: number,
    first: number,
    unit: number,
    width: number,
  ): void {
    const view = this.#view;
    const mask = (1 << width) - 1;
    for (let i = from, bit = (from - first) * width; i < to; i++, bit += width)
      into[i] =
        (into[i] as number) + unit * ((view.getUint32(start + (bit >>> 3), true) >>> (bit & 7)) & mask);
  }

  /** Past a column of `rows` rows: what it takes to know where it ends. */
  skipWholes(rows: number): void {
    const { from, to } = this;
    this.from = 0;
    this.to = 0;
    this.wholes(rows);
    this.from = from;
    this.to = to;
  }

  /** As `doubles`, or past them. */
  doublesIf(wanted: boolean, into: Float64Array, offset: number, rows: number): void {
    const { from, to } = this;
    if (!wanted) {
      this.from = 0;
      this.to = 0;
    }
    this.doubles(into, offset, rows);
    this.from = from;
    this.to = to;
  }

  /** Doubles of `rows` rows: the wanted ones into `into`, the first of them at `offset`. */
  doubles(into: Float64Array, offset: number, rows: number): void {
    const kind = this.byte();
    const { from, to } = this;
    if (kind === kindRaw) this.#raw(into, offset, rows);
    else if (kind === kindXor) this.#xor(into, offset, rows);
    else if (kind === kindOne) {
      const value = this.#view.getFloat64(this.#take(8), true);
      into.fill(value, offset, offset + to - from);
    } else {
      const places = kind & ~kindUlps;
      if (places > placesMost) throw corruptPiece("doubles of an unknown kind");
      this.wholes(rows);
      const { whole } = this;
      const power = powers[places] as number;
      const by = offset - from;
      if (power === 1) for (let i = from; i < to; i++) into[by + i] = whole[i] as number;
      else for (let i = from; i < to; i++) into[by + i] = (whole[i] as number) / power;
      if (kind !== places) this.#addUlps(into, offset, rows);
    }
  }

  #addUlps(into: Float64Array, offset: number, rows: number): void {
    this.wholes(rows);
    const { whole: ulps, from, to } = this;
    for (let i = from, at = offset; i < to; i++, at++) {
      if (ulps[i] === 0) continue;
      double[0] = into[at] as number;
      const low = (halves[0] as number) + (ulps[i] as number);
      halves[0] = low;
      halves[1] = (halves[1] as number) + Math.floor(low / 2 ** 32);
      into[at] = double[0];
    }
  }

  #raw(into: Float64Array, offset: number, rows: number): void {
    const view = this.#view;
    const { from, to } = this;
    let at = this.#take(8 * rows) + 8 * from;
    for (let i = offset; i < offset + to - from; i++, at += 8) into[i] = view.getFloat64(at, true);
  }

  #xor(into: Float64Array, offset: number, rows: number): void {
    const bytes = this.#bytes;
    const view = this.#view;
    const { end, from, to } = this;
    let { at } = this;
    let low = 0;
    let high = 0;
    for (let i = 0; i < rows; i++) {
      const head = bytes[at++] as number;
      const length = head & 15;
      const below = head >>> 4;
      if (length + below > 8 || at + length > end) throw corruptPiece("a double goes beyond its end");
      if (length > 0) {
        let lower = view.getUint32(at, true);
        let upper = view.getUint32(at + 4, true);
        if (length <= 4) {
          upper = 0;
          if (length < 4) lower &= (1 << (length * 8)) - 1;
        } else if (length < 8) upper &= (1 << ((length - 4) * 8)) - 1;
        const shift = (below & 3) * 8;
        if (shift !== 0) {
          upper = (upper << shift) | (lower >>> (32 - shift));
          lower <<= shift;
        }
        low ^= below >= 4 ? 0 : lower;
        high ^= below >= 4 ? lower : upper;
        at += length;
      }
      if (i < from || i >= to) continue;
      halves[0] = low;
      halves[1] = high;
      into[offset + i - from] = double[0] as number;
    }
    this.at = at;
  }
}
