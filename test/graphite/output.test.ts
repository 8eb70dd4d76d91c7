// The outputs of timers, counters and sets against exact computation, from lines through the aggregator's own commits, at
// several zooms; and against what etsy's statsd made of the same values.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { columnsOfOutput, outputPoints, type SketchedColumns } from "../../src/graphite/output.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { counterNode, listedOutputs, setNode, timerNode } from "../../src/metric/outputs.ts";
import { recorded } from "../metric/etsy-timers.ts";

const now = 1_790_000_000;
const seed = Number(process.env["MILLRACE_SEED"] ?? 5);

interface Sent {
  value: number | string;
  rate: number;
}

/** Cells of `width` seconds of one series, from lines: seconds[i] is sent in second i. */
function cellsOf(seconds: readonly Sent[][], type: string): SketchedColumns {
  const aggregator = createPlainAggregator({ stepSeconds: 1, seed: seededRandom(1).bytes(8) });
  for (const [i, sent] of seconds.entries()) {
    const lines = sent.map(({ value, rate }) => `x:${value}|${type}${rate === 1 ? "" : `|@${rate}`}\n`);
    aggregator.ingestStatsd(1, Buffer.from(lines.join("")), (now + i) * 1000, () => assert.fail());
  }
  const deltas = aggregator.commit();
  const column = () => new Float64Array(seconds.length);
  const sketches = new Map<number, Uint8Array>();
  const cells = { points: column(), sum: column(), min: column(), max: column(), last: column(), sketches };
  for (let row = 0; row < deltas.count; row++) {
    const at = (deltas.bucket[row] ?? 0) - now;
    for (const name of ["points", "sum", "min", "max", "last"] as const)
      cells[name][at] = deltas[name][row] ?? 0;
    const sketch = deltas.sketches?.get(row);
    if (sketch !== undefined) sketches.set(at, sketch);
  }
  return cells;
}

/** As a reader gets them: only what the output says that it needs. */
function points(cells: SketchedColumns, node: string, output: string, perPoint: number): number[] {
  const needs = columnsOfOutput({ node, output });
  const none = new Float64Array(0);
  const asked: SketchedColumns = {
    points: cells.points,
    sum: needs.includes("sum") ? cells.sum : none,
    min: needs.includes("min") ? cells.min : none,
    max: needs.includes("max") ? cells.max : none,
    last: none,
    ...(needs.includes("sketch") && cells.sketches !== undefined && { sketches: cells.sketches }),
  };
  const plan = { start: now, stepSeconds: perPoint, drop: 0, perPoint };
  return [...outputPoints(asked, 0, cells.points.length, { node, output }, plan, 0, 1)];
}

/** By the definitions of etsy's statsd. */
function exact(output: string, sent: readonly Sent[], seconds: number): number {
  const values = sent.map(({ value }) => Number(value)).sort((a, b) => a - b);
  const n = values.length;
  const meant = sent.reduce((sum, { rate }) => sum + 1 / rate, 0);
  const [, what = output, digits] = /^(.*?)_(\d[\d_]*)$/.exec(output) ?? [];
  const k = digits === undefined || n === 1 ? n : Math.round((Number(digits.replace("_", ".")) / 100) * n);
  const lowest = values.slice(0, k);
  if (n === 0 || k === 0) return Number.NaN;
  const sum = (of: (value: number) => number) => lowest.reduce((total, value) => total + of(value), 0);
  const mean = sum((value) => value) / k;
  switch (what) {
    case "count":
      return digits === undefined ? meant : k;
    case "count_ps":
      return meant / seconds;
    case "lower":
      return values[0] ?? 0;
    case "upper":
      return lowest.at(-1) ?? 0;
    case "sum":
      return sum((value) => value);
    case "mean":
      return mean;
    case "sum_squares":
      return sum((value) => value * value);
    case "std":
      return Math.sqrt(sum((value) => (value - mean) ** 2) / k);
    default:
      assert.equal(what, "median");
      return ((values[(n - 1) >> 1] ?? 0) + (values[n >> 1] ?? 0)) / 2;
  }
}

/** `slack`: what the values of the answer add up to in size, where they may cancel each other out. */
function isNear(got: number, wanted: number, slack: number): boolean {
  if (Number.isNaN(wanted)) return Number.isNaN(got);
  return Math.abs(got - wanted) <= 0.01 * Math.max(Math.abs(wanted), slack);
}

/** What is added up to something smaller: values of both signs. */
function slackOf(output: string, sent: readonly Sent[]): number {
  const values = sent.map(({ value }) => Number(value)).sort((a, b) => a - b);
  const total = values.reduce((sum, value) => sum + Math.abs(value), 0);
  const middle = [(values.length - 1) >> 1, values.length >> 1].map((at) => Math.abs(values[at] ?? 0));
  if (output === "median") return Math.max(...middle);
  if (output.startsWith("mean_")) return total / values.length;
  return /^sum_\d/.test(output) ? total : 0;
}

const normal = (random: Random) =>
  Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
const draws: Record<string, (random: Random) => number> = {
  lognormal: (random) => Math.exp(5 + 1.5 * normal(random)),
  uniform: (random) => 1000 * random.next(),
  constant: () => 42.4242,
  "nearly constant": (random) => 1000 + normal(random),
  "two values": (random) => (random.below(2) === 0 ? 100.499 : 299),
  negative: (random) => -Math.exp(3 + normal(random)),
  tiny: (random) => 1e-6 * Math.exp(normal(random)),
  large: (random) => 1e12 * (1 + random.next()),
  "of both signs": (random) => 100 * normal(random),
};
const rates: Record<string, (random: Random) => number> = { "in full": () => 1, sampled: () => 0.1 };

