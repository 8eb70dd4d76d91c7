// The kernel's router: the rows of its twin, and runs that say of those rows what they must.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { Router, RoutedLines } from "../../src/kernel/kernel.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { createPlainRouter, routedLinesMax } from "../../src/kernel/plain-router.ts";
import { Line, readLine } from "../../src/metric/line.ts";
import { fromLatin1, latin1 } from "../fuzz/fuzzer.ts";
import { lineText } from "../fuzz/line-text.ts";
import { cutAtRandom, routePackets } from "../fuzz/router.ts";

const router = createKernelRouter();
const twin = createPlainRouter();

interface Run {
  firstRow: number;
  rows: number;
  text: string;
  seconds: [least: number, most: number];
  longestName: number;
}

function runsOf({ runs }: RoutedLines): Run[] {
  assert(runs !== undefined);
  return Array.from({ length: runs.count }, (_, run) => ({
    firstRow: runs.firstRow[run] ?? -1,
    rows: runs.rows[run] ?? -1,
    text: latin1(runs.text.subarray(runs.textFrom[run], runs.textTo[run])),
    seconds: [runs.leastSeconds[run] ?? 0, runs.mostSeconds[run] ?? 0],
    longestName: runs.longestName[run] ?? -1,
  }));
}

/** From the rows of the twin. */
function expectedRuns(bytes: Uint8Array, lines: RoutedLines): Run[] {
  const runs: Run[] = [];
  const line = new Line();
  let keyBefore: string | undefined;
  for (let row = 0; row < lines.count; row++) {
    const [from = 0, to = 0] = [lines.from[row], lines.to[row]];
    const key = latin1(bytes.subarray(lines.keyFrom[row], lines.keyTo[row]));
    const good = lines.reason[row] === 0;
    if (good && key !== keyBefore)
      runs.push({ firstRow: row, rows: 0, text: "", seconds: [Infinity, -Infinity], longestName: 0 });
    keyBefore = good ? key : undefined;
    const run = runs.at(-1);
    if (!good || run === undefined) continue;
    readLine(bytes, from, to, false, line);
    const seconds = lines.seconds[row] ?? 0;
    run.rows++;
    run.text += `${latin1(bytes.subarray(from, to))}\n`;
    if (!Number.isNaN(seconds))
      run.seconds = [Math.min(run.seconds[0], seconds), Math.max(run.seconds[1], seconds)];
    run.longestName = Math.max(run.longestName, line.nameTo - from);
  }
  return runs;
}

function rowsOf(lines: RoutedLines): unknown {
  const { count, consumed, skipping } = lines;
  const columns = [lines.keyFrom, lines.keyTo, lines.from, lines.to, lines.reason];
  return {
    count,
    consumed,
    skipping,
    columns: columns.map((column) => [...column.subarray(0, count)]),
    // What it is of bad rows nobody asks.
    seconds: [...lines.seconds.subarray(0, count)].map((x, row) => (lines.reason[row] === 0 ? x : 0)),
  };
}

/** One call of both. */
function same(bytes: Uint8Array, from: number, to: number, options: Parameters<Router["route"]>[3], of = "") {
  router.route(bytes, from, to, options);
  twin.route(bytes, from, to, options);
  assert.deepStrictEqual(rowsOf(router.lines), rowsOf(twin.lines), of);
  assert.deepStrictEqual(runsOf(router.lines), expectedRuns(bytes, twin.lines), of);
}

/** Runs are written as `first+rows longest least..most text`. */
function f(text: string, expected: string[], keyed = true) {
  const bytes = fromLatin1(`##${text}##`);
  same(bytes, 2, bytes.length - 2, { keyed, last: true }, JSON.stringify(text));
  const got = runsOf(router.lines).map(
    ({ firstRow, rows, text, seconds, longestName }) =>
      `${firstRow}+${rows} ${longestName} ${seconds.join("..")} ${text}`,
  );
  assert.deepStrictEqual(got, expected, JSON.stringify(text));
}

