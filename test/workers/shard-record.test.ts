// The actor and a record that misbehaves: holes, jumps, streams wiped, rewound or trimmed, a reader that ends.
import { freshState } from "../../src/store/lanes.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecordedFrame, ReaderOptions } from "../../src/bus/bus.ts";
import { Outage } from "../../src/base/errors.ts";
import { settle, World } from "./world.ts";

/** A world whose store has committed frames 1 to 5. */
async function committed5(): Promise<World> {
  const world = await World.start();
  await world.recordMany(5);
  await world.runThrough();
  return world;
}

async function failsWith(world: World, why: RegExp): Promise<void> {
  const before = await world.state();
  const ended = await world.runThrough();
  assert(ended.kind === "failed", JSON.stringify(ended));
  assert.equal(ended.code, "record-rewound");
  assert.match(ended.why, why);
  const after = await world.state();
  const nobody = { epoch: 0, lanes: freshState().lanes };
  assert.deepEqual({ ...after, ...nobody }, { ...before, ...nobody });
}

test("a hole is confirmed, committed with its range, and paged", async () => {
  const world = await World.start();
  await world.recordMany(9);
  world.bus.loseFrames(0, [3, 4, 7]);
  const running = world.run();
  await world.clock.pass(1000);
  assert.deepEqual((await world.state()).holes, [
    [3, 4],
    [7, 7],
  ]);
  assert.deepEqual(await world.sums(), ["a 6 6"]);
  assert.deepEqual([running.progress().offset, running.progress().holes], [9, 3]);
  const paged = world.heard.text.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    paged.filter(({ page }) => page === true).map(({ from, to }) => [from, to]),
    [
      [3, 4],
      [7, 7],
    ],
  );
  running.actor.stop();
  await running.ended;
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 6 6"]);
});

test("frames lost at the record's very end are a hole although nothing follows them", async () => {
  const world = await World.start();
  await world.recordMany(5);
  world.bus.loseFrames(0, [4, 5]);
  const running = world.run();
  await world.clock.pass(30_000);
  assert.deepEqual((await world.state()).holes, [[4, 5]]);
  assert.equal(running.progress().offset, 5);
  await world.recordMany(1, 5);
  await world.clock.pass(1000);
  assert.deepEqual(await world.sums(), ["a 4 4"]);
  running.actor.stop();
  await running.ended;
});

test("a reader that gives nothing although the record has frames is replaced", async () => {
  const world = await World.start();
  await world.recordMany(6);
  let readers = 0;
  const bus = world.busWith({
    read: (shard, from, options: ReaderOptions) =>
      world.bus.read(shard, from, ++readers === 1 ? { ...options, onFrame: () => {} } : options),
  });
  const running = world.run({ bus });
  await world.clock.pass(30_000);
  assert.equal(readers, 2);
  assert.deepEqual((await world.state()).holes, []);
  assert.deepEqual(await world.sums(), ["a 6 6"]);
  running.actor.stop();
  await running.ended;
});

test("a reader that jumps over frames which the record has is no hole: reading starts over", async () => {
  const world = await World.start();
  await world.recordMany(6);
  let jumps = 0;
  const bus = world.busWith({
    read: (shard, from, options: ReaderOptions) =>
      world.bus.read(shard, from, {
        ...options,
        onFrame: (frame: RecordedFrame) => {
          if (frame.sequence === 4 && jumps === 0) jumps++;
          else options.onFrame(frame);
        },
      }),
  });
  const running = world.run({ bus });
  await world.clock.pass(3000);
  assert.equal(jumps, 1);
  assert.deepEqual((await world.state()).holes, []);
  assert.deepEqual(await world.sums(), ["a 6 6"]);
  assert(running.doings.includes("waiting-bus"));
  running.actor.stop();
  await running.ended;
});

test("a reader that gives a frame twice, or again from further back, counts it once", async () => {
  const world = await World.start();
  await world.recordMany(6);
  const seen: RecordedFrame[] = [];
  const bus = world.busWith({
    read: (shard, from, options: ReaderOptions) =>
      world.bus.read(shard, from, {
        ...options,
        onFrame: (frame: RecordedFrame) => {
          seen.push(frame);
          for (const again of seen) options.onFrame(again);
        },
      }),
  });
  await world.runThrough({ bus });
  assert.deepEqual(await world.sums(), ["a 6 6"]);
  assert.equal((await world.state()).offset, 6);
});

test("a record that was made anew fails the shard", async () => {
  const world = await committed5();
  world.bus.wipeStream(0);
  await world.ensure();
  await world.recordMany(9, 100);
  await failsWith(world, /made anew/);
});

test("a record that ends before the offset fails the shard", async () => {
  const world = await committed5();
  world.bus.rewindStream(0, 3);
  await failsWith(world, /ends at 3, before the offset 5/);
});

test("a record that was rewound and grew again has another time at the offset, and fails the shard", async () => {
  const world = await committed5();
  world.bus.rewindStream(0, 3);
  await world.recordMany(9, 100);
  await failsWith(world, /frame 5 is of another time/);
});

