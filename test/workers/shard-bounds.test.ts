// What an actor that lives for long keeps, and what it lets go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { hourMs, World } from "./world.ts";

test("what is to be forgotten is forgotten to the end, a bounded part at a time", async () => {
  const world = await World.start();
  let left = 7;
  let calls = 0;
  const openStore = world.storeWith(() => ({
    forget: () => {
      calls++;
      return Promise.resolve({ keyed: left > 0 ? left-- : 0, boots: 0, ledger: 0, dead: 0, closed: 0 });
    },
  }));
  const running = world.run({ openStore });
  await world.clock.pass(hourMs / 4);
  assert.deepEqual([left, calls], [0, 8]);
  await world.clock.pass(hourMs / 6);
  assert.equal(calls, 9);
  running.actor.stop();
  await running.ended;
});

test("S6: a cache of series that is full is dropped, and every series goes on being counted", async () => {
  const world = await World.start();
  const seriesMax = 8;
  const running = world.run({
    seriesCachedMax: 4,
    newAggregator: () => createPlainAggregator({ stepSeconds: 1, seed: world.random.bytes(8), seriesMax }),
  });
  for (let n = 0; n < 20; n++) {
    const tenant = `t${n % 2}`;
    await world.record(world.frame([`x${n} 1`, `y${n} 1`, "old 1"], { n, tenant }));
    await world.clock.pass(1000);
    assert(running.progress().series <= seriesMax);
  }
  running.actor.stop();
  await running.ended;
  for (const tenant of ["t0", "t1"]) {
    const sums = await world.sums(tenant);
    assert.equal(sums.length, 21);
    assert.deepEqual(
      sums.filter((text) => !text.endsWith(" 1 1")),
      ["old 10 10"],
    );
    assert.deepEqual(await world.books(tenant), ["tcp stored 30"]);
  }
});

test("when long names have taken most of the room, the cache is made anew before any is refused", async () => {
  const world = await World.start();
  let made = 0;
  const running = world.run({
    newAggregator: () => {
      made++;
      return createKernelAggregator({ stepSeconds: 1, seed: world.random.bytes(8), seriesMax: 10_000 });
    },
  });
  // A megabyte has room for a thousand of them; each frame is a commit.
  for (let n = 0; n < 30; n++) {
    const lines = Array.from({ length: 100 }, (_, i) => `${n}.${i}.${"n".repeat(990)} 1`);
    await world.record(world.frame([...lines, "old 1"], { n }));
    await world.clock.pass(1000);
  }
  running.actor.stop();
  await running.ended;
  assert(made > 3, `${made} caches`);
  assert.deepEqual(await world.books("t1"), ["tcp stored 3030"]);
});
