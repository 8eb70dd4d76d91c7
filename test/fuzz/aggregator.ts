// The aggregator holds what a Map of summaries holds: random sections of two tenants, late and early points, tags
// spelled differently, refusals of every kind, commits at random moments, a bound on series.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import type { Aggregator, Deltas } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { aheadSecondsMax, bucketOf } from "../../src/metric/bucket.ts";
import { canonicalName } from "../../src/metric/name.ts";
import { reasons, type Reason } from "../../src/metric/reason.ts";
import { addPoint, summaryOf, type Summary } from "../../src/metric/summary.ts";
import { fromLatin1, latin1, type Fuzzer } from "./fuzzer.ts";
import { judgeLine } from "./line-oracle.ts";
import { lineText } from "./line-text.ts";

/** `tenant name bucket` to a summary, and which series are known. */
export class AggregatorOracle {
  readonly series = new Set<string>();
  #open = new Map<string, Summary>();
  readonly #seriesMax: number;
  readonly #stepSeconds: number;

  constructor(seriesMax: number, stepSeconds: number) {
    this.#seriesMax = seriesMax;
    this.#stepSeconds = stepSeconds;
  }

  /** The refusals, as [reason, line]. */
  ingest(tenant: number, text: string, receivedAtMs: number): [Reason, string][] {
    const refused: [Reason, string][] = [];
    for (const line of text.split("\n")) {
      const judged = judgeLine(line, false);
      if (judged === undefined) continue;
      let { reason, seconds } = judged;
      if (Number.isNaN(seconds)) seconds = Math.floor(receivedAtMs / 1000);
      const newest = Math.floor(receivedAtMs / 1000) + aheadSecondsMax;
      if (reason === "ok" && seconds > newest) reason = "too-new";
      if (reason === "ok" && seconds < 1) reason = "too-old";
      if (reason === "ok") {
        const name = fromLatin1(judged.name);
        const series = `${tenant} ${latin1(canonicalName(name, 0, name.length))}`;
        if (this.series.has(series) || this.series.size < this.#seriesMax) {
          this.series.add(series);
          this.#add(`${series} ${bucketOf(seconds, this.#stepSeconds)}`, judged.value, seconds, receivedAtMs);
        } else reason = "series-limit";
      }
      if (reason !== "ok") refused.push([reason, judged.rest]);
    }
    return refused;
  }

  #add(row: string, value: number, seconds: number, receivedAtMs: number): void {
    const summary = this.#open.get(row);
    if (summary === undefined) this.#open.set(row, summaryOf(value, seconds, receivedAtMs));
    else addPoint(summary, value, seconds, receivedAtMs);
  }

  commit(): Map<string, Summary> {
    const rows = this.#open;
    this.#open = new Map();
    return rows;
  }
}

/** Columns as the oracle's rows. */
export function rowsOf(aggregator: Aggregator, deltas: Deltas): Map<string, Summary> {
  const rows = new Map<string, Summary>();
  for (let i = 0; i < deltas.count; i++) {
    const series = deltas.series[i] ?? -1;
    const row = `${aggregator.seriesTenant(series)} ${latin1(aggregator.seriesName(series))} ${deltas.bucket[i]}`;
    assert.ok(!rows.has(row), `${row} is one row`);
    rows.set(row, {
      points: deltas.points[i] ?? 0,
      sum: deltas.sum[i] ?? 0,
      min: deltas.min[i] ?? 0,
      max: deltas.max[i] ?? 0,
      last: deltas.last[i] ?? 0,
      lastSeconds: deltas.lastSeconds[i] ?? 0,
      lastReceivedAtMs: deltas.lastReceivedAtMs[i] ?? 0,
    });
  }
  return rows;
}

/** One history: the aggregator and the oracle side by side. */
export function compareHistory(random: Random, sections: number, linesMax: number, seriesMax: number): void {
  const stepSeconds = [1, 10][random.below(2)] ?? 1;
  const oracle = new AggregatorOracle(seriesMax, stepSeconds);
  const aggregator = createPlainAggregator({
    stepSeconds,
    seed: random.bytes(8),
    seriesMax,
  });
  let now = 1_790_000_000;
  let counted = 0;
  for (let i = 0; i < sections; i++) {
    now += random.below(20) - 3;
    const count = random.below(linesMax);
    const lines = Array.from({ length: count }, () =>
      random.below(3) === 0 ? lineText(random, now) : few(random, now),
    );
    const text = lines.join("\n") + (random.below(2) === 0 ? "\n" : "");
    const tenant = random.below(2) - 1;
    const receivedAtMs = now * 1000 + random.below(2) * 500;
    const refused: [Reason, string][] = [];
    const expected = oracle.ingest(tenant, text, receivedAtMs);
    counted += aggregator.ingest(tenant, fromLatin1(text), receivedAtMs, (reason, line) => {
      refused.push([reasons[reason] ?? "ok", latin1(line)]);
    });
    // Of a line that is too long only its beginning is shown.
    assert.deepStrictEqual(refused, expected);
    assert.equal(aggregator.seriesCount, oracle.series.size);
    if (random.below(4) === 0 || i === sections - 1) {
      const rows = oracle.commit();
      assert.equal(aggregator.openRows, rows.size);
      const deltas = aggregator.commit();
      assert.deepStrictEqual(rowsOf(aggregator, deltas), rows);
      for (const points of deltas.points) counted -= points;
      assert.equal(counted, 0, "each line that counted is in one row");
      assert.equal(aggregator.openRows, 0);
    }
  }
}

/** Few series, few buckets, few values: so that points meet. */
function few(random: Random, now: number): string {
  const name = ["a.b", "a..b", ".a.b", "c;x=1;y=2", "c;y=2;x=1", 'c{y="2",x="1"}', "d"][random.below(7)];
  const value = ["1", "-0", "0", "0.1", "1e300", "-7", "0.3333333333333333"][random.below(7)];
  const spread = [1, 30, 30, 3000][random.below(4)] ?? 1;
  return `${name} ${value} ${now - random.below(spread)}`;
}

export const aggregatorFuzzer: Fuzzer = {
  name: "aggregator",
  smokeRounds: 40,
  round(random) {
    compareHistory(
      random,
      1 + random.below(12),
      1 + random.below(300),
      random.below(3) === 0 ? 20 : 1_000_000,
    );
  },
};
