// K1: nothing is allocated per line or per point. What the heap grows by is measured over many lines after a warm-up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { seededRandom } from "../../src/base/random.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import type { Aggregator, Router } from "../../src/kernel/kernel.ts";
import { createPlainAggregator, type AggregatorOptions } from "../../src/kernel/plain-aggregator.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import { createStatsdRouter } from "../../src/kernel/statsd-router.ts";

const now = 1_790_000_000;
const frameLines = 4000;

// Compiled in line with the run, not beside it: on a busy machine the helper thread may not get its turn for seconds.
setFlagsFromString("--no-concurrent-recompilation");

const rounds = 60;
const runsPerRound = 25;
/** A boxed double is 16 bytes: one per line would show. */
const bytesPerLineMax = 4;
/** Of StatsD: the value whose bin is looked for. */
const boxedDoubleMax = 20;

/**
 * Bytes of heap for each line, in the best of several rounds: until the code is compiled its numbers are boxed. An
 * allocation per line is there in every round.
 */
function heapBytesPerLine(run: () => void, enough = bytesPerLineMax): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds && best >= enough; round++) {
    let bytes = 0;
    for (let i = 0; i < runsPerRound; i++) {
      const before = process.memoryUsage().heapUsed;
      run();
      // Where the heap shrank there was a collection.
      bytes += Math.max(0, process.memoryUsage().heapUsed - before);
    }
    best = Math.min(best, bytes / (runsPerRound * frameLines));
  }
  return best;
}

const halves = [
  { name: "plain", createRouter: createPlainRouter, createAggregator: createPlainAggregator },
  { name: "kernel", createRouter: createKernelRouter, createAggregator: createKernelAggregator },
];

for (const { name, createRouter, createAggregator } of halves)
  test(`${name}: a million lines allocate next to nothing`, () => measure(createRouter(), createAggregator));

function measure(router: Router, createAggregator: (options: AggregatorOptions) => Aggregator): void {
  const random = seededRandom(8);
  const lines = Array.from({ length: frameLines }, (_, i) => {
    const value = [String(random.below(1e9)), (random.next() * 100).toFixed(3), String(random.next() * 100)][
      i % 3
    ];
    return `servers.host${i % 500}.app.requests.m${i % 4} ${value} ${now - (i % 7 === 0 ? 10 * (i % 5) : 0)}\n`;
  });
  const frame = new TextEncoder().encode(lines.join(""));
  const options = { keyed: true, last: true };
  const route = () => {
    for (let at = 0; at < frame.length; at = router.lines.consumed)
      router.route(frame, at, frame.length, options);
  };
  const aggregator = createAggregator({ stepSeconds: 10, seed: random.bytes(8) });
  const refuse = () => assert.fail("all lines are good");
  const ingest = () => {
    aggregator.ingest(1, frame, now * 1000, refuse);
    aggregator.commit();
  };
  const routed = heapBytesPerLine(route);
  assert.ok(routed < bytesPerLineMax, `route: ${routed} bytes a line`);
  const ingested = heapBytesPerLine(ingest);
  assert.ok(ingested < bytesPerLineMax, `ingest: ${ingested} bytes a line`);
}

test("StatsD lines are routed without allocating, and aggregated with a boxed double each at most", () => {
  const lines = Array.from(
    { length: frameLines },
    (_, i) => `requests.host${i % 500}.m${i % 4}:${i % 7}${i % 2 === 0 ? ".5|ms" : "|c|@0.5"}\n`,
  );
  const frame = new TextEncoder().encode(lines.join(""));
  const router = createStatsdRouter();
  const options = { keyed: true, last: true };
  const routed = heapBytesPerLine(() => {
    for (let at = 0; at < frame.length; at = router.lines.consumed)
      router.route(frame, at, frame.length, options);
  });
  assert.ok(routed < bytesPerLineMax, `route: ${routed} bytes a line`);
  const aggregator = createPlainAggregator({ stepSeconds: 10, seed: seededRandom(8).bytes(8) });
  const refuse = () => assert.fail("all lines are good");
  const ingested = heapBytesPerLine(() => {
    aggregator.ingestStatsd(1, frame, now * 1000, refuse);
  }, boxedDoubleMax);
  assert.ok(ingested < boxedDoubleMax, `ingest: ${ingested} bytes a line`);
});
