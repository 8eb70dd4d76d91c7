// The grammar of src/metric/line.ts written a second time, with strings and without care for speed.
import type { Reason } from "../../src/metric/reason.ts";
import { fromLatin1 } from "./fuzzer.ts";

export interface JudgedLine {
  reason: Reason;
  key: string;
  /** From the name to the end of the last word. */
  rest: string;
  name: string;
  value: number;
  seconds: number;
}

const blanks = " \t\r\v\f\x1c\x1d\x1e\x1f";
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A line without its end, one character a byte; undefined when it is blank. */
export function judgeLine(line: string, keyed: boolean): JudgedLine | undefined {
  const judged: JudgedLine = {
    reason: "ok",
    key: "",
    rest: "",
    name: "",
    value: Number.NaN,
    seconds: Number.NaN,
  };
  const tooLong = line.length > 16_384;
  const text = tooLong ? line.slice(0, 16_384) : trimEnd(line);
  const stripped = trimStart(text);
  if (stripped === "" && !tooLong) return undefined;
  const words = wordsOf(stripped);

  const first = words[0] ?? "";
  const dot = first.indexOf(".");
  const hasKey = keyed && dot > 0;
  if (hasKey) judged.key = first.slice(0, dot);
  judged.rest = hasKey ? stripped.slice(dot + 1) : stripped;
  judged.name = hasKey ? first.slice(dot + 1) : first;
  judged.reason = tooLong ? "line-too-long" : keyed && !hasKey ? "no-key" : judgeWords(words, judged);
  return judged;
}

function judgeWords(words: string[], judged: JudgedLine): Reason {
  if (words.length < 2 || words.length > 3) return "malformed";
  const [, value = "", time] = words;
  if (/^\.*$/.test(judged.name)) return "bad-name";
  if (judged.name.length > 1000) return "name-too-long";
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fromLatin1(judged.name));
  } catch {
    return "not-utf8";
  }
  if (/\p{Cc}/u.test(name)) return "bad-name";
  if (/^[+-]?nan$/i.test(value)) return "nan";
  if (!number.test(value) || !Number.isFinite(Number(value))) return "bad-value";
  judged.value = Number(value);
  if (time === undefined) return "ok";
  if (!number.test(time) || !Number.isFinite(Number(time))) return "bad-timestamp";
  const seconds = Math.trunc(Number(time));
  if (seconds < -1) return "bad-timestamp";
  if (seconds !== -1) judged.seconds = seconds === 0 ? 0 : seconds;
  return "ok";
}

function wordsOf(text: string): string[] {
  const words = [""];
  for (const char of text) {
    if (!blanks.includes(char)) words[words.length - 1] += char;
    else if (words.at(-1) !== "") words.push("");
  }
  return words.filter((word) => word !== "");
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && blanks.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && blanks.includes(text.charAt(start))) start++;
  return text.slice(start);
}
