// The trimmer: what it may remove, what it must not, and what makes it remove more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wholeFrom } from "../../src/store/record.ts";
import type { Interval } from "../../src/store/store.ts";
import { trimRecord, type TrimOptions } from "../../workers/trim.ts";
import { hourMs, World } from "./world.ts";

const weekMs = 7 * 24 * hourMs;

async function trimmed(world: World, options: Partial<TrimOptions>): Promise<[number, number]> {
  const { incarnation } = await world.bus.streamState(0);
  const all = { shard: 0, incarnation, committed: 0, keep: [], replayWindowMs: weekMs, ...options };
  const { frames } = await trimRecord(world.bus, world.clock, world.heard.log, all);
  return [frames, (await world.bus.streamState(0)).firstSequence];
}

/** `count` frames, an hour apart. */
async function hourly(count: number, bytesMax = 1e9): Promise<World> {
  const world = await World.start({ bytesMax });
  for (let n = 0; n < count; n++) {
    await world.recordMany(1, n);
    world.clock.advance(hourMs);
  }
  return world;
}

test("M1: not what is uncommitted, not what lies at or behind a gap", async () => {
  const f = async (options: Partial<TrimOptions>, expected: [number, number]) => {
    const world = await hourly(10);
    world.clock.advance(2 * weekMs);
    assert.deepEqual(await trimmed(world, options), expected);
  };
  await f({ committed: 0 }, [0, 1]);
  await f({ committed: 4 }, [4, 5]);
  await f({ committed: 10 }, [10, 11]);
  await f({ committed: 99 }, [10, 11]);
  await f({ committed: 10, keep: [[4, 6]] }, [3, 4]);
  await f(
    {
      committed: 10,
      keep: [
        [8, 8],
        [3, 5],
      ],
    },
    [2, 3],
  );
  await f({ committed: 10, keep: [[1, 2]] }, [0, 1]);
  await f({ committed: 3, keep: [[7, 8]] }, [3, 4]);
});

test("M2: what is older than the window goes, to the frame", async () => {
  for (let kept = 0; kept <= 10; kept++) {
    const world = await hourly(10);
    // The last frame is an hour old, the one before two.
    const result = await trimmed(world, { committed: 10, replayWindowMs: kept * hourMs + hourMs / 2 });
    assert.deepEqual(result, [10 - kept, 11 - kept]);
    assert.deepEqual(await trimmed(world, { committed: 10, replayWindowMs: kept * hourMs + hourMs / 2 }), [
      0,
      11 - kept,
    ]);
  }
});

test("M2: a hole in the record does not make young frames old", async () => {
  for (let lost = 2; lost < 10; lost++) {
    const world = await hourly(10);
    world.bus.loseFrames(0, [lost]);
    assert.deepEqual(await trimmed(world, { committed: 10 }), [0, 1], `frame ${lost} was lost`);
  }
});

test("M2: holes do not keep old frames for ever", async () => {
  const world = await hourly(40);
  world.bus.loseFrames(0, [3, 4, 5, 9, 10, 19, 20, 21, 30]);
  world.clock.advance(2 * weekMs);
  for (let round = 0; round < 40; round++) await trimmed(world, { committed: 40 });
  assert.equal((await world.bus.streamState(0)).messages, 0);
});

test("M2: a broker's clock that jumps back makes nothing go that is uncommitted, and the window goes on moving", async () => {
  const world = await hourly(10);
  world.clock.setWall(world.clock.nowMs() - 30 * 24 * hourMs);
  assert.deepEqual(await trimmed(world, { committed: 10 }), [0, 1]);
  for (let n = 10; n < 20; n++) {
    await world.recordMany(1, n);
    world.clock.advance(hourMs);
  }
  assert.deepEqual(await trimmed(world, { committed: 15 }), [0, 1]);
  world.clock.advance(40 * 24 * hourMs);
  assert.deepEqual(await trimmed(world, { committed: 15 }), [15, 16]);
});

test("M2: near its cap a stream loses its oldest frames early, with a warning; never uncommitted or gapped ones", async () => {
  const f = async (options: Partial<TrimOptions>, least: number, most: number) => {
    const world = await hourly(50);
    const { bytes } = await world.bus.streamState(0);
    await world.ensure({ bytesMax: Math.floor(bytes / 0.95) });
    const [count] = await trimmed(world, options);
    assert(count >= least && count <= most, `${count} frames went, expected ${least} to ${most}`);
    assert.equal(world.heard.messages().includes("the replay window shrinks"), count > 0);
  };
  await f({ committed: 50 }, 7, 10);
  await f({ committed: 3 }, 3, 3);
  await f({ committed: 50, keep: [[5, 9]] }, 8, 8);
  await f({ committed: 0 }, 0, 0);
});

