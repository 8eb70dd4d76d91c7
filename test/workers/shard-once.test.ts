// P2 in the actor: every frame counts once, however often and however late the record holds it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bootB, hourMs, World } from "./world.ts";

const dayMs = 24 * hourMs;

test("a new life goes on at offset + 1, and series keep their ids", async () => {
  const world = await World.start();
  await world.recordMany(3);
  assert.deepEqual(await world.runThrough(), { kind: "stopped", offset: 3 });
  await world.recordMany(2, 3);
  const second = world.run();
  await world.clock.pass(1000);
  assert.equal(second.progress().frames, 2);
  second.actor.stop();
  assert.deepEqual(await second.ended, { kind: "stopped", offset: 5 });
  assert.deepEqual(await world.sums(), ["a 5 5"]);
  assert.equal((await world.state()).epoch, 2);
});

test("a boot frame recorded again after the duplicate window counts once: in a batch, over commits, over lives", async () => {
  const world = await World.start({ duplicateWindowMs: 10 });
  const frame = world.frame(["a 1", "b 2"], { n: 4 });
  const before = world.frame(["a 10"], { n: 3 });
  await world.record(frame);
  await world.record(frame);
  const running = world.run();
  await world.clock.pass(1000);
  await world.record(frame);
  await world.record(before); // late by a retry: it was never applied
  await world.record(before);
  await world.clock.pass(1000);
  assert.equal(running.progress().duplicates, 3);
  running.actor.stop();
  await running.ended;
  await world.clock.pass(3 * dayMs);
  await world.record(frame);
  await world.record(world.frame(["a 100"], { n: 4, boot: bootB })); // another gateway's number 4
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 3 111", "b 1 2"]);
  assert.deepEqual(await world.books(), ["tcp stored 4"]);
});

test("a keyed frame counts once: twice in a batch, after a commit, in another life; and is booked as refused", async () => {
  const world = await World.start();
  const frame = world.frame(["a 1", "b 2"], { keyed: 1, door: "http" });
  await world.record(frame);
  await world.record(frame);
  const running = world.run();
  await world.clock.pass(1000);
  assert.deepEqual(await world.books(), ["http refused duplicate 2", "http stored 2"]);
  await world.record(frame);
  await world.clock.pass(1000);
  running.actor.stop();
  await running.ended;
  await world.clock.pass(dayMs - 10_000);
  await world.record(frame);
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 1 1", "b 1 2"]);
  assert.deepEqual(await world.books(), ["http refused duplicate 6", "http stored 2"]);
});

test("a keyed id is forgotten after 24 hours: the same frame then counts anew", async () => {
  const world = await World.start();
  const frame = world.frame(["a 1"], { keyed: 1 });
  await world.record(frame);
  await world.runThrough();
  await world.clock.pass(dayMs + 1000);
  await world.record(frame);
  await world.runThrough();
  assert.deepEqual(await world.sums(), ["a 2 2"]);
});

test("a retry that lay in the record while the shard was down for days is known by the record's time", async () => {
  const world = await World.start();
  const frame = world.frame(["a 1"], { keyed: 1 });
  await world.record(frame);
  await world.runThrough();
  await world.clock.pass(60_000);
  await world.record(frame);
  await world.clock.pass(3 * dayMs);
  const running = world.run();
  await world.clock.pass(hourMs);
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.sums(), ["a 1 1"]);
});

test("an actor that is days behind forgets nothing that the record may still repeat", async () => {
  const world = await World.start();
  const keyed = world.frame(["k 1"], { keyed: 1 });
  const booted = world.frame(["b 1"], { n: 1 });
  await world.record(keyed);
  await world.record(booted);
  await world.runThrough();
  await world.clock.pass(60_000);
  await world.record(keyed);
  await world.record(booted);
  // It lives, and tidies up, but frames come late: days after they were recorded.
  const bus = world.busWith({ read: () => Promise.resolve({ close: () => Promise.resolve() }) });
  const slow = world.run({ bus, replayWindowMs: 100 * dayMs });
  await world.clock.pass(hourMs);
  world.clock.advance(40 * dayMs);
  await world.clock.pass(hourMs);
  slow.actor.stop();
  await slow.ended;
  await world.runThrough({ replayWindowMs: 100 * dayMs });
  assert.deepEqual(await world.sums(), ["b 1 1", "k 1 1"]);
});
