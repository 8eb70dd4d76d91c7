import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Aggregator } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { reasons } from "../../src/metric/reason.ts";
import { decodeSketch, quantileKey, squaresKey } from "../../src/metric/sketch.ts";
import { fromLatin1, latin1 } from "../fuzz/fuzzer.ts";
import { rowsOf } from "../fuzz/aggregator.ts";
import { compareStatsd } from "../fuzz/statsd-aggregator.ts";

const now = 1_790_000_000;

function make(seriesMax = 1000): Aggregator {
  return createPlainAggregator({ stepSeconds: 10, seed: seededRandom(1).bytes(8), seriesMax });
}

/** Ingests for tenant 1; answers the refusals as `reason line`. */
function ingest(aggregator: Aggregator, text: string, receivedAtMs = now * 1000): string[] {
  const refused: string[] = [];
  aggregator.ingestStatsd(1, fromLatin1(text), receivedAtMs, (reason, line) => {
    refused.push(`${reasons[reason]} ${latin1(line)}`);
  });
  return refused;
}

/** What a commit holds, as `name points sum min max last`. */
function rows(aggregator: Aggregator): string[] {
  const found = rowsOf(aggregator, aggregator.commit());
  return [...found].map(
    ([row, s]) => `${row.split(" ")[1]} ${s.points} ${s.sum} ${s.min} ${s.max} ${s.last}`,
  );
}

test("each type has its own series, read under its own names", () => {
  const aggregator = make();
  assert.deepEqual(ingest(aggregator, "a:1|c|@0.1\na:320|ms\na:5|g\na:u1|s|#k:v\na:2|c\n"), []);
  assert.deepEqual(rows(aggregator), [
    "stats.counters.a.\u0001c 2 12 2 10 10",
    "stats.timers.a.\u0001t 1 320 320 320 320",
    "stats.gauges.a 1 5 5 5 5",
    "stats.sets.a.\u0001s;k=v 1 1 1 1 1",
  ]);
});

test("sketches lie with their rows, and count as open rows", () => {
  const aggregator = make();
  ingest(aggregator, "a:3:3:5|ms|@0.5\nb:x|s\nb:x|s\n");
  ingest(aggregator, "a:7|ms\n", (now + 10) * 1000);
  assert.equal(aggregator.openRows, 3 + 3 + 2 + 1);
  const { sketches } = aggregator.commit();
  const read = [...(sketches ?? [])].map(([row, bytes]) => {
    const sketch = decodeSketch(bytes);
    return [row, Object.fromEntries(Array.from(sketch?.keys ?? [], (key, i) => [key, sketch?.counts[i]]))];
  });
  assert.deepEqual(read[0], [0, { [quantileKey(3)]: 4, [quantileKey(5)]: 2, [squaresKey]: 43 }]);
  assert.deepEqual(read[2], [2, { [quantileKey(7)]: 1, [squaresKey]: 49 }]);
  assert.equal(read.length, 3);
  assert.equal(Object.keys(read[1]?.[1] ?? {}).length, 1);
  assert.equal(aggregator.commit().sketches, undefined, "a commit starts afresh");
});

test("gauges: what is absolute is a row, what came before it is relative", () => {
  const aggregator = make();
  ingest(aggregator, "a:+5|g\na:-2|g\nb:+1|g\na:10|g\na:+1|g\n");
  const { gauges, count, sum, last } = aggregator.commit();
  const relative = { bucket: now, lastSeconds: now };
  assert.deepEqual(gauges, [
    {
      series: 0,
      // The ordinary row of the same moment came later: this one gives way.
      relative: [
        { ...relative, points: 2, sum: 8, min: 3, max: 5, last: 3, lastReceivedAtMs: now * 1000 - 1 },
      ],
      value: 11,
      isRelative: false,
    },
    {
      series: 1,
      relative: [{ ...relative, points: 1, sum: 1, min: 1, max: 1, last: 1, lastReceivedAtMs: now * 1000 }],
      value: 1,
      isRelative: true,
    },
  ]);
  assert.deepEqual([count, sum[0], last[0]], [1, 21, 11]);
  ingest(aggregator, "a:1|g\na:9|g\na:3|g\n");
  const second = aggregator.commit();
  assert.deepEqual([second.last[0], second.max[0]], [3, 9], "the last line is last, not the greatest");
});

test("a line counts whole or not at all", () => {
  const aggregator = make(2);
  assert.deepEqual(ingest(aggregator, "a:1|c:x|c\na:1|c\nb:1|c:2|ms\nb:1|c\nc:1|c\n_sc|x|0\n\n"), [
    "bad-value a:1|c:x|c",
    "series-limit b:1|c:2|ms",
    "series-limit c:1|c",
    "bad-type _sc|x|0",
  ]);
  assert.deepEqual(rows(aggregator), [
    "stats.counters.a.\u0001c 1 1 1 1 1",
    "stats.counters.b.\u0001c 1 1 1 1 1",
  ]);
});

test("a frame from beyond what columns hold is refused", () => {
  const aggregator = make();
  assert.deepEqual(ingest(aggregator, "a:1|c", 2 ** 53 - 1), ["too-new a:1|c"]);
  assert.deepEqual(ingest(aggregator, "a:1|c", 0), ["too-old a:1|c"]);
});

test("the same sections give the same sketches, whatever the seed", () => {
  const text = Array.from({ length: 3000 }, (_, i) => `t${i % 7}:${i}|ms\ns${i % 5}:${i}|s`).join("\n");
  const [one, two] = [1, 2].map((seed) => {
    const aggregator = createPlainAggregator({ stepSeconds: 10, seed: seededRandom(seed).bytes(8) });
    aggregator.ingestStatsd(1, fromLatin1(text), now * 1000, () => assert.fail());
    return [...(aggregator.commit().sketches ?? [])];
  });
  assert.deepEqual(one, two);
  assert.equal(one?.length, 12);
});

test("random histories are what Maps make of them", () => {
  const seed = 7;
  for (let round = 0; round < 20; round++) compareStatsd(seededRandom(seed + round), 10, 100);
  compareStatsd(seededRandom(seed), 3, 10_000);
});
