// What an actor that lives for long keeps, and what it lets go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hourMs, World } from "./world.ts";

test("what is to be forgotten is forgotten to the end, a bounded part at a time", async () => {
  const world = await World.start();
  let left = 7;
  let calls = 0;
  const openStore = world.storeWith(() => ({
    forget: () => {
      calls++;
      return Promise.resolve({ keyed: left > 0 ? left-- : 0, boots: 0 });
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