test("a record that was adopted is read from the place on that was chosen in it, and copies count once", async () => {
  const world = await committed5();
  world.bus.rewindStream(0, 3);
  await world.recordMany(9, 100);
  await failsWith(world, /frame 5 is of another time/);
  const store = await world.engine.openShard(0);
  const { epoch, incarnation } = await world.state();
  assert.equal(await store.adopt(epoch, { incarnation, offset: 1, frameTimeMs: 0, hole: undefined }), "ok");
  // Frames 2 and 3 are those that were there before.
  assert.deepEqual(await world.runThrough(), { kind: "stopped", offset: 12 });
  assert.deepEqual(await world.sums(), ["a 14 14"]);
});

test("a record that is rewound while the actor reads fails the shard", async () => {
  const world = await World.start();
  await world.recordMany(5);
  const running = world.run();
  await world.clock.pass(1000);
  world.bus.rewindStream(0, 2);
  await world.recordMany(6, 100);
  await world.clock.pass(3000);
  assert.deepEqual({ ...running.result(), why: "" }, { kind: "failed", code: "record-rewound", why: "" });
  assert.deepEqual(await world.sums(), ["a 5 5"]);
});

test("a trimmed offset is no sign of a rewind", async () => {
  const world = await committed5();
  await world.recordMany(2, 5);
  await world.bus.trim(0, 5);
  assert.deepEqual(await world.runThrough(), { kind: "stopped", offset: 7 });
  assert.deepEqual((await world.state()).holes, []);
});

test("a record that was emptied up to the offset is no hole", async () => {
  const world = await committed5();
  await world.bus.trim(0, 5);
  assert.deepEqual(await world.runThrough(), { kind: "stopped", offset: 5 });
  assert.deepEqual((await world.state()).holes, []);
});

test("frames trimmed behind the offset are a hole, whether the record holds others or none", async () => {
  const world = await committed5();
  await world.recordMany(4, 5);
  await world.bus.trim(0, 7);
  await world.runThrough();
  assert.deepEqual((await world.state()).holes, [[6, 7]]);
  await world.recordMany(2, 9);
  await world.bus.trim(0, 11);
  await world.runThrough();
  const state = await world.state();
  assert.deepEqual(
    [state.offset, state.holes],
    [
      11,
      [
        [6, 7],
        [10, 11],
      ],
    ],
  );
  assert.deepEqual(await world.sums(), ["a 7 7"]);
});

test("a fresh store reads an old stream from its first frame; what was trimmed before is a hole", async () => {
  const world = await World.start();
  await world.recordMany(8);
  await world.bus.trim(0, 5);
  assert.deepEqual(await world.runThrough(), { kind: "stopped", offset: 8 });
  assert.deepEqual((await world.state()).holes, [[1, 5]]);
  assert.deepEqual(await world.sums(), ["a 3 3"]);
});

test("no stream yet: the actor waits and goes on when there is one", async () => {
  const world = new World();
  const running = world.run();
  await world.clock.pass(5000);
  assert.deepEqual([running.result(), running.progress().doing], [undefined, "waiting-bus"]);
  await world.ensure();
  await world.recordMany(1);
  await world.clock.pass(3000);
  assert.deepEqual([running.progress().doing, running.progress().offset], ["ingesting", 1]);
});

test("the bus is lost and found: uncommitted points are read again, none counts twice", async () => {
  const world = await World.start();
  const running = world.run();
  for (let round = 0; round < 5; round++) {
    await world.recordMany(3, round * 3);
    await settle();
    world.bus.disconnect();
    await world.clock.pass(2000);
    assert.equal(running.progress().doing, "waiting-bus");
    world.bus.reconnect();
    await world.clock.pass(2000);
    assert.equal(running.progress().doing, "ingesting");
  }
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.sums(), ["a 15 15"]);
});

test("S6: a queue that is full closes the reader, and opens it again when it was worked off", async () => {
  const world = await World.start();
  const big = Array.from({ length: 40 }, () => `a 1 ${"x".repeat(16_000)}`); // refused: only their bytes matter
  for (let n = 0; n < 70; n++) await world.record(world.frame([...big, "a 1"], { n }));
  let open = 0;
  let opened = 0;
  let given = 0;
  let most = 0;
  const bus = world.busWith({
    read: async (shard, from, options: ReaderOptions) => {
      opened++;
      open++;
      given = 0;
      const reader = await world.bus.read(shard, from, {
        ...options,
        onFrame: (frame) => {
          given += frame.data.length;
          most = Math.max(most, given);
          options.onFrame(frame);
        },
      });
      return {
        close: () => {
          open--;
          return reader.close();
        },
      };
    },
  });
  const running = world.run({ bus });
  await world.clock.pass(10_000);
  assert.deepEqual([running.progress().offset, await world.sums()], [70, ["a 70 70"]]);
  assert(opened >= 2, `the reader was opened ${opened} times`);
  assert.equal(open, 1);
  running.actor.stop();
  await running.ended;
  assert.equal(open, 0);
});

test("a reader that can't be closed hides nothing of how the life ended", async () => {
  const world = await World.start();
  await world.recordMany(2);
  const bus = world.busWith({
    read: async (shard, from, options: ReaderOptions) => {
      await world.bus.read(shard, from, options);
      return { close: () => Promise.reject(new Outage("bus-timeout", "no answer")) };
    },
  });
  const running = world.run({ bus });
  await world.clock.pass(1000);
  const other = await world.engine.openShard(0);
  await other.claim({ node: "n2", mapVersion: 2, instance: "i" });
  await world.recordMany(1, 2);
  await world.clock.pass(3000);
  assert.deepEqual(running.result(), { kind: "fenced", epoch: 2 });
});
