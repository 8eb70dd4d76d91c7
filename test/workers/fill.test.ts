import assert from "node:assert/strict";
import { test } from "node:test";
import { ActorCell } from "../../src/base/actor-cell.ts";
import { Backoff } from "../../src/base/backoff.ts";
import { Outage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import type { ShardStore } from "../../src/store/store.ts";
import { withFaults } from "../../workers/faults.ts";
import { FillActor, type FillActorOptions, type FillEnded } from "../../workers/fill-actor.ts";
import type { FillProgress } from "../../workers/messages.ts";
import { RefusedNames } from "../../workers/refused-names.ts";
import { SeriesLimits } from "../../workers/series-limits.ts";
import { bootB, World } from "./world.ts";

interface RunningFill {
  actor: FillActor;
  ended: Promise<FillEnded>;
  progress: FillProgress[];
}

async function fill(world: World, options: Partial<FillActorOptions> = {}): Promise<RunningFill> {
  const progress: FillProgress[] = [];
  const actor = new FillActor({
    shard: 0,
    epoch: (await world.state()).epoch,
    instance: "i",
    bus: world.bus,
    openStore: () => world.engine.openShard(0),
    openReader: () => world.engine.openReader(0),
    newAggregator: () =>
      withFaults(createKernelAggregator({ stepSeconds: 1, seed: world.random.bytes(8), seriesMax: 10_000 })),
    clock: world.clock,
    backoff: new Backoff({ firstMs: 100, mostMs: 1000, healthyMs: 30_000 }, world.clock, world.random),
    log: world.heard.log,
    seriesLimits: new SeriesLimits(),
    refusedNames: new RefusedNames(new Uint8Array(16)),
    lastDeath: "",
    rate: () => "full",
    cell: new ActorCell(),
    onProgress: (said) => progress.push(said),
    ...options,
  });
  const ended = actor.run();
  ended.catch(() => {});
  return { actor, ended, progress };
}

async function filled(world: World, options: Partial<FillActorOptions> = {}): Promise<FillEnded> {
  const { ended } = await fill(world, options);
  await world.clock.pass(20_000);
  return await ended;
}

/** Sets everything that is recorded and not committed aside, as a skip does. */
async function skip(world: World): Promise<void> {
  const store = await world.engine.openShard(0);
  const claim = await store.claim({ node: "n1", mapVersion: 1, instance: "i" });
  assert(claim.kind === "claimed");
  const { lastSequence, incarnation } = await world.bus.streamState(0);
  const frame = await world.bus.frameAt(0, lastSequence);
  const at = { incarnation, frameTimeMs: frame?.timeMs ?? 0, receivedAtMs: 0 };
  if (lastSequence > claim.state.offset) await store.skip(claim.state.epoch, lastSequence, at);
}

test("a gap is filled behind live data, each frame once", async () => {
  const world = await World.start();
  await world.recordMany(5);
  await world.runThrough();
  await world.recordMany(20, 5);
  await skip(world);
  await world.recordMany(3, 25);
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 8 8"]);
  assert.deepEqual((await world.state()).gaps, [[6, 25]]);
  assert.deepEqual(await filled(world), { kind: "filled" });
  assert.deepEqual(await world.sums(), ["a 28 28"]);
  assert.deepEqual((await world.state()).gaps, []);
  assert.deepEqual(await world.books(), ["tcp stored 28"]);
  assert.deepEqual(await filled(world), { kind: "filled" });
  assert.deepEqual(await world.sums(), ["a 28 28"]);
});

test("a frame that is in the gap and behind it counts once, whoever reads it first", async () => {
  for (const fillFirst of [true, false]) {
    const world = await World.start();
    await world.recordMany(4);
    await world.record(world.frame(["k 1"], { keyed: 7 }));
    await skip(world);
    await world.recordMany(6); // four of them again
    await world.record(world.frame(["k 1"], { keyed: 7 }));
    if (fillFirst) await filled(world);
    await world.runThrough();
    await filled(world);
    assert.deepEqual(await world.sums(), ["a 6 6", "k 1 1"], `fill first: ${fillFirst}`);
  }
});

test("frames that the record lost within a gap are a hole, those before its beginning too", async () => {
  const world = await World.start();
  await world.recordMany(10);
  await skip(world);
  await world.bus.trim(0, 2);
  world.bus.loseFrames(0, [5, 6, 9, 10]);
  await world.recordMany(1, 20);
  assert.deepEqual(await filled(world), { kind: "filled" });
  const { gaps, holes } = await world.state();
  assert.deepEqual(gaps, []);
  assert.deepEqual(holes, [
    [1, 2],
    [5, 6],
    [9, 10],
  ]);
  assert.deepEqual(await world.sums(), ["a 4 4"]);
});

test("a rate that was asked for is kept, and may change", async () => {
  const world = await World.start();
  await world.recordMany(10);
  const lines = Array.from({ length: 100 }, () => "b 1");
  for (let n = 0; n < 50; n++) await world.record(world.frame(lines, { boot: bootB, n }));
  await skip(world);
  let rate: number | "full" = 500;
  const running = await fill(world, { rate: () => rate });
  await world.clock.pass(5000);
  const points = running.progress.at(-1)?.points ?? 0;
  assert(points > 1500 && points <= 2800, `5 s at 500 a second, the first 100 points at once: ${points}`);
  const before = (await world.state()).gaps;
  assert.equal(before.length, 1);
  rate = "full";
  await world.clock.pass(30_000);
  assert.deepEqual(await running.ended, { kind: "filled" });
  assert.deepEqual(await world.sums(), ["a 10 10", "b 5000 5000"]);
});

test("a tenant that is buried, and series that are deleted, while a gap is filled", async () => {
  const world = await World.start();
  for (let n = 0; n < 20; n++)
    await world.record(world.frame(["a 1", "d 1"], { n, tenant: n % 2 === 0 ? "t1" : "t2" }));
  await skip(world);
  let rate: number | "full" = 2;
  const running = await fill(world, { rate: () => rate });
  await world.clock.pass(3000);
  const { epoch, gaps } = await world.state();
  assert((gaps[0]?.[0] ?? 0) > 1, "some of it is filled, and series have their ids");
  const store = await world.engine.openShard(0);
  // As the live lane does it.
  await store.bury(epoch, "t2");
  assert.equal((await store.purge(epoch, "t2", 100)).names.length, 2);
  assert.equal((await store.deleteSeries(epoch, "t1", "d", 10)).names.length, 1);
  rate = "full";
  await world.clock.pass(30_000);
  assert.deepEqual(await running.ended, { kind: "filled" });
  assert.equal(await store.tenantSeries("t2"), 0, "nothing of it comes back");
  const stored = (await world.sums()).find((sum) => sum.startsWith("d "));
  assert(stored !== undefined, "what comes after a delete is a series again");
  await store.close();
});

test("another rate holds at once, whatever the one before would have waited for", async () => {
  const world = await World.start();
  const lines = Array.from({ length: 1000 }, () => "b 1");
  for (let n = 0; n < 4; n++) await world.record(world.frame(lines, { n }));
  await skip(world);
  let rate: number | "full" = 1;
  const running = await fill(world, { rate: () => rate });
  await world.clock.pass(5000);
  assert.equal(running.progress.at(-1)?.framesLeft, 3);
  rate = "full";
  await world.clock.pass(5000);
  assert.deepEqual(await running.ended, { kind: "filled" });
  assert.deepEqual(await world.sums(), ["b 4000 4000"]);
});

test("it goes on where it was stopped; another epoch's ends", async () => {
  const world = await World.start();
  await world.recordMany(10);
  await skip(world);
  const running = await fill(world);
  running.actor.stop();
  assert.equal((await running.ended).kind, "stopped");
  const { epoch } = await world.state();
  const store = await world.engine.openShard(0);
  await store.claim({ node: "n1", mapVersion: 1, instance: "j" });
  assert.equal((await filled(world, { epoch })).kind, "fenced");
  assert.deepEqual(await filled(world), { kind: "filled" });
  assert.deepEqual(await world.sums(), ["a 10 10"]);
});

test("a poison line in a gap is found and buried, the rest of the gap counts", async () => {
  const world = await World.start();
  await world.recordMany(3);
  await world.record(world.frame(["b 1", "millrace-fault.throw.x 1", "c 1"], { n: 3 }));
  await world.recordMany(2, 4);
  await skip(world);
  // A throw outside a trial ends the thread; two deaths are left behind, and the third life looks closer.
  for (let life = 0; life < 2; life++) {
    const { ended } = await fill(world);
    await world.clock.pass(5000);
    await assert.rejects(ended);
  }
  assert.deepEqual(await filled(world), { kind: "filled" });
  assert.deepEqual(await world.sums(), ["a 5 5", "b 1 1", "c 1 1"]);
  assert.deepEqual(await world.letters(), ["4 poison millrace-fault.throw.x 1"]);
  assert.deepEqual(await world.books(), ["tcp dead poison 1", "tcp stored 7"]);
});

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

test(`skips, lost answers and both lanes in any order count each point once (MILLRACE_SEED=${seed})`, async () => {
  for (let run = 0; run < 4; run++) {
    const world = await World.start();
    const random = seededRandom(seed * 100 + run);
    let recorded = 0;
    const shaky = world.storeWith((store) => ({
      async commit(commit): ReturnType<ShardStore["commit"]> {
        const lost = random.below(4) === 0;
        const late = random.below(8) === 0;
        if (lost && !late) throw new Outage("store-unavailable", "not even tried");
        const result = await store.commit(commit);
        if (lost) throw new Outage("store-unavailable", "the answer was lost");
        return result;
      },
    }));
    for (let step = 0; step < 12; step++) {
      const count = random.below(6);
      for (let i = 0; i < count; i++) {
        // A resend now and then.
        const n = recorded > 0 && random.below(4) === 0 ? random.below(recorded) : recorded++;
        await world.record(world.frame(["a 1"], { n }));
      }
      if (random.below(3) === 0) await skip(world);
      const live = world.run({ openStore: shaky });
      await world.clock.pass(random.below(600));
      const lane = await fill(world, { openStore: shaky });
      await world.clock.pass(random.below(1500));
      live.actor.stop();
      lane.actor.stop();
      await world.clock.pass(10_000);
      await Promise.all([live.ended, lane.ended]);
    }
    await world.runThrough();
    assert.deepEqual(await filled(world), { kind: "filled" });
    assert.deepEqual(await world.sums(), recorded === 0 ? [] : [`a ${recorded} ${recorded}`], `run ${run}`);
  }
});
