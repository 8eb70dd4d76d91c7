// What a watermark may claim of a shard, by its store's state and the last look at its stream.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { seededRandom } from "../../src/base/random.ts";
import { Watermarks } from "../../src/api/watermark.ts";
import { ManualClock, settle } from "../harness/clock.ts";

test("W1, W2: now where everything recorded is in the store, else the time of the frame at the offset", async () => {
  const clock = new ManualClock();
  const bus = createMemoryBus({ clock, random: seededRandom(5) });
  const caps = { bytesMax: 1e9, duplicateWindowMs: 1000 };
  const watermarks = new Watermarks(bus, 1, clock);
  const f = async (home: { offset: number; incarnation: string }, complete: boolean) => {
    await clock.pass(1000);
    const frameTimeMs = clock.nowMs() - 500_000;
    const seconds = watermarks.of({ shard: 0, frameTimeMs, ...home });
    const behind = Math.round(clock.nowMs() / 1000 - seconds);
    assert.equal(behind < 5, complete, `${behind} s behind`);
    if (!complete) assert.equal(seconds, Math.floor(frameTimeMs / 1000));
  };
  await f({ offset: 0, incarnation: "" }, false); // never looked at
  const { incarnation } = await bus.ensureStream(0, caps);
  watermarks.start();
  await f({ offset: 0, incarnation: "" }, true); // nothing recorded, nothing stored
  await bus.publish(0, "1", Buffer.from("a"));
  await f({ offset: 0, incarnation: "" }, false);
  await f({ offset: 1, incarnation }, true);
  await bus.publish(0, "2", Buffer.from("b"));
  await f({ offset: 1, incarnation }, false);
  await f({ offset: 2, incarnation }, true);
  bus.wipeStream(0);
  await bus.ensureStream(0, caps);
  await f({ offset: 2, incarnation }, false); // what the old stream still held is gone, not stored
  await bus.publish(0, "3", Buffer.from("c"));
  await f({ offset: 2, incarnation }, false);
  const stopped = watermarks.stop();
  await settle();
  await stopped;
});

test("W3: how many frames are set aside, and once it is known between which times they came", async () => {
  const clock = new ManualClock();
  const bus = createMemoryBus({ clock, random: seededRandom(6) });
  const { incarnation } = await bus.ensureStream(0, { bytesMax: 1e9, duplicateWindowMs: 1000 });
  const cameMs = [0]; // by sequence
  for (let n = 1; n <= 9; n++) {
    await clock.pass(10_000);
    cameMs.push(clock.nowMs());
    await bus.publish(0, String(n), Buffer.from("a"));
  }
  const watermarks = new Watermarks(bus, 1, clock);
  watermarks.start();
  const f = async (
    gaps: [number, number][],
    frames: number,
    from: number | undefined,
    until: number | undefined,
  ) => {
    const at = (n: number | undefined, round: (x: number) => number) =>
      n === undefined ? undefined : round((cameMs[n] ?? 0) / 1000);
    assert.deepEqual(watermarks.aside({ shard: 0, incarnation, gaps }), {
      frames,
      from: at(from, Math.floor),
      until: at(until, Math.ceil),
    });
    await clock.pass(1000);
  };
  assert.equal(watermarks.aside({ shard: 0, incarnation, gaps: [] }), undefined);
  await f([[2, 4]], 3, undefined, undefined);
  await f([[2, 4]], 3, 2, 4);
  await f([[3, 4]], 2, 2, 4); // it shrinks: since when it is so is not asked again
  await f(
    [
      [3, 4],
      [7, 8],
    ],
    4,
    2,
    undefined,
  );
  await f(
    [
      [3, 4],
      [7, 8],
    ],
    4,
    2,
    8,
  );
  await f([[7, 8]], 2, 2, 8);
  assert.equal(watermarks.aside({ shard: 0, incarnation, gaps: [] }), undefined);
  await f([[9, 9]], 1, undefined, undefined);
  await f([[9, 9]], 1, 9, 9);
  assert.equal(watermarks.aside({ shard: 0, incarnation: "another", gaps: [[9, 9]] })?.from, undefined);
  await clock.pass(1000);
  const other = watermarks.aside({ shard: 0, incarnation: "another", gaps: [[9, 9]] });
  assert.equal(other?.from, undefined, "the times are of another record");
  const stopped = watermarks.stop();
  await settle();
  await stopped;
});
