// StatsD lines in the aggregator are what an oracle of Maps makes of them: every value in its summary, every sketch, and
// gauges as they are after their differences were added to what the store held before, one value after the other.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { hashName, hashSeed } from "../../src/kernel/hash.ts";
import type { Aggregator, Deltas } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { bucketOf } from "../../src/metric/bucket.ts";
import { canonicalText } from "../../src/metric/name.ts";
import { reasons } from "../../src/metric/reason.ts";
import { decodeSketch, quantileKey, squaresKey } from "../../src/metric/sketch.ts";
import { mergeSummary, summaryOf, type Summary } from "../../src/metric/summary.ts";
import { rowsOf } from "./aggregator.ts";
import { fromLatin1, latin1, pick, type Fuzzer } from "./fuzzer.ts";
import { judgeStatsd } from "./statsd-oracle.ts";
import { statsdText } from "./statsd.ts";

const places = {
  counter: ["stats.counters.", ".\u0001c"],
  gauge: ["stats.gauges.", ""],
  timer: ["stats.timers.", ".\u0001t"],
  set: ["stats.sets.", ".\u0001s"],
} as const;

/** What a store would hold: rows by `tenant name bucket`, sketches by the same, gauges by `tenant name`. */
export interface Held {
  rows: Map<string, Summary>;
  sketches: Map<string, Map<number, number>>;
  gauges: Map<string, number>;
}

export function nothingHeld(): Held {
  return { rows: new Map(), sketches: new Map(), gauges: new Map() };
}

/** Adds a section's lines to what is held, value by value; answers the refusals. */
function oracle(held: Held, tenant: number, text: string, receivedAtMs: number, step: number): string[] {
  const refused: string[] = [];
  const seconds = Math.floor(receivedAtMs / 1000);
  const bucket = bucketOf(seconds, step);
  for (const line of text.split("\n")) {
    const judged = judgeStatsd(line, false);
    if (judged === undefined) continue;
    if (judged.reason !== "ok") refused.push(`${judged.reason} ${judged.rest}`);
    for (const { type, value, rate, signed } of judged.values) {
      const [prefix, node] = places[type];
      const tags = judged.name.indexOf(";");
      const base = tags < 0 ? judged.name : judged.name.slice(0, tags);
      const series = `${tenant} ${canonicalText(prefix + base + node + (tags < 0 ? "" : judged.name.slice(tags)))}`;
      const row = `${series} ${bucket}`;
      let number = Number(value);
      if (type === "counter") number /= rate;
      if (type === "set") number = 1;
      if (type === "gauge") {
        if (signed) number += held.gauges.get(series) ?? 0;
        held.gauges.set(series, number);
      }
      const summary = held.rows.get(row);
      if (summary === undefined) held.rows.set(row, summaryOf(number, seconds, receivedAtMs));
      else {
        mergeSummary(summary, summaryOf(number, seconds, receivedAtMs));
        if (type === "gauge" && summary.lastReceivedAtMs === receivedAtMs) summary.last = number;
      }
      if (type === "timer") {
        bump(held, row, quantileKey(number), (before) => before + 1 / rate);
        if (number * number > 0) bump(held, row, squaresKey, (before) => before + number * number);
      } else if (type === "set") {
        const bytes = fromLatin1(String(value));
        const hash = (seed: string) =>
          hashName(hashSeed(fromLatin1(seed)), 0, bytes, new DataView(bytes.buffer), 0, bytes.length);
        const rank = (hash("sketches") >>> 0).toString(2).padStart(32, "0").indexOf("1") + 1 || 33;
        bump(held, row, hash("millrace") >>> 18, (before) => Math.max(before, rank));
      }
    }
  }
  return refused;
}

function bump(held: Held, row: string, key: number, change: (before: number) => number): void {
  const sketch = held.sketches.get(row) ?? new Map<number, number>();
  sketch.set(key, change(sketch.get(key) ?? 0));
  held.sketches.set(row, sketch);
}