test("M4: behind a gap single frames go near the cap, the oldest first; what is left can be told from what is whole", async () => {
  const f = async (options: Partial<TrimOptions>, missing: number[], rounds = 1) => {
    const world = await hourly(50);
    const { bytes } = await world.bus.streamState(0);
    await world.ensure({ bytesMax: Math.floor(bytes / 0.95) });
    for (let round = 0; round < rounds; round++) await trimmed(world, options);
    assert.deepEqual(await world.bus.missing(0), missing);
    const went = world.heard.messages().filter((text) => text === "the replay window shrinks");
    assert.equal(went.length > 0, missing.length > 0);
    const whole = await wholeFrom(world.bus, 0, await world.bus.streamState(0), []);
    assert.equal(whole, (missing.at(-1) ?? 0) + 1);
  };
  const gap: Interval = [1, 9];
  await f({ committed: 50, keep: [gap] }, [10, 11, 12, 13, 14, 15, 16, 17]);
  await f({ committed: 50, keep: [gap] }, [10, 11, 12, 13, 14, 15, 16, 17], 3);
  await f({ committed: 12, keep: [gap] }, [10, 11, 12]);
  await f({ committed: 50, keep: [[15, 60], gap] }, [10, 11, 12, 13, 14]);
  await f({ committed: 50, keep: [[1, 50]] }, []);
  await f({ committed: 9, keep: [gap] }, []);
});

test("M4: a hole that nobody ever read leaves the record whole", async () => {
  const world = await hourly(10);
  world.bus.loseFrames(0, [3, 7]);
  const stream = await world.bus.streamState(0);
  assert.equal(await wholeFrom(world.bus, 0, stream, []), 8);
  assert.equal(await wholeFrom(world.bus, 0, stream, [[7, 7]]), 4);
  assert.equal(await wholeFrom(world.bus, 0, stream, [[3, 7]]), 1);
});

test("below nine tenths of the cap the window is left alone", async () => {
  const world = await hourly(50);
  const { bytes } = await world.bus.streamState(0);
  await world.ensure({ bytesMax: Math.ceil(bytes / 0.89) });
  assert.deepEqual(await trimmed(world, { committed: 50 }), [0, 1]);
});

test("an empty stream, and one that was emptied, are left alone", async () => {
  const world = await World.start();
  assert.deepEqual(await trimmed(world, { committed: 0 }), [0, 0]);
  await world.recordMany(3);
  await world.bus.trim(0, 3);
  assert.deepEqual(await trimmed(world, { committed: 3, replayWindowMs: 0 }), [0, 4]);
});

test("an actor trims by itself, behind its commits", async () => {
  const world = await hourly(10);
  const running = world.run({ replayWindowMs: 3.5 * hourMs });
  await world.clock.pass(60_000);
  assert.equal((await world.bus.streamState(0)).firstSequence, 8);
  await world.recordMany(1, 10);
  await world.clock.pass(1000);
  assert.equal(running.progress().trimmed, 7);
  assert.deepEqual(await world.sums(), ["a 11 11"]);
});

test("M1: nothing of a stream that was made anew, whatever was committed of the one before", async () => {
  const world = await hourly(10);
  world.clock.advance(2 * weekMs);
  await assert.rejects(trimmed(world, { incarnation: "another", committed: 10 }), {
    code: "bus-unavailable",
  });
  assert.equal((await world.bus.streamState(0)).firstSequence, 1);
});

test("M3: a stream that fills faster than the clock is trimmed as it fills, and never says no", async () => {
  const world = await World.start({ bytesMax: 100_000 });
  const running = world.run({ replayWindowMs: weekMs });
  // Several times the cap before the clock alone would make it look.
  for (let n = 0; n < 1500; n++) {
    await world.recordMany(1, n);
    if (n % 10 === 9) await world.clock.pass(50);
  }
  await world.clock.pass(1000);
  assert(running.progress().trimmed > 0, "nothing was trimmed");
  assert.deepEqual(await world.sums(), ["a 1500 1500"]);
});
