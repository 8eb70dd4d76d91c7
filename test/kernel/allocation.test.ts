// K1: nothing is allocated per line or per point. What the heap grows by is measured over many lines after a warm-up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import { testLadder } from "../fuzz/aggregator.ts";

const now = 1_790_000_000;
const frameLines = 4000;

/** Bytes of heap for each of the lines that the runs take. Runs in which the heap shrank saw a collection. */
function heapBytesPerLine(run: () => void, linesPerRun: number): number {
  for (let i = 0; i < 100; i++) run();
  let bytes = 0;
  const runs = 250;
  for (let i = 0; i < runs; i++) {
    const before = process.memoryUsage().heapUsed;
    run();
    bytes += Math.max(0, process.memoryUsage().heapUsed - before);
  }
  return bytes / (runs * linesPerRun);
}

test("a million lines allocate next to nothing", () => {
  const random = seededRandom(8);
  const lines = Array.from({ length: frameLines }, (_, i) => {
    const value = [String(random.below(1e9)), (random.next() * 100).toFixed(3), String(random.next() * 100)][
      i % 3
    ];
    return `servers.host${i % 500}.app.requests.m${i % 4} ${value} ${now - (i % 7 === 0 ? 10 * (i % 5) : 0)}\n`;
  });
  const frame = new TextEncoder().encode(lines.join(""));
  const router = createPlainRouter();
  const options = { keyed: true, last: true };
  const route = () => {
    for (let at = 0; at < frame.length; at = router.lines.consumed)
      router.route(frame, at, frame.length, options);
  };
  const aggregator = createPlainAggregator({ stepSeconds: 10, seed: random.bytes(8), ladder: testLadder });
  const refuse = () => assert.fail("all lines are good");
  const ingest = () => {
    aggregator.ingest(1, frame, now * 1000, refuse);
    aggregator.commit();
  };
  // A boxed double is 16 bytes: one per line would show.
  const routed = heapBytesPerLine(route, frameLines);
  assert.ok(routed < 4, `route: ${routed} bytes a line`);
  const ingested = heapBytesPerLine(ingest, frameLines);
  assert.ok(ingested < 4, `ingest: ${ingested} bytes a line`);
});