test("runs as rows", () => {
  f("", []);
  f("K.a 1 20\n", ["0+1 1 20..20 a 1 20\n"]);
  f("K.a 1 20\nK.bb 2 10\n", ["0+2 2 10..20 a 1 20\nbb 2 10\n"]);
  // blank lines are no rows; blanks around a line and in front of its end are not kept
  f("K.a 1 20\r\n\n  K.b\t2\n", ["0+2 1 20..20 a 1 20\nb\t2\n"]);
  // another key, and one that is the beginning of the other
  f("K.a 1\nL.a 1\nKK.a 1\nK.a 1", [
    "0+1 1 Infinity..-Infinity a 1\n",
    "1+1 1 Infinity..-Infinity a 1\n",
    "2+1 1 Infinity..-Infinity a 1\n",
    "3+1 1 Infinity..-Infinity a 1\n",
  ]);
  // a bad row ends a run
  f("K.a 1 5\nK.b x\nK.c 1 6\nnokey 1\nK.d 1 7", [
    "0+1 1 5..5 a 1 5\n",
    "2+1 1 6..6 c 1 6\n",
    "4+1 1 7..7 d 1 7\n",
  ]);
  f("K.a 1 -1\nK.b 1 0\nK.c 1 -0.5\n", ["0+3 1 0..0 a 1 -1\nb 1 0\nc 1 -0.5\n"]);
  f("K.a 1 5\nL.b 1 6\n", ["0+2 3 5..6 K.a 1 5\nL.b 1 6\n"], false);
});

const words = ["K", "KK", "L", "a key of ours".replaceAll(" ", "-")];

function someText(random: Random): string {
  const lines = Array.from({ length: random.below(300) }, () => {
    const key = words[random.below(random.below(3) + 1)];
    if (random.below(3) > 0)
      return `${key}.name${random.below(100)} ${random.below(1000)} ${1_790_000_000 + random.below(100)}`;
    if (random.below(60) === 0) return `${key}.`.padEnd(16_370 + random.below(30), "x ");
    return `${key}.${lineText(random, 1_790_000_000)}`;
  });
  return lines.join("\n") + (random.below(2) === 0 ? "\n" : "");
}

test("rows and runs are those of the twin, call by call, and rows the same however bytes are cut", () => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? 31);
  for (let round = 0; round < 150; round++) {
    const random = seededRandom(seed + round);
    const of = `seed ${seed + round}`;
    const keyed = random.below(3) > 0;
    const text = someText(random);
    const bytes = fromLatin1(text);
    const from = random.below(Math.min(50, bytes.length + 1));
    const options = { keyed, last: random.below(2) === 0, skipping: random.below(4) === 0 };
    same(bytes, from, bytes.length - random.below(bytes.length - from + 1), options, of);
    const packets = cutAtRandom(random, bytes);
    assert.deepStrictEqual(routePackets(router, packets, keyed), routePackets(twin, [bytes], keyed), of);
  }
});

test("full rows: a run ends with them, and the next call begins one", () => {
  const bytes = fromLatin1("K.a 1 2\n\n".repeat(routedLinesMax + 3));
  same(bytes, 0, bytes.length, { keyed: true, last: false });
  assert.equal(router.lines.count, routedLinesMax);
  assert.equal(router.lines.runs?.count, 1);
  same(bytes, router.lines.consumed, bytes.length, { keyed: true, last: false });
  assert.equal(router.lines.count, 3);
  // Every row a run of its own.
  const mixed = fromLatin1("K.a 1 2\nL.a 1 2\n".repeat(routedLinesMax));
  same(mixed, 0, mixed.length, { keyed: true, last: false });
  assert.equal(router.lines.runs?.count, routedLinesMax);
});

test("as many bytes as the kernel takes at once, and no line end behind the last", () => {
  const line = `${"n".repeat(114)} 1 1790000000`;
  assert.equal(line.length, 127);
  const bytes = fromLatin1(`${`${line}\n`.repeat(1023)}n${line}`);
  assert.equal(bytes.length, 128 << 10);
  same(bytes, 0, bytes.length, { keyed: false, last: true });
});

/** Of all lines, as a request has them: nothing follows, so nothing is skipped between two calls. */
function reasonsOf(of: Router, bytes: Uint8Array): number[] {
  const { lines } = of;
  const reasons: number[] = [];
  for (let at = 0; at < bytes.length; at = lines.consumed) {
    of.route(bytes, at, bytes.length, { keyed: true, last: true });
    assert.equal(lines.skipping, false);
    reasons.push(...lines.reason.subarray(0, lines.count));
  }
  return reasons;
}

test("more bytes than the kernel takes at once go in several calls, a line without end among them", () => {
  const name = "n".repeat(900);
  const line = `K.${name} 1 1790000000\n`;
  const texts = [
    line.repeat(600),
    `${line}K.${"x".repeat(300_000)}\n${line}`,
    `${line}K.${"x".repeat(300_000)}`,
    "\n".repeat(300_000) + line,
    " ".repeat(300_000) + line,
  ];
  for (const text of texts) {
    const bytes = fromLatin1(text);
    const of = `${text.length} bytes, ${text.trim().slice(0, 10)}`;
    assert.deepStrictEqual(routePackets(router, [bytes], true), routePackets(twin, [bytes], true), of);
    assert.deepStrictEqual(reasonsOf(router, bytes), reasonsOf(twin, bytes), of);
  }
});
