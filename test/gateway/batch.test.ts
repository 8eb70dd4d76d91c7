// Frames on their way into the record: when they close, how they are sent again, what bounds them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { frameBytesLoaded, frameBytesTarget, shardInFlightFramesMax } from "../../src/config/limits.ts";
import { nameOf, withGateway, type GatewayWorld } from "./world.ts";

function line(world: GatewayWorld, text: string, shard = 0): void {
  const bytes = Buffer.from(text);
  world.batchers[shard]?.frame("tcp");
  world.batchers[shard]?.append("t", "tcp", "plaintext", bytes, 0, bytes.length);
}

test("a frame is closed by its age, or by its size; it grows while frames are on their way", async () => {
  await withGateway(async (world) => {
    line(world, "a 1");
    await world.clock.pass(49);
    line(world, "b 1");
    assert.equal((await world.frames(0)).length, 0);
    await world.clock.pass(1);
    assert.deepEqual(
      (await world.frames(0)).map(({ sections }) => sections[0]?.lineCount),
      [2],
    );

    const long = "x".repeat(16_000);
    for (let bytes = 0; bytes < frameBytesTarget; bytes += long.length) line(world, long);
    await world.clock.pass(0);
    assert.equal((await world.frames(0)).length, 2);

    world.own.disconnect();
    for (let bytes = 0; bytes < 8 * frameBytesLoaded; bytes += long.length) line(world, long);
    await world.clock.pass(100);
    world.own.reconnect();
    await world.clock.pass(3000);
    const sizes = (await world.frames(0)).slice(2).map(({ sections }) => sections[0]?.lines.length ?? 0);
    assert(
      sizes.slice(0, 4).every((size) => size < frameBytesTarget + 20_000),
      String(sizes),
    );
    assert(
      sizes.slice(4, -1).every((size) => size >= frameBytesLoaded),
      String(sizes),
    );
  });
});

test("G1: a frame is sent again with the same id and the same bytes until the record has it", async () => {
  await withGateway(async (world) => {
    const plan = ["lose-frame", "lose-ack", "bus-unavailable", "stream-full", "lose-ack"] as const;
    let at = 0;
    const ids = new Set<string>();
    world.fault = (_, id) => {
      ids.add(id);
      return plan[at++] ?? "none";
    };
    line(world, "a 1");
    await world.clock.pass(10_000);
    assert.deepEqual([at, ids.size], [6, 1]);
    // The window is a second: the later ones are recorded again, and are the same frame.
    const frames = await world.frames(0);
    assert(frames.length > 1);
    for (const frame of frames) assert.deepEqual(frame, frames[0]);
    assert.deepEqual(await world.lines(0), ["a 1"]);
    assert.equal(world.batchers[0]?.pendingFrames, 0);
  });
});

test("numbers count without holes, and a lost connection loses nothing", async () => {
  await withGateway(async (world) => {
    for (let n = 0; n < 30; n++) {
      if (n % 7 === 3) world.own.disconnect();
      line(world, `a ${n}`);
      await world.clock.pass(60);
      if (n % 7 === 5) world.own.reconnect();
    }
    world.own.reconnect();
    await world.clock.pass(5000);
    const names = new Set((await world.frames(0)).map(nameOf));
    assert.equal(names.size, 30);
    const numbers = (await world.frames(0)).map(({ identity }) =>
      identity.kind === "boot" ? identity.n : -1,
    );
    assert.deepEqual(
      [...new Set(numbers)].sort((a, b) => a - b),
      [...numbers.keys()].slice(0, 30),
    );
    assert.equal((await world.lines(0)).length, 30);
  });
});

