// Bodies taken apart as they come: whole lines, or whole JSON elements made into lines, in pieces of about a megabyte.
//
// P1. A piece has whole lines only; what is not whole yet waits, bounded: of a line or an element that is too long only
//     its beginning is kept, enough to refuse it as one.
import { isUtf8 } from "node:buffer";
import { messageOf } from "../base/errors.ts";
import { lineBytesMax } from "../metric/line.ts";
import { Gathered } from "./gathered.ts";
import { type BadPoint, PointLines, type TakenPoints } from "./points.ts";

export interface Piece {
  lines: Buffer;
  bad: readonly BadPoint[];
}

export interface Cutter {
  /** Bytes that came and were not cut off yet. */
  readonly held: number;
  push(chunk: Buffer): void;
  /** What is whole, once it is worth it; with `last` all there is, a line without its end too. */
  cut(last: boolean): Piece | undefined;
}

export const pieceBytes = 1 << 20;
const newline = 0x0a;

export class LineCutter implements Cutter {
  readonly #gathered = new Gathered();
  /** Bytes since the last line end, those that were dropped too. */
  #open = 0;

  get held(): number {
    return this.#gathered.length;
  }

  push(chunk: Buffer): void {
    const last = chunk.lastIndexOf(newline);
    const long = this.#open > lineBytesMax;
    this.#open = last < 0 ? this.#open + chunk.length : chunk.length - last - 1;
    const kept = !long ? chunk : last < 0 ? chunk.subarray(0, 0) : chunk.subarray(chunk.indexOf(newline));
    this.#gathered.add(kept);
  }

  cut(last: boolean): Piece | undefined {
    if (!last && this.held < pieceBytes) return undefined;
    const all = this.#gathered.take();
    const end = last ? all.length : all.lastIndexOf(newline) + 1;
    this.#gathered.add(all.subarray(end));
    return end === 0 ? undefined : { lines: all.subarray(0, end), bad: [] };
  }
}

/** How a body is read: as lines, as JSON, as JSON line by line. */
export type Reading = "lines" | "json" | "json-lines";

export function cutterOf(reading: Reading): Cutter {
  if (reading === "lines") return new LineCutter();
  return reading === "json" ? new JsonOrLines() : new JsonCutter(true);
}

/** Many say JSON and send lines: their first byte says what it is. */
class JsonOrLines implements Cutter {
  #cutter: Cutter | undefined;

  get held(): number {
    return this.#cutter?.held ?? 0;
  }

  push(chunk: Buffer): void {
    if (this.#cutter === undefined) {
      const first = chunk.find((byte) => byte > 0x20);
      if (first === undefined) return;
      this.#cutter = first === 0x5b || first === 0x7b ? new JsonCutter(false) : new LineCutter();
    }
    this.#cutter.push(chunk);
  }

  cut(last: boolean): Piece | undefined {
    return this.#cutter?.cut(last);
  }
}

/** A point, or what is no point, is refused beyond this. */
export const elementBytesMax = 64 << 10;

/**
 * A JSON array of points, one point, or points one behind the other: what stands at the top, whether in brackets or
 * not. With `lines` each line is an element, so that a broken one costs itself only.
 */
export class JsonCutter implements Cutter {
  readonly #lines: boolean;
  readonly #points = new PointLines();
  /** The element that is not whole yet, up to elementBytesMax. */
  readonly #part = new Gathered();
  #long = false;
  #inside = false;
  #depth = 0;
  #text = false;
  #escaped = false;
  /** Within the brackets at the top. */
  #array = false;

  constructor(lines: boolean) {
    this.#lines = lines;
  }

  get held(): number {
    return this.#points.length + this.#part.length;
  }

  push(chunk: Buffer): void {
    const rest = this.#lines ? this.#scanLines(chunk) : this.#scan(chunk);
    if (rest < chunk.length) this.#keep(chunk.subarray(rest));
  }

  cut(last: boolean): TakenPoints | undefined {
    if (last && this.#inside) {
      if (this.#lines || (this.#depth === 0 && !this.#text)) this.#element(Buffer.alloc(0));
      else this.#points.refuse("malformed", this.#begin(), "the JSON ends early");
    } else if (last && this.#array) this.#points.refuse("malformed", "", "the JSON ends early");
    if (!last && this.#points.length < pieceBytes) return undefined;
    return this.#points.take();
  }

  /** Answers where the element that is not whole begins. */
  #scanLines(chunk: Buffer): number {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      this.#element(chunk.subarray(from, at));
      from = at + 1;
    }
    this.#inside = this.#part.length > 0 || this.#long || from < chunk.length;
    return from;
  }

  #scan(chunk: Buffer): number {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#text) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === 0x5c) this.#escaped = true;
        else if (byte === 0x22) this.#text = false;
        continue;
      }
      if (!this.#inside) {
        if (byte <= 0x20 || byte === 0x2c) continue;
        if (byte === 0x5b && !this.#array) {
          this.#array = true;
          continue;
        }
        if (byte === 0x5d && this.#array) {
          this.#array = false;
          continue;
        }
        this.#inside = true;
        from = at;
      }
      if (byte === 0x22) this.#text = true;
      else if (byte === 0x7b || byte === 0x5b) this.#depth++;
      else if (byte === 0x7d || byte === 0x5d) {
        if (this.#depth > 0) this.#depth--;
        else if (byte === 0x5d && this.#array) {
          // A bare word was the last element.
          this.#element(chunk.subarray(from, at));
          this.#array = false;
          continue;
        }
        if (this.#depth === 0) this.#element(chunk.subarray(from, at + 1));
      } else if (this.#depth === 0 && (byte === 0x2c || byte <= 0x20))
        this.#element(chunk.subarray(from, at));
      if (!this.#inside) from = at + 1;
    }
    return this.#inside ? from : chunk.length;
  }

  #keep(part: Buffer): void {
    if (this.#part.length + part.length > elementBytesMax) {
      this.#long = true;
      if (this.#part.length > 0) return;
    }
    // A copy, so that a large chunk is not kept for the sake of its end.
    this.#part.add(Buffer.from(part.subarray(0, elementBytesMax)));
  }

  #element(end: Buffer): void {
    this.#part.add(end);
    const whole = this.#part.take();
    const long = this.#long || whole.length > elementBytesMax;
    if (long) this.#points.refuse("line-too-long", this.#begin(whole), `over ${elementBytesMax} bytes`);
    else if (!isUtf8(whole)) this.#points.refuse("not-utf8", this.#begin(whole));
    else this.#parse(whole.toString("utf8"));
    this.#long = false;
    this.#inside = false;
    this.#depth = 0;
  }

  #parse(text: string): void {
    // Of lines, blank ones count as lines but are nothing.
    if (this.#lines && text.trim() === "") return this.#points.blank();
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      return this.#points.refuse("malformed", text, messageOf(error).slice(0, 100));
    }
    this.#points.add(value, () => text);
  }

  #begin(whole: Buffer = this.#part.bytes): string {
    return whole.toString("utf8", 0, 120);
  }
}
