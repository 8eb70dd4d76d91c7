// Series that end while their actor lives: deleted by an operator, or retired. What comes later has another id, and what
// was read before but not committed is not lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutage, Outage } from "../../src/base/errors.ts";
import type { ShardStore } from "../../src/store/store.ts";
import { choresWaitingMax } from "../../workers/chores.ts";
import { deleteSeries, hourMs, World } from "./world.ts";

/** Ids by name, as a reader finds them. */
async function idsOf(world: World, tenant = "t1"): Promise<Map<string, number>> {
  const found = await world.snapshot((snapshot) => snapshot.findSeries(tenant, "*", 10_000));
  return new Map(found.map(({ id, name }) => [name, id]));
}

const all = { tenant: "t1", pattern: "*", most: 100 };

test("a point of a deleted series that comes later gets a new id and is found again", async () => {
  const world = await World.start();
  const running = world.run();
  await world.record(world.frame(["a 1", "b 2"], { n: 0 }));
  await world.record(world.frame(["a 9"], { n: 1, tenant: "t2" }));
  await world.clock.pass(1000);
  const before = await idsOf(world);
  assert.deepEqual(await deleteSeries(running.actor, { ...all, pattern: "a" }), ["a"]);
  assert.deepEqual([...(await idsOf(world)).keys()], ["b"]);
  await world.record(world.frame(["a 5", "b 3"], { n: 2 }));
  await world.clock.pass(1000);
  const after = await idsOf(world);
  assert.equal(after.get("b"), before.get("b"));
  assert.notEqual(after.get("a"), before.get("a"));
  assert.deepEqual(await world.sums(), ["a 1 5", "b 2 5"]);
  assert.deepEqual(await world.sums("t2"), ["a 1 9"]);
  assert.deepEqual(await deleteSeries(running.actor, all), ["a", "b"]);
  assert.deepEqual(await deleteSeries(running.actor, all), []);
  running.actor.stop();
  await running.ended;
});

test("rows of a deleted series that are still open land in its new id", async () => {
  const world = await World.start();
  const running = world.run({ commitMs: 1000 });
  await world.record(world.frame(["a 1", "b 1"], { n: 0 }));
  await world.clock.pass(2000);
  const before = await idsOf(world);
  await world.record(world.frame(["a 10", "b 10"], { n: 1 }));
  await world.clock.pass(10); // read, and not yet committed
  assert.equal(running.progress().read, 2);
  assert.equal(running.progress().offset, 1);
  assert.deepEqual(await deleteSeries(running.actor, { ...all, pattern: "a", most: 1 }), ["a"]);
  assert.equal((await world.state()).offset, 1);
  await world.clock.pass(2000);
  assert.deepEqual(await world.sums(), ["a 1 10", "b 2 11"]);
  assert.notEqual((await idsOf(world)).get("a"), before.get("a"));
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.books(), ["tcp stored 4"]);
});

test("hourly, by the record's time, series are retired; their ids are not used again", async () => {
  const world = await World.start();
  const asked: number[] = [];
  let left = 3;
  let store: ShardStore | undefined;
  const openStore = world.storeWith((real) => {
    store = real;
    return {
      // The memory engine retires what upkeep has seen; here it is series that are deleted.
      retire: async (epoch, seconds) => {
        asked.push(seconds);
        const { ids } = await real.deleteSeries(epoch, "t1", "*", left > 0 ? 1 : 0);
        return { ids, more: left-- > 0 };
      },
    };
  });
  const running = world.run({ openStore });
  await world.record(world.frame(["a 1", "b 1", "c 1"], { n: 0, receivedAtMs: 1_600_000_000_000 }));
  await world.clock.pass(5000);
  const before = await idsOf(world);
  await world.clock.pass(hourMs / 4);
  assert.deepEqual(asked, [1_600_000_000, 1_600_000_000, 1_600_000_000, 1_600_000_000]);
  assert.deepEqual(await world.sums(), []);
  await world.record(world.frame(["a 1", "b 1"], { n: 1 }));
  await world.clock.pass(5000);
  assert.deepEqual(await world.sums(), ["a 1 1", "b 1 1"]);
  for (const [name, id] of await idsOf(world)) assert.notEqual(id, before.get(name));
  await world.clock.pass(hourMs);
  assert.equal(asked.length, 5);
  assert.ok(store !== undefined);
  running.actor.stop();
  await running.ended;
});

test("Q1: a bounded number of deletions wait, and Q2: each is answered", async () => {
  const world = await World.start();
  const running = world.run();
  const answers = Array.from({ length: choresWaitingMax + 3 }, () => deleteSeries(running.actor, all));
  const settled = Promise.allSettled(answers);
  await world.clock.pass(100);
  const refused = (await settled).filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 3);
  // It stops while some wait.
  const last = Promise.allSettled([deleteSeries(running.actor, all), deleteSeries(running.actor, all)]);
  running.actor.stop();
  await running.ended;
  await world.clock.pass(100);
  assert.equal((await last).length, 2);
  await assert.rejects(deleteSeries(running.actor, all), (error) => isOutage(error, "store-unavailable"));
});

test("a deletion that the store could not do is answered with its outage, and the actor goes on", async () => {
  const world = await World.start();
  let fails = 1;
  const openStore = world.storeWith((store) => ({
    deleteSeries: (...asked) =>
      fails-- > 0 ? Promise.reject(new Outage("store-full", "no room")) : store.deleteSeries(...asked),
  }));
  const running = world.run({ openStore });
  await world.record(world.frame(["a 1"], { n: 0 }));
  await world.clock.pass(1000);
  const failing = assert.rejects(deleteSeries(running.actor, all), (error) => isOutage(error, "store-full"));
  await world.clock.pass(2000);
  await failing;
  const answer = deleteSeries(running.actor, all);
  await world.clock.pass(2000);
  assert.deepEqual(await answer, ["a"]);
  running.actor.stop();
  await running.ended;
});

test("an owner that is none any more does not say that all is deleted", async () => {
  const world = await World.start();
  const old = world.run();
  await world.record(world.frame(["a 1"], { n: 0 }));
  await world.clock.pass(1000);
  const store = await world.engine.openShard(0);
  await store.claim({ node: "n2", mapVersion: 2, instance: "i" });
  const failing = assert.rejects(deleteSeries(old.actor, all), (error) =>
    isOutage(error, "store-unavailable"),
  );
  assert.equal((await old.ended).kind, "fenced");
  await failing;
  assert.deepEqual(await world.sums(), ["a 1 1"]);
});

test("very many deleted series are let go with the whole cache", async () => {
  const world = await World.start();
  const running = world.run();
  const count = 120_000;
  for (let n = 0; n < 4; n++) {
    const lines = Array.from({ length: count / 4 }, (_, i) => `s${n * (count / 4) + i} 1`);
    await world.record(world.frame(lines, { n }));
    await world.clock.pass(2000);
  }
  assert.equal(running.progress().series, count);
  assert.equal((await deleteSeries(running.actor, { ...all, most: count + 1 })).length, count);
  await world.record(world.frame(["s7 1"], { n: 4 }));
  await world.clock.pass(2000);
  assert.equal(running.progress().series, 1);
  assert.deepEqual(await world.sums(), ["s7 1 1"]);
  running.actor.stop();
  await running.ended;
});
