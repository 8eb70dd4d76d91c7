// What one batch makes of frames: dead letters, books, ids, and the same commit from the same frames.
import type { ShardState } from "../../src/store/store.ts";
import { freshState } from "../../src/store/lanes.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { encodeFrame, type Refusal } from "../../src/metric/frame.ts";
import { newSeriesFlag } from "../../src/store/store.ts";
import { Batch } from "../../workers/batch.ts";
import { bootA, World } from "./world.ts";

const nothing: ShardState = { ...freshState(), boots: [] };

function newBatch(seriesMax = 1000): Batch {
  const seed = seededRandom(3).bytes(8);
  return new Batch({
    aggregator: createPlainAggregator({ stepSeconds: 1, seed, seriesMax }),
    state: nothing,
  });
}

function apply(batch: Batch, sequence: number, data: Uint8Array): void {
  const recorded = { sequence, timeMs: 1000 * sequence, data };
  batch.apply(recorded, batch.decode(recorded), false);
}

test("a corrupt frame is a dead letter whole; frames around it count", async () => {
  const world = await World.start();
  await world.recordMany(1);
  await world.record(Buffer.from("no frame of ours"));
  await world.record(new Uint8Array(0));
  await world.recordMany(1, 1);
  await world.runThrough();
  assert.deepEqual(await world.letters(), ["2 corrupt-frame no frame of ours", "3 corrupt-frame "]);
  assert.deepEqual(await world.sums(), ["a 2 2"]);
  assert.equal((await world.state()).offset, 4);
});

test("a StatsD section counts by its lines; what its grammar refuses is a dead letter", async () => {
  const world = await World.start();
  await world.record(world.frame(["a:1|c|@0.5", "b:x|c", "a:1|c:2|c"], { kind: "statsd", door: "statsd" }));
  await world.runThrough();
  assert.deepEqual(await world.letters(), ["1 bad-value b:x|c"]);
  assert.deepEqual(await world.books(), ["statsd dead bad-value 1", "statsd stored 2"]);
});

test("sketches and gauges go into the commit, a gauge by the id of its series", () => {
  const batch = newBatch();
  const frame = (lines: string, n: number) =>
    encodeFrame({
      identity: { kind: "boot", boot: bootA, n },
      receivedAtMs: 1_700_000_000_000,
      sections: [{ tenant: "t1", door: "statsd", kind: "statsd", lineCount: 1, lines: Buffer.from(lines) }],
      refusals: [],
    });
  apply(batch, 1, frame("g:+5|g\nt:1|ms\nh:2|g\n", 0));
  apply(batch, 2, frame("g:+5|g\nt:1|ms\nh:2|g\n", 0)); // applied before: it must not add twice
  const first = batch.commit(1, 0, "i");
  const names = first.newSeries.map(({ name }) => Buffer.from(name).toString());
  const said = first.gauges?.map(({ series, value, isRelative }) => [
    names[series - newSeriesFlag],
    value,
    isRelative,
  ]);
  assert.deepEqual(said, [
    ["stats.gauges.g", 5, true],
    ["stats.gauges.h", 2, false],
  ]);
  assert.deepEqual(
    [...(first.deltas.sketches?.keys() ?? [])].map(
      (row) => names[(first.deltas.series[row] ?? 0) - newSeriesFlag],
    ),
    ["stats.timers.t.\u0001t"],
  );
  assert.ok(!("gauges" in first.deltas));
  batch.committed(Uint32Array.from(names, (_, i) => 11 + i));
  apply(batch, 3, frame("g:-1|g\n", 1));
  const second = batch.commit(1, 2, "i");
  assert.deepEqual(
    second.gauges?.map(({ series }) => series),
    [11 + names.indexOf("stats.gauges.g")],
  );
  assert.deepEqual([second.newSeries, second.deltas.count], [[], 0]);
  batch.committed(new Uint32Array());
  assert.deepEqual(batch.commit(1, 3, "i").gauges, []);
});

test("a line that the actor can't take is a dead letter with its reason; the rest of its frame counts", async () => {
  const world = await World.start();
  const now = Math.floor(world.clock.nowMs() / 1000);
  await world.record(world.frame(["a 1", "x", `a 2 ${now + 4000}`, "a 3 0", "b nan", "a 4"]));
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 2 5"]);
  assert.deepEqual(await world.letters(), [
    "1 malformed x",
    `1 too-new a 2 ${now + 4000}`,
    "1 too-old a 3 0",
    "1 nan b nan",
  ]);
  assert.deepEqual(await world.books(), [
    "tcp dead malformed 1",
    "tcp dead nan 1",
    "tcp dead too-new 1",
    "tcp dead too-old 1",
    "tcp stored 2",
  ]);
});

