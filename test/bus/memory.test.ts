// The memory bus keeps the contract, and its faults do what they say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus, type MemoryBus, type PublishFault } from "../../src/bus/memory.ts";
import { busContract } from "../contract/bus.ts";
import { bytes, listen, text, watchWords } from "./listen.ts";
import { ManualClock } from "../harness/clock.ts";

const caps = { bytesMax: 1_000_000, duplicateWindowMs: 60_000 };

busContract("memory", () => {
  const clock = new ManualClock();
  const bus = createMemoryBus({ clock, random: seededRandom(1) });
  const buses: MemoryBus[] = [bus];
  return Promise.resolve({
    bus,
    another: () => {
      const more = bus.another();
      buses.push(more);
      return Promise.resolve(more);
    },
    crash: async () => {
      await Promise.resolve(); // the first of what is in flight arrives
      for (const each of buses) each.disconnect();
    },
    recover: () => {
      for (const each of buses) each.reconnect();
      return Promise.resolve();
    },
    deleteStream: (shard: number) => Promise.resolve(bus.wipeStream(shard)),
    passMs: (ms: number) => Promise.resolve(clock.advance(ms)),
    close: () => bus.close(),
  });
});

test("faults: a lost ack was recorded, a lost frame was not", async () => {
  const plan: PublishFault[] = ["lose-ack", "none", "lose-frame", "none", "stream-full", "bus-unavailable"];
  const faults = { onPublish: () => plan.shift() ?? "none" };
  const bus = createMemoryBus({ clock: new ManualClock(), random: seededRandom(1), faults });
  await bus.ensureStream(0, caps);
  await assert.rejects(bus.publish(0, "a", bytes("a")), { code: "bus-timeout" });
  assert.deepEqual(await bus.publish(0, "a", bytes("a")), { sequence: 1, duplicate: true });
  await assert.rejects(bus.publish(0, "b", bytes("b")), { code: "bus-timeout" });
  assert.deepEqual(await bus.publish(0, "b", bytes("b")), { sequence: 2, duplicate: false });
  await assert.rejects(bus.publish(0, "c", bytes("c")), { code: "stream-full" });
  await assert.rejects(bus.publish(0, "c", bytes("c")), { code: "bus-unavailable" });
  assert.equal((await bus.streamState(0)).lastSequence, 2);
});

test("faults: a rewound stream has its incarnation, fewer frames, and ends its readers", async () => {
  const bus = createMemoryBus({ clock: new ManualClock(), random: seededRandom(1) });
  const before = await bus.ensureStream(0, caps);
  for (const id of ["a", "b", "c", "d"]) await bus.publish(0, id, bytes(id));
  const listening = await listen(bus, 0, 1);
  bus.rewindStream(0, 2);
  await listening.ended();
  const after = await bus.streamState(0);
  assert.deepEqual([after.incarnation, after.lastSequence], [before.incarnation, 2]);
  assert.deepEqual(await bus.publish(0, "d", bytes("other")), { sequence: 3, duplicate: false });
});

test("faults: frames lost in the middle show as a jump", async () => {
  const bus = createMemoryBus({ clock: new ManualClock(), random: seededRandom(1) });
  await bus.ensureStream(0, caps);
  for (const id of ["a", "b", "c", "d"]) await bus.publish(0, id, bytes(id));
  bus.loseFrames(0, [2, 3]);
  const listening = await listen(bus, 0, 1);
  await listening.until(2);
  assert.deepEqual(
    listening.frames.map((frame) => text(frame.data)),
    ["a", "d"],
  );
  assert.equal(await bus.frameAt(0, 2), undefined);
});

test("faults: a bucket wiped while nobody looked shows in the next snapshot", async () => {
  const bus = createMemoryBus({ clock: new ManualClock(), random: seededRandom(1) });
  const kv = await bus.kv("ONE");
  await kv.put("a", bytes("1"));
  const watch = watchWords(kv);
  await watch.until(1);
  bus.disconnect();
  bus.wipeBucket("ONE");
  bus.reconnect();
  await watch.until(3);
  assert.deepEqual(watch.words, ["snapshot a=1", "lost", "snapshot"]);
});