test("G2: frames and bytes in flight are bounded per shard; a shard that says no leaves the others alone", async () => {
  await withGateway(async (world) => {
    const [full, other] = world.batchers;
    assert(full !== undefined && other !== undefined);
    world.fault = (shard) => (shard === 0 ? "stream-full" : "none");
    let lines = 0;
    for (; full.hasRoom(1000, "tcp") && lines < 100_000; lines++) line(world, "x".repeat(999));
    assert(lines > 15_000 && lines < 18_000, String(lines));
    await world.clock.pass(1000);
    assert.deepEqual(
      [full.refusing, full.hasRoom(1000, "tcp"), other.hasRoom(1000, "tcp")],
      [true, false, true],
    );
    let room = false;
    void full.whenRoom().then(() => (room = true));
    line(world, "b 1", 1);
    await world.clock.pass(6000);
    assert.deepEqual([await world.lines(1), room, full.stuckMs() > 5000], [["b 1"], false, true]);
    world.fault = () => "none";
    await world.clock.pass(5000);
    assert.deepEqual([room, full.refusing, full.stuckMs(), full.pendingFrames], [true, false, 0, 0]);
    assert.equal((await world.lines(0)).length, lines);
  });
});

test("refusals travel in the next frame of lines, or alone after a second", async () => {
  await withGateway(async (world) => {
    world.batchers[0]?.refuse("t", "tcp", "too-old", 3);
    await world.clock.pass(999);
    assert.deepEqual(await world.refusals(0), []);
    await world.clock.pass(1);
    assert.deepEqual(await world.refusals(0), ["too-old 3"]);
    world.batchers[0]?.refuse("t", "tcp", "nan", 1);
    world.batchers[0]?.refuse("t", "tcp", "nan", 1);
    line(world, "a 1");
    await world.clock.pass(50);
    assert.deepEqual([await world.refusals(0), (await world.frames(0)).length], [["nan 2", "too-old 3"], 2]);
  });
});

test("G4: refusals for a shard that takes nothing for a day need one frame, and are booked in the end", async () => {
  await withGateway(async (world) => {
    world.fault = () => "stream-full";
    line(world, "a 1");
    await world.clock.pass(60);
    for (let second = 0; second < 3000; second++) {
      world.batchers[0]?.refuse("t", "tcp", "shard-full", 2);
      await world.clock.pass(1000);
    }
    assert.equal(world.batchers[0]?.pendingFrames, 2);
    const now = world.clock.nowMs();
    line(world, "b 1");
    world.fault = () => "none";
    await world.clock.pass(10_000);
    assert.deepEqual(await world.refusals(0), ["shard-full 6000"]);
    // The line that came last is of its own time, not of the time when the refusals began.
    const last = (await world.frames(0)).find(({ refusals }) => refusals.length > 0);
    assert.deepEqual([last?.receivedAtMs, last?.sections.length], [now, 1]);
  });
});

test("more kinds of refusals than one frame has room for go in several, up to the bound of frames", async () => {
  await withGateway(async (world) => {
    for (let n = 0; n < 25_000; n++) world.batchers[0]?.refuse(`t${n}`, "tcp", "nan", 1);
    await world.clock.pass(5000);
    assert.deepEqual([await world.refusals(0), (await world.frames(0)).length], [["nan 25000"], 3]);
    world.own.disconnect();
    for (let n = 0; n < shardInFlightFramesMax; n++) {
      line(world, "a 1");
      world.batchers[0]?.flush();
    }
    for (let n = 0; n < 25_000; n++) world.batchers[0]?.refuse(`t${n}`, "tcp", "nan", 1);
    assert.equal(world.batchers[0]?.pendingFrames, shardInFlightFramesMax + 1);
    assert.match(world.counters.text(), /gateway_refusals_unbooked_total\{shard="0"\} 15000/);
  });
});

test("a clock that goes backwards gives frames of that time, and stops nothing", async () => {
  await withGateway(async (world) => {
    const start = world.clock.nowMs();
    line(world, "a 1");
    world.clock.setWall(start - 86_400_000);
    await world.clock.pass(50);
    line(world, "b 1");
    await world.clock.pass(50);
    assert.deepEqual(
      (await world.frames(0)).map(({ receivedAtMs }) => receivedAtMs),
      [start, start - 86_400_000 + 50],
    );
  });
});