test("lines over the series limit are booked as refused, not buried", async () => {
  const world = await World.start();
  const newAggregator = () =>
    createPlainAggregator({ stepSeconds: 1, seed: world.random.bytes(8), seriesMax: 1 });
  await world.record(world.frame(["a 1", "b 1", "c 1", "a 1"]));
  await world.runThrough({ newAggregator });
  assert.deepEqual(await world.sums(), ["a 2 2"]);
  assert.deepEqual(await world.books(), ["tcp refused series-limit 2", "tcp stored 2"]);
  assert.deepEqual(await world.letters(), []);
});

test("refusals of doors reach the books of their minute, once", async () => {
  const world = await World.start();
  const refusals: Refusal[] = [
    { tenant: "t1", door: "tcp", reason: "too-old", count: 7, minute: 1_700_000_040 },
    { tenant: "t2", door: "http", reason: "shard-full", count: 2, minute: 1_700_000_040 },
  ];
  const frame = world.frame([], { refusals, n: 5 });
  await world.record(frame);
  await world.record(frame);
  await world.runThrough();
  assert.deepEqual(await world.books(), ["tcp refused too-old 7"]);
  const rows = await world.snapshot((snapshot) => snapshot.ledger("t2", 1_700_000_040, 1_700_000_040));
  assert.deepEqual(
    rows.map(({ fate, count }) => [fate, count]),
    [
      ["received", 2],
      ["refused", 2],
    ],
  );
});

test("D1: the same frames give the same commit; after ok the books start afresh and known series need no name", async () => {
  const world = await World.start();
  const frames = [
    world.frame(["a 1", "b 2", "x"], { n: 0 }),
    world.frame(["a 5"], { n: 1, tenant: "t2" }),
    world.frame(["b 7"], { keyed: 9 }),
    Buffer.from("rubbish"),
  ];
  const commits = [newBatch(), newBatch()].map((batch) => {
    frames.forEach((frame, i) => apply(batch, i + 1, frame));
    return structuredClone(batch.commit(1, 0, "i"));
  });
  assert.deepEqual(commits[0], commits[1]);

  const batch = newBatch();
  frames.forEach((frame, i) => apply(batch, i + 1, frame));
  const first = batch.commit(1, 0, "i");
  assert.equal(first.newSeries.length, 3);
  assert.deepEqual(first.boots[0]?.applied, [[0, 1]]);
  batch.committed(Uint32Array.from([11, 12, 13]));
  apply(batch, 5, world.frame(["b 1", "d 1"], { n: 2 }));
  const second = batch.commit(1, 4, "i");
  assert.deepEqual(new Set(second.deltas.series), new Set([12, newSeriesFlag]));
  assert.deepEqual([second.keyed, second.dead, second.holes], [[], [], []]);
  assert.deepEqual(
    second.boots.map(({ applied }) => applied),
    [[[2, 2]]],
  );
  assert.deepEqual(
    second.ledger.map(({ fate, count }) => [fate, count]),
    [
      ["received", 2],
      ["stored", 2],
    ],
  );
});

test("what a commit says does not change under a store that is slow to write it", async () => {
  const batch = newBatch();
  const section = { tenant: "t1", door: "tcp" as const, kind: "plaintext" as const, lineCount: 1 };
  const identity = { kind: "boot" as const, boot: bootA, n: 0 };
  const data = encodeFrame({
    identity,
    receivedAtMs: 1_700_000_000_000,
    sections: [{ ...section, lines: Buffer.from("x\n") }],
    refusals: [],
  });
  apply(batch, 1, data);
  const commit = batch.commit(1, 0, "i");
  data.fill(0); // the reader's buffer is used again
  assert.equal(Buffer.from(commit.dead[0]?.bytes ?? []).toString(), "x");
});

test("dead letters of one commit are bounded, their count in the books is not", async () => {
  const world = await World.start();
  const lines = Array.from({ length: 12_000 }, () => "x");
  await world.record(world.frame(lines, { n: 0 }));
  await world.runThrough();
  assert.deepEqual(await world.books(), ["tcp dead malformed 12000"]);
  const letters = await world.snapshot((snapshot) => snapshot.dead(20_000));
  assert.equal(letters.length, 10_000);
  assert.match(letters.at(-1)?.detail ?? "", /and more/);
});