/** Applies a commit as the store's contract says. */
export function applyDeltas(held: Held, aggregator: Aggregator, deltas: Deltas): void {
  const rows = rowsOf(aggregator, deltas);
  for (const { series, relative, value, isRelative } of deltas.gauges ?? []) {
    const name = `${aggregator.seriesTenant(series)} ${latin1(aggregator.seriesName(series))}`;
    const before = held.gauges.get(name) ?? 0;
    for (const row of relative) {
      const { bucket, ...summary } = row;
      const shifted = { ...summary, sum: summary.sum + summary.points * before };
      shifted.min += before;
      shifted.max += before;
      shifted.last += before;
      const key = `${name} ${bucket}`;
      const known = rows.get(key);
      if (known === undefined) rows.set(key, shifted);
      else mergeSummary(known, shifted);
    }
    held.gauges.set(name, isRelative ? before + value : value);
  }
  for (const [key, summary] of rows) {
    const known = held.rows.get(key);
    if (known === undefined) held.rows.set(key, summary);
    else mergeSummary(known, summary);
  }
  for (const [row, bytes] of deltas.sketches ?? []) {
    const series = deltas.series[row] ?? 0;
    const name = latin1(aggregator.seriesName(series));
    const key = `${aggregator.seriesTenant(series)} ${name} ${deltas.bucket[row]}`;
    const sketch = decodeSketch(bytes);
    assert.equal(sketch?.kind, name.includes("\u0001s") ? "set" : "quantile");
    for (const [i, each] of (sketch?.keys ?? []).entries()) {
      const count = sketch?.counts[i] ?? 0;
      bump(held, key, each, (before) => (sketch?.kind === "set" ? Math.max(before, count) : before + count));
    }
  }
}

/** One history: the aggregator's commits and the oracle side by side. */
export function compareStatsd(random: Random, sections: number, linesMax: number): void {
  const stepSeconds = pick(random, [1, 10]);
  const aggregator = createPlainAggregator({ stepSeconds, seed: random.bytes(8) });
  const expected = nothingHeld();
  const held = nothingHeld();
  let nowMs = 1_790_000_000_000;
  for (let i = 0; i < sections; i++) {
    // Commits and sections share a moment only within a commit: across commits the store decides such ties by value.
    const isLast = i === sections - 1;
    const lines = Array.from({ length: random.below(linesMax) }, () =>
      random.below(4) === 0 ? wild(random) : few(random),
    );
    const tenant = random.below(2) - 1;
    const text = lines.join("\n");
    const refused: string[] = [];
    const expectedRefused = oracle(expected, tenant, text, nowMs, stepSeconds);
    const counted = aggregator.ingestStatsd(tenant, fromLatin1(text), nowMs, (reason, line) => {
      refused.push(`${reasons[reason] ?? ""} ${latin1(line)}`);
    });
    assert.deepStrictEqual(refused, expectedRefused);
    assert.equal(counted + refused.length, lines.filter((line) => line.trim() !== "").length);
    if (random.below(3) === 0 || isLast) {
      applyDeltas(held, aggregator, aggregator.commit());
      assert.equal(aggregator.openRows, 0);
      assertSame(held, expected);
      nowMs += 1 + random.below(20_000);
    } else nowMs += pick(random, [0, 0, 1, 900, 20_000]);
  }
}

function assertSame(held: Held, expected: Held): void {
  const plain = ({ rows, sketches, gauges }: Held) => ({
    rows: new Map([...rows].sort(([a], [b]) => (a < b ? -1 : 1))),
    sketches: new Map([...sketches].map(([row, keys]) => [row, [...keys].sort(([a], [b]) => a - b)])),
    gauges,
  });
  assert.deepStrictEqual(plain(held), plain(expected));
}

/** Whole numbers, so that sums are exact in any order; names that a sender may spell in several ways. */
function few(random: Random): string {
  const name = pick(random, ["a", "a.b", "a..b", "x;k=v;j=w", "y"]);
  const type = pick(random, ["c", "g", "g", "ms", "h", "s"]);
  // So many different ones that some share a register.
  const member = random.below(2) === 0 ? `user${random.below(50_000)}` : "7";
  const value = type === "s" ? member : pick(random, ["1", "-3", "+2", "7", "1024", "0", "-0.5"]);
  const rate = pick(random, ["", "", "|@0.5", "|@0.125"]);
  const tags = pick(random, ["", "", "|#j:w,k:v", "|#flag"]);
  return `${name}:${value}${random.below(4) === 0 ? `|${type}:2` : ""}|${type}${rate}${tags}`;
}

/** Anything, but no number of which sums depend on the order. */
function wild(random: Random): string {
  const text = statsdText(random);
  return /e[+-]?\d/i.test(text) || /@[^:|]*[1-9]/.test(text.replaceAll("0.5", "")) ? "a" : text;
}

export const statsdAggregatorFuzzer: Fuzzer = {
  name: "statsd-aggregator",
  smokeRounds: 60,
  round(random) {
    compareStatsd(random, 1 + random.below(12), 1 + random.below(random.below(10) === 0 ? 3000 : 60));
  },
};
