// A stream that becomes another one just while nobody reads it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { World } from "./world.ts";

test("a stream made anew between the check and the reader is noticed", async () => {
  const world = await World.start();
  await world.recordMany(5);
  await world.runThrough();
  let reads = 0;
  const bus = world.busWith({
    read: async (shard, from, options) => {
      if (reads++ === 0) {
        world.bus.wipeStream(0);
        await world.ensure();
      }
      return world.bus.read(shard, from, options);
    },
  });
  const running = world.run({ bus });
  await world.clock.pass(3000);
  const ended = running.result();
  assert(ended?.kind === "failed", JSON.stringify(ended));
  assert.equal(ended.code, "record-rewound");
});

test("a shard that committed nothing yet goes on with the new stream from its start", async () => {
  const world = await World.start();
  let reads = 0;
  const bus = world.busWith({
    read: async (shard, from, options) => {
      if (reads++ === 0) {
        world.bus.wipeStream(0);
        await world.ensure();
        await world.recordMany(3);
      }
      return world.bus.read(shard, from, options);
    },
  });
  await world.runThrough({ bus });
  assert.deepEqual(await world.sums(), ["a 3 3"]);
});
