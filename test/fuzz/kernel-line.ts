// A line is the same for the kernel and its twin: every field of its row, whatever lies around it.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { Line, readLine } from "../../src/metric/line.ts";
import { reasonCode, reasons } from "../../src/metric/reason.ts";
import { fromLatin1, pick, utf8, type Fuzzer } from "./fuzzer.ts";
import { probeLine } from "./kernel-probe.ts";
import { lineText, nameText } from "./line-text.ts";
import { numberText } from "./number-text.ts";

const now = 1_790_000_000;
const line = new Line();

/** The line that starts at bytes[from]; answers where it ends. */
export function compareLine(bytes: Uint8Array, from: number, keyed: boolean, random: Random): number {
  const to = bytes.length;
  readLine(bytes, from, to, keyed, line);
  const probed = probeLine(bytes, from, to, keyed, random);
  const { blank, finished, end, reason, keyFrom, keyTo } = line;
  const shown = JSON.stringify(
    Buffer.from(bytes.subarray(from, Math.min(end, from + 300))).toString("latin1"),
  );
  assert.deepEqual(
    { blank: probed.blank, finished: probed.finished, end: probed.end },
    { blank, finished, end },
    shown,
  );
  if (blank) return end;
  assert.equal(reasons[probed.reason], reasons[reason], shown);
  assert.deepEqual(
    { from: probed.from, nameTo: probed.nameTo, to: probed.to },
    { from: line.from, nameTo: line.nameTo, to: line.to },
    shown,
  );
  // Where no key is asked for, nobody looks at it.
  if (keyed) assert.deepEqual([probed.keyFrom, probed.keyTo], [keyFrom, keyTo], shown);
  if (reason === reasonCode.ok || reason === reasonCode["bad-timestamp"])
    assert.ok(Object.is(probed.value, line.value), `${shown}: ${probed.value}, not ${line.value}`);
  if (reason === reasonCode.ok)
    assert.ok(Object.is(probed.seconds, line.seconds), `${shown}: ${probed.seconds}, not ${line.seconds}`);
  return end;
}

/** Nearly all lines of the world, and what looks much like them: mostly what the kernel reads at once. */
function commonText(random: Random): string {
  const nameBytes = pick(
    random,
    [1, 2, 8, 30, 62, 63, 64, 65, 126, 127, 128, 998, 999, 1000, 1001, 1002, 4000],
  );
  let name = "";
  while (name.length < nameBytes) name += `${pick(random, ["cpu", "x", "web-1", "~", "}", "\x7e"])}.`;
  name = `${name.slice(0, nameBytes - 1)}${pick(random, ["z", "z", "z", ".", "\x7f", "\x80", "\x1f"])}`;
  if (random.below(20) === 0) name = `.${name}`;
  const time = String(pick(random, [now, now, now, 0, 999_999_999, 9_999_999_999, 10_000_000_000]));
  const odd = random.below(4) === 0;
  const seconds = odd ? `${time.slice(0, 9)}${pick(random, ["/", ":", ".", "e", "-", " ", "\0"])}` : time;
  const blank = () => (random.below(30) === 0 ? pick(random, ["\t", "  ", "\r", "\0"]) : " ");
  return `${name}${blank()}${numberText(random)}${blank()}${seconds}${odd ? pick(random, ["", "1", "\r", " "]) : ""}`;
}

/** A good line of which a byte was changed, added or taken out. */
function changedText(random: Random): string {
  const text = `${nameText(random)} ${numberText(random).slice(0, 30)} ${now}`;
  const at = random.below(text.length + 1);
  const byte =
    random.below(3) === 0 ? String.fromCharCode(random.below(256)) : pick(random, [" ", ".", "\r", "é"]);
  return (text.slice(0, at) + utf8(byte) + text.slice(at + random.below(2))).replaceAll("\n", "");
}

function longText(random: Random): string {
  const length = 16_384 - 3 + random.below(6);
  const text = pick(random, [
    `${"k".repeat(random.below(100))}.${"n".repeat(900)} 1`,
    " ".repeat(random.below(20)),
    "x ".repeat(10_000),
    `${"k".repeat(17_000)}.a 1`,
    `${" ".repeat(16_400)}KEY.a 1`,
    `KEY${"é".repeat(3000)} 1`,
  ]);
  if (random.below(3) === 0) return text;
  return text.length < length
    ? text.padEnd(length, pick(random, [" ", "x", " x", "."]))
    : text.slice(0, length);
}

function anyText(random: Random): string {
  const kind = random.below(100);
  if (kind === 0) return longText(random);
  if (kind < 30) return lineText(random, now);
  return kind < 60 ? changedText(random) : commonText(random);
}

const keys = [
  "KEY.",
  "KEY.",
  "k.",
  `${"K".repeat(61)}.`,
  `${"K".repeat(62)}.`,
  `${"K".repeat(63)}.`,
  ".",
  "K é.",
  "",
] as const;

export const kernelLineFuzzer: Fuzzer = {
  name: "kernel-line",
  smokeRounds: 15_000,
  round(random) {
    const keyed = random.below(2) === 0;
    const before = pick(random, ["", "", "a 1 2\n", "."]);
    const text = (keyed ? pick(random, keys) : "") + anyText(random);
    const after = pick(random, ["\n", "\n", "\nb 1 1790000000\n", "\n\n", ""]);
    compareLine(fromLatin1(before + text + after), before.length, keyed, random);
  },
};
