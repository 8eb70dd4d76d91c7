// First deeds: skip and adopt, done by the next actor between its claim and its first read.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FirstDone } from "../../workers/first.ts";
import type { FirstDeed } from "../../workers/messages.ts";
import { ActorCell } from "../../src/base/actor-cell.ts";
import { Outage } from "../../src/base/errors.ts";
import { hourMs, settle, World } from "./world.ts";

/** An actor that does this first; it is stopped when it has worked everything off. */
async function deed(world: World, kind: FirstDeed["kind"]) {
  const told: FirstDone[] = [];
  const ended = await world.runThrough({ first: { kind }, onFirst: (done) => told.push(done) });
  return { told, ended };
}

test("a skip sets everything up to the newest frame aside, and what comes then is live", async () => {
  const world = await World.start();
  await world.recordMany(3);
  await world.runThrough();
  await world.recordMany(5, 3);
  const { told } = await deed(world, "skip");
  assert.deepEqual(told, [{ kind: "skipped", gap: [4, 8] }]);
  const { gaps, offset } = await world.state();
  assert.deepEqual({ gaps, offset }, { gaps: [[4, 8]], offset: 8 });
  assert.deepEqual(await world.sums(), ["a 3 3"]);
  await world.recordMany(1, 8);
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 4 4"]);
  assert.deepEqual(
    (await deed(world, "skip")).told,
    [{ kind: "skipped", gap: undefined }],
    "nothing is left to skip",
  );
  assert.deepEqual((await world.state()).gaps, [[4, 8]]);
});

test("a shard that never got over its first frame can be skipped", async () => {
  const world = await World.start();
  await world.recordMany(2);
  assert.deepEqual((await deed(world, "skip")).told, [{ kind: "skipped", gap: [1, 2] }]);
  await world.recordMany(1, 2);
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 1 1"]);
});

test("a skip waits for the bus, and is done once", async () => {
  const world = await World.start();
  await world.recordMany(4);
  let outages = 3;
  const bus = world.busWith({
    streamState: async (shard) => {
      if (outages-- > 0) throw new Outage("bus-unavailable", "away");
      return world.bus.streamState(shard);
    },
  });
  const told: FirstDone[] = [];
  const running = world.run({ bus, first: { kind: "skip" }, onFirst: (done) => told.push(done) });
  await world.clock.pass(20_000);
  assert.deepEqual(told, [{ kind: "skipped", gap: [1, 4] }]);
  world.bus.disconnect();
  world.bus.reconnect();
  await world.clock.pass(20_000);
  running.actor.stop();
  await running.ended;
  assert.equal(told.length, 1);
});

test("a record that is another one is not skipped into, but adopted: nothing counts twice, what is gone is a hole", async () => {
  const world = await World.start();
  await world.recordMany(6);
  await world.runThrough();
  world.bus.wipeStream(0);
  await world.ensure();
  const skipped = await deed(world, "skip");
  assert(skipped.ended.kind === "failed" && skipped.ended.code === "record-rewound", JSON.stringify(skipped));
  assert.deepEqual(skipped.told, []);
  // Resent after the wipe, and new ones.
  await world.recordMany(4, 4);
  const { told } = await deed(world, "adopt");
  assert.deepEqual(told, [{ kind: "adopted", offset: 0, hole: [7, 7] }]);
  assert.deepEqual(await world.sums(), ["a 8 8"]);
  assert.deepEqual(
    (await deed(world, "adopt")).told,
    [{ kind: "adopted", offset: 4, hole: undefined }],
    "all is well",
  );
});

test("an adopted record is read again from some hours before, not from its beginning", async () => {
  const world = await World.start();
  for (let n = 0; n < 10; n++) {
    await world.recordMany(1, n);
    await world.clock.pass(4 * hourMs);
  }
  await world.runThrough();
  // The record is set back by a frame; others take its place. Two frames are of the last twelve hours.
  world.bus.rewindStream(0, 9);
  await world.recordMany(5, 20);
  const { told } = await deed(world, "adopt");
  assert.deepEqual(told, [{ kind: "adopted", offset: 7, hole: undefined }]);
  assert.deepEqual(await world.sums(), ["a 15 15"]);
});

test("an actor's marks say what it does: waiting for the store is no ingesting", async () => {
  const world = await World.start();
  const cell = new ActorCell();
  const seen: string[] = [];
  const look = () => seen.push(`${cell.read().doing} ${cell.read().sequence}`);
  const openStore = world.storeWith((store) => ({
    commit: async (commit) => {
      look();
      return store.commit(commit);
    },
    keyedApplied: async (ids, nowMs) => {
      look();
      return store.keyedApplied(ids, nowMs);
    },
  }));
  await world.record(world.frame(["a 1"], { keyed: 1 }));
  const running = world.run({ cell, openStore });
  await world.clock.pass(1000);
  assert.deepEqual(seen, ["store 1", "store 1"]);
  await settle();
  assert.equal(cell.read().doing, "idle");
  running.actor.stop();
  await running.ended;
});
