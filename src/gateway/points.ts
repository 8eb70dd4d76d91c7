// Points as values, of JSON or msgpack, to plaintext lines: from there on they are like everybody else's.
//
// V1. Each element becomes one line, an empty one where it is refused: so the n-th line is the n-th element.
// V2. No name, tag or value can end a line or a word: what would split (L4 of metric/line.ts) is refused.
// V3. A number is written so that reading gives the same double.
// V4. What bad elements cost is bounded: beyond a thousand, one becomes a line that is refused for the same reason, so it
//     is counted like any other bad line.
import { formatTagged, parseTagged } from "../metric/name.ts";
import type { Reason } from "../metric/reason.ts";

/** Why an element was refused, with a sentence where the reason alone would not help. */
export interface BadPoint {
  /** Of the elements given to `add` since the last `take`, counted from 1. */
  line: number;
  reason: Reason;
  hint?: string;
  text: string;
}

export interface TakenPoints {
  lines: Buffer;
  bad: BadPoint[];
}

const bytesFirst = 16 << 10;
const textCharsMax = 120;
/** Bad elements that are told apart, between two takes. */
const listedMost = 1000;
/** Lines that the grammar refuses for the same reason. */
const refusedLine: { readonly [Word in Reason]?: string } = {
  "bad-name": "\u0001 1",
  "bad-value": "x x",
  nan: "x nan",
  "bad-timestamp": "x 1 x",
};
/** In seconds this is the year 5138; in milliseconds it was 1973. */
const secondsMax = 1e11;
/** Whatever splits words or ends lines, and other control characters; half a surrogate pair is no text. */
// oxlint-disable-next-line no-control-regex
const splits = /[\u0000-\u0020\u007f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

export class PointLines {
  #bytes = Buffer.allocUnsafe(bytesFirst);
  #length = 0;
  #count = 0;
  #bad: BadPoint[] = [];

  /** Bytes of lines so far. */
  get length(): number {
    return this.#length;
  }

  /** `text` is what the element looked like, for the answer. */
  add(value: unknown, text: () => string): void {
    const line = lineOf(value);
    if (typeof line === "string") this.#append(line);
    else this.#refuse(line.reason, text, line.hint);
  }

  /** An element that is no value at all. */
  refuse(reason: Reason, text: string, hint?: string): void {
    this.#refuse(reason, () => text, hint);
  }

  #refuse(reason: Reason, text: () => string, hint: string | undefined): void {
    if (this.#bad.length >= listedMost) {
      this.#append(refusedLine[reason] ?? "x"); // V4
      return;
    }
    this.#append("");
    const bad = { line: this.#count, reason, text: text().slice(0, textCharsMax) };
    this.#bad.push(hint === undefined ? bad : { ...bad, hint });
  }

  /** Nothing, but counted as an element. */
  blank(): void {
    this.#append("");
  }

  /** Gives what was added, and begins anew. */
  take(): TakenPoints {
    const taken = { lines: this.#bytes.subarray(0, this.#length), bad: this.#bad };
    this.#bytes = Buffer.allocUnsafe(bytesFirst);
    this.#length = 0;
    this.#count = 0;
    this.#bad = [];
    return taken;
  }

  #append(line: string): void {
    const most = this.#length + line.length * 3 + 1;
    if (most > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(most, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#length += this.#bytes.write(line, this.#length);
    this.#bytes[this.#length++] = 0x0a;
    this.#count++;
  }
}

interface Bad {
  reason: Reason;
  hint?: string;
}

/** `{ name, value, time?, tags? }` or `[name, value, time?]`. */
function lineOf(value: unknown): string | Bad {
  if (typeof value !== "object" || value === null)
    return { reason: "malformed", hint: "a point is an object or an array" };
  if (Array.isArray(value)) {
    const parts: unknown[] = value;
    if (parts.length < 2 || parts.length > 3)
      return { reason: "malformed", hint: "a point is [name, value] or [name, value, time]" };
    return line(parts[0], parts[1], parts[2], undefined);
  }
  const field = (name: string): unknown =>
    Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
  return line(field("name"), field("value"), field("time"), field("tags"));
}

function line(name: unknown, value: unknown, time: unknown, tags: unknown): string | Bad {
  if (typeof name !== "string" || name === "") return { reason: "bad-name", hint: "name is a text" };
  if (splits.test(name))
    return { reason: "bad-name", hint: "a name has no blanks and no control characters" };
  const tagged = tags === undefined || tags === null ? name : withTags(name, tags);
  if (typeof tagged !== "string") return tagged;
  const number = numberOf(value);
  if (number === undefined) return { reason: "bad-value", hint: "value is a number" };
  if (Number.isNaN(number)) return { reason: "nan" };
  if (!Number.isFinite(number)) return { reason: "bad-value", hint: "value is not finite" };
  if (time === undefined || time === null) return `${tagged} ${written(number)}`;
  const seconds = numberOf(time);
  if (seconds === undefined || !Number.isFinite(seconds))
    return { reason: "bad-timestamp", hint: "time is a number of seconds since 1970" };
  if (seconds >= secondsMax) return { reason: "bad-timestamp", hint: tooLate(seconds) };
  return `${tagged} ${written(number)} ${written(seconds)}`;
}

function tooLate(seconds: number): string {
  const unit = seconds < 1e14 ? "milliseconds" : seconds < 1e17 ? "microseconds" : "nanoseconds";
  return `time is in seconds since 1970: ${seconds} looks like ${unit}`;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "bigint" ? Number(value) : undefined;
}

/** V3: String gives the shortest text that reads back, but for the sign of a zero. */
function written(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The rules are those of metric/name.ts; here who breaks them is told, for an object can't mean anything else. */
function withTags(name: string, tags: unknown): string | Bad {
  if (typeof tags !== "object" || tags === null || Array.isArray(tags))
    return { reason: "bad-name", hint: "tags is an object" };
  const entries: [string, unknown][] = Object.entries(tags);
  if (entries.length === 0) return name;
  const parsed = parseTagged(name);
  if (parsed === undefined) return { reason: "bad-name", hint: "the name has a part that is no tag" };
  for (const [tag, given] of entries) {
    const value = typeof given === "number" || typeof given === "boolean" ? String(given) : given;
    if (tag === "" || /[;!^=]/.test(tag) || splits.test(tag))
      return { reason: "bad-name", hint: "a tag is not empty and has no blanks and none of ; ! ^ =" };
    if (typeof value !== "string" || value === "" || /^~|;/.test(value) || splits.test(value))
      return {
        reason: "bad-name",
        hint: `tag ${tag}: a text without blanks and ;, not empty, not with ~ first`,
      };
    if (tag !== "name") parsed.tags.set(tag, value);
  }
  return formatTagged(parsed);
}
