// Random lines, as texts of one character a byte: good ones, nearly good ones, and noise.
import type { Random } from "../../src/base/random.ts";
import { latin1, pick, utf8 } from "./fuzzer.ts";
import { numberText } from "./number-text.ts";

const blanks = [" ", " ", " ", "\t", "\r", "\v", "\f", "\x1c", "\x1f", "  ", " \t "] as const;
const nodes = 'a b cpu host1 UPPER x-y_z ~ 50% 1 / { "} =" \' café 😀 日本 \u00a0 \u2028 \ufeff \u200b'
  .split(" ")
  .map(utf8);
const badNodes = [
  "\0",
  "\x07",
  "\x7f",
  "\xc2\x85",
  "\xff",
  "\x80",
  "\xc0\xaf",
  "\xed\xa0\x80",
  "\xf4\x90\x80\x80",
  "\xe2\x82",
];
const tags = [
  ";a=1",
  ";b=2",
  ";a=3",
  ";a-b=1",
  ";name=x",
  ";a=",
  ";=1",
  ";a!=1",
  ";b=~x",
  ";",
  ";c=d.e",
  ";a",
  ";é=ü",
];
const noNumbers = [
  "nan",
  "NaN",
  "-nan",
  "inf",
  "0x10",
  "1_0",
  "U",
  "true",
  "--1",
  "1e",
  ".",
  "\0",
  "1\xff",
  "1é",
];

export function nameText(random: Random): string {
  const count = 1 + random.below(4);
  let name = random.below(20) === 0 ? "." : "";
  for (let i = 0; i < count; i++) {
    name += random.below(60) === 0 ? pickOf(random, badNodes) : pickOf(random, nodes);
    if (i < count - 1) name += random.below(10) === 0 ? "..." : ".";
  }
  if (random.below(20) === 0) name += ".".repeat(1 + random.below(2));
  if (random.below(3) === 0) for (let i = random.below(4); i > 0; i--) name += pickOf(random, tags);
  if (random.below(8) === 0)
    name += pick(random, ['{a="1",b="2"}', '{b="x\\"y"}', '{b="1"', '{a=""}', '{a="1",}', '{a="~"}']);
  if (random.below(60) === 0) name = "x".repeat(990 + random.below(20)) + name;
  return random.below(100) === 0 ? ".".repeat(random.below(4)) : name;
}

export function timeText(random: Random, now: number): string {
  switch (random.below(12)) {
    case 0:
      return pick(random, ["-1", "-1.0", "-1.9", "-2", "-0.5", "0", "-1e0", "1e9", "1.7e9", "5000000000000"]);
    case 1:
      return pickOf(random, noNumbers);
    case 2:
      return (now - random.next() * 500).toFixed(3);
    case 3:
      return String(now - 400_000 + random.below(404_000));
    default:
      return String(now - random.below(100));
  }
}

/** A line without its end. */
export function lineText(random: Random, now: number): string {
  if (random.below(100) === 0) return latin1(random.bytes(random.below(40))).replaceAll("\n", " ");
  if (random.below(30) === 0) return pickOf(random, blanks).repeat(random.below(3));
  const words = [nameText(random), random.below(12) === 0 ? pickOf(random, noNumbers) : numberText(random)];
  if (random.below(5) > 0) words.push(timeText(random, now));
  if (random.below(40) === 0) words.push(pickOf(random, nodes));
  if (random.below(40) === 0) words.pop();
  let line = random.below(10) === 0 ? pickOf(random, blanks) : "";
  for (const [i, word] of words.entries()) line += (i > 0 ? pickOf(random, blanks) : "") + word;
  if (random.below(5) === 0) line += pick(random, ["\r", " ", " \r", "\t"]);
  if (random.below(500) === 0) line += " ".repeat(Math.max(0, 16_384 - line.length - 2 + random.below(5)));
  return line;
}

function pickOf<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)] as T;
}