for (const [name, draw] of Object.entries(draws))
  for (const [how, rate] of Object.entries(rates))
    test(`timers, ${name}, ${how}: all outputs are within 1 % at every zoom`, () => {
      const random = seededRandom(seed);
      const width = 40;
      const seconds = Array.from({ length: width }, () =>
        Array.from({ length: random.below(random.below(4) === 0 ? 3 : 60) }, () => ({
          value: draw(random),
          rate: rate(random),
        })),
      );
      const cells = cellsOf(seconds, "ms");
      const outputs = [...(listedOutputs(timerNode) ?? []), "upper_50", "sum_99_9", "mean_10", "count_1"];
      for (const perPoint of [1, 7, width])
        for (const output of outputs) {
          const got = points(cells, timerNode, output, perPoint);
          assert.equal(got.length, Math.ceil(width / perPoint));
          for (const [i, value] of got.entries()) {
            const of = seconds.slice(i * perPoint, (i + 1) * perPoint);
            const sent = of.flat();
            const sizes = sent.map((each) => Math.abs(each.value));
            const slack = name === "of both signs" ? slackOf(output, sent) : 0;
            const wanted = exact(output, sent, of.length);
            assert.ok(
              isNear(value, wanted, slack) || Math.abs(value - wanted) < 1e-12 * Math.max(...sizes),
              `${output} of ${sent.length} at ${perPoint}: ${value}, not ${wanted}`,
            );
          }
        }
    });

test("what etsy's statsd says of the same values", () => {
  for (const { values, outputs } of recorded) {
    const cells = cellsOf(
      [values.map((value) => ({ value, rate: 0.5 })), ...Array.from({ length: 9 }, () => [])],
      "ms",
    );
    for (const output of [...(listedOutputs(timerNode) ?? []), "upper_99_9", "sum_50", "mean_4", "count_4"]) {
      if (/_(95|99)$/.test(output)) continue;
      const [got] = points(cells, timerNode, output, 10);
      assert.ok(
        isNear(got ?? 0, outputs[output] ?? Number.NaN, 0),
        `${output} of ${values.join(" ")}: ${got}`,
      );
    }
  }
});

test("values of different rates weigh what they stand for", () => {
  // 90 of 100 meant values are 1, although only 9 of 19 that came are.
  const sent = [
    ...Array.from({ length: 9 }, () => ({ value: 1, rate: 0.1 })),
    ...Array.from({ length: 10 }, () => ({ value: 5, rate: 1 })),
  ];
  const cells = cellsOf([sent], "ms");
  assert.deepEqual(points(cells, timerNode, "count", 1), [100]);
  assert.ok(isNear(points(cells, timerNode, "median", 1)[0] ?? 0, 1, 0));
  assert.deepEqual(points(cells, timerNode, "mean", 1), [59 / 19]);
});

test("counters: count and rate, sampled ones as they stand for", () => {
  const cells = cellsOf([[{ value: 3, rate: 0.5 }], [], [{ value: 4, rate: 1 }]], "c");
  assert.deepEqual(points(cells, counterNode, "count", 1), [6, Number.NaN, 4]);
  assert.deepEqual(points(cells, counterNode, "rate", 1), [6, Number.NaN, 4]);
  assert.deepEqual(points(cells, counterNode, "rate", 2), [3, 4]);
  assert.deepEqual(points(cells, counterNode, "rate", 3), [10 / 3]);
});

test("sets: few are counted exactly, many within 3 %, and repeats over buckets once", () => {
  const cells = cellsOf(
    [1, 3, 100, 5000].map((count) =>
      Array.from({ length: count * 2 }, (_, i) => ({ value: `user${i % count}`, rate: 1 })),
    ),
    "s",
  );
  const [one, three, hundred, many] = points(cells, setNode, "count", 1);
  assert.deepEqual([one, three], [1, 3]);
  assert.ok(Math.abs((hundred ?? 0) - 100) <= 2, `${hundred} of 100`);
  assert.ok(Math.abs((many ?? 0) - 5000) <= 150, `${many} of 5000`);
  assert.deepEqual(points(cells, setNode, "count", 4), [many], "all others are among them");
});

test("sets of many: the error is that of 16,384 registers", () => {
  for (const count of [20_000, 50_000, 200_000]) {
    const sent = Array.from({ length: count }, (_, i) => ({ value: `${seed}/${i}`, rate: 1 }));
    const [got] = points(cellsOf([sent], "s"), setNode, "count", 1);
    assert.ok(Math.abs((got ?? 0) - count) <= 0.03 * count, `${got} of ${count}`);
  }
});

test("a bucket whose sketch is damaged still has what the summary says", () => {
  const cells = cellsOf([[{ value: 3, rate: 1 }]], "ms");
  const damaged = { ...cells, sketches: new Map([[0, new Uint8Array([9, 9])]]) };
  assert.deepEqual(points(damaged, timerNode, "mean", 1), [3]);
  assert.deepEqual(points(damaged, timerNode, "count", 1), [1]);
  assert.deepEqual(points(damaged, timerNode, "median", 1), [Number.NaN]);
  assert.deepEqual(points(damaged, setNode, "count", 1), [Number.NaN]);
});
