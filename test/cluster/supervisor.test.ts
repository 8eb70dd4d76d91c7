// A supervisor's decisions in driven time: who is ended, who is started again, when, and who is left alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { freshLane } from "../../src/store/lanes.ts";
import type { ShardWish } from "../../cluster/shard-wish.ts";
import { deathsMax } from "../../cluster/restart-budget.ts";
import { StallWatch } from "../../cluster/stall.ts";
import { settle, SupervisorWorld } from "./supervisor-world.ts";

const wish = (change: Partial<ShardWish>): ShardWish => ({
  paused: false,
  failed: null,
  backfill: { paused: false, rate: "full" },
  replay: { stopped: false, rate: "full" },
  ...change,
});
const failed = { code: "restarts", why: "it died", atMs: 1 };

test("a death is told to the next life, counted by its cause, and no sibling hears of it", async () => {
  const world = await SupervisorWorld.run([0, 1]);
  const sibling = world.actor(1);
  world.actor().ready();
  world.actor().die("heap", "out of memory");
  await world.clock.pass(50);
  assert.equal(world.lives(), 2);
  assert.equal(world.actor().task.lastDeath, "out of memory");
  assert.match(world.counters.text(), /shard_deaths_total\{shard="0",cause="heap"\} 1/);
  assert.equal(world.lives(1), 1);
  assert.deepEqual(sibling.heard, []);
  const { deaths, lastDeath, restarts, state } = world.status();
  assert.deepEqual(
    { deaths, lastDeath, restarts, state },
    { deaths: 1, lastDeath: "out of memory", restarts: 1, state: "starting" },
  );
});

test("ten deaths at one place fail the shard, for good and in writing; a restart gives it ten more", async () => {
  const world = await SupervisorWorld.run();
  world.head({ offset: 7 });
  for (let i = 1; i < deathsMax; i++) await world.dies();
  assert.equal(world.lives(), deathsMax);
  assert.equal(world.status().state, "starting");
  world.actor().die();
  await world.clock.pass(60_000);
  assert.equal(world.lives(), deathsMax, "no more lives");
  const { state, why } = world.status();
  assert.equal(state, "failed");
  assert.match(why, /^restarts: its actor died 10 times at one place, the last time: a bug/);
  assert.deepEqual(
    world.written.map(({ failed: said }) => said?.code),
    ["restarts"],
  );
  assert(world.heard.text.some((line) => line.includes('"page":true')));

  world.supervisor.restart(0);
  await settle();
  assert.equal(world.written.at(-1)?.failed, null);
  for (let i = 1; i < deathsMax; i++) await world.dies();
  assert.equal(world.lives(), 2 * deathsMax);
});

test("deaths with progress cost nothing and wait the shortest time", async () => {
  const world = await SupervisorWorld.run();
  for (let offset = 0; offset < 30; offset++) {
    world.head({ offset });
    world.actor().die();
    await world.clock.pass(50);
    assert.equal(world.lives(), offset + 2, "within 50 ms");
  }
  // Within a frame too.
  const trial = (to: number) => ({
    ...freshLane(),
    trial: { sequence: 30, from: 0, to, deaths: 1, isUnderWay: false },
  });
  for (let to = 1000; to > 970; to--) {
    world.head({ offset: 29, lanes: { live: trial(to), fill: freshLane() } });
    world.actor().die();
    await world.clock.pass(50);
  }
  assert.equal(world.lives(), 61);
});

test("waits double at one place, and begin anew after a healthy spell", async () => {
  const world = await SupervisorWorld.run();
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    if (i === 4) {
      world.actor().ready();
      await world.clock.pass(30_000);
    }
    const lives = world.lives();
    const diedMs = world.clock.monotonicMs();
    world.actor().die();
    while (world.lives() === lives) await world.clock.pass(1);
    waits.push(world.clock.monotonicMs() - diedMs);
  }
  for (const [i, most] of [10, 20, 40, 80, 10].entries()) {
    const wait = waits[i] as number;
    assert(wait > most / 2 - 2 && wait <= most + 1, `wait ${i} is ${wait}, at most ${most}`);
  }
});

test("an actor that hangs at a frame is ended; one that waits is left alone, however long", async () => {
  const world = await SupervisorWorld.run();
  world.actor().ready();
  for (const doing of ["store", "bus", "idle"] as const) {
    world.actor().mark = { doing, sequence: 3, beats: 9 };
    await world.clock.pass(20 * 60_000);
    assert.equal(world.lives(), 1, doing);
  }
  // Slow, but it moves.
  for (let sequence = 4; sequence < 10; sequence++) {
    world.actor().ingests(sequence);
    await world.clock.pass(9000);
  }
  assert.equal(world.lives(), 1);
  world.actor().hangs = true;
  await world.clock.pass(2000);
  assert.equal(world.lives(), 2);
  assert.equal(world.actor().task.lastDeath, "stalled: nothing moved for 10 s at frame 9");
  assert.match(world.counters.text(), /shard_deaths_total\{shard="0",cause="stalled"\} 1/);
});

test("what counts is the time that was watched: a process that stood still has no hanging actors", () => {
  const watch = new StallWatch({ stallMs: 10_000, growthBytesMax: 1, everyMs: 250 });
  const look = (nowMs: number) =>
    watch.look(nowMs, { doing: "ingesting", sequence: 1, beats: 1 }, () => 0)?.cause;
  look(0);
  // A machine's sleep.
  assert.equal(look(3_600_000), undefined);
  let nowMs = 3_600_000;
  for (let looks = 0; looks < 37; looks++) assert.equal(look((nowMs += 250)), undefined);
  look((nowMs += 250));
  assert.equal(look(nowMs + 250), "stalled");
});

test("buffers that fill the memory at one frame end the actor before the machine", async () => {
  const world = await SupervisorWorld.run([0], { MILLRACE_HEAP_MB: "64" });
  world.actor().ready();
  world.actor().ingests(5);
  await world.clock.pass(260);
  world.actor().resident = 65 << 20;
  await world.clock.pass(600);
  assert.equal(world.lives(), 2);
  assert.match(world.actor().task.lastDeath, /^out of memory: the process grew by 65 MB at frame 5/);
});

test("a shard that ended two processes runs in one of its own, until it is well again", async () => {
  const world = new SupervisorWorld();
  const live = (starts: number, lastInstance: string) => ({
    lanes: { live: { ...freshLane(), starts, lastInstance }, fill: freshLane() },
  });
  const kind = async (starts: number, lastInstance: string) => {
    world.head(live(starts, lastInstance));
    world.supervisor.restart(0);
    await settle();
    return world.actor().kind;
  };
  world.supervisor.assign(1, [0]);
  await settle();
  assert.equal(await kind(5, "this-process"), "thread", "its own threads died, not processes");
  assert.equal(await kind(1, "another"), "thread", "once may be a kill -9");
  assert.equal(await kind(2, ""), "thread");
  assert.equal(await kind(2, "another"), "process");
  assert.notEqual(world.actor().task.instance, "this-process");
  world.actor().ready();
  world.actor().says({ isolated: true, commits: 1 });
  await settle();
  assert.equal(world.actor().gone, false, "not while it is isolated");
  world.head({});
  world.actor().says({ isolated: false, commits: 65 });
  await settle();
  assert.equal(world.actor().kind, "thread");
  assert.equal(world.status().deaths, 0);
});

test("paused: it commits and stands, and a resume starts it", async () => {
  const world = await SupervisorWorld.run();
  world.actor().ready();
  world.supervisor.wish(0, wish({ paused: true }));
  await world.clock.pass(60_000);
  assert.deepEqual(world.actor().heard, [{ kind: "stop" }]);
  assert.equal(world.status().state, "paused");
  assert(world.supervisor.owned().includes(0), "upkeep goes on");
  world.supervisor.wish(0, wish({}));
  await settle();
  assert.equal(world.lives(), 2);
  assert.equal(world.status().deaths, 0);
});

test("who is paused or has failed when the node starts is not even started", async () => {
  const world = new SupervisorWorld();
  world.supervisor.wish(0, wish({ paused: true }));
  world.supervisor.wish(1, wish({ failed }));
  world.supervisor.assign(1, [0, 1, 2]);
  await world.clock.pass(60_000);
  assert.deepEqual(
    world.supervisor.status().map(({ state }) => state),
    ["paused", "failed", "starting"],
  );
  assert.equal(world.status(1).why, "restarts: it died");
  // Somebody, on this node or elsewhere, says: try again.
  world.supervisor.wish(1, wish({}));
  await settle();
  assert.equal(world.lives(1), 1);
});

test("an old word that the shard failed, or did not, changes nothing", async () => {
  const world = await SupervisorWorld.run();
  world.actor().ready();
  world.supervisor.wish(0, wish({ failed }));
  assert.equal(world.status().state, "running");
  world.supervisor.wish(0, wish({}));
  world.actor().tell({ kind: "failed", code: "record-rewound", why: "wiped" });
  world.actor().die("exit", "exit 0");
  await settle();
  world.supervisor.wish(0, wish({}));
  await world.clock.pass(1000);
  assert.equal(world.status().state, "failed");
  assert.equal(world.written.at(-1)?.failed?.code, "record-rewound");
});

test("a skip ends an actor that hangs within a second, and is done by the next, however often that one dies", async () => {
  const world = await SupervisorWorld.run();
  world.actor().ready();
  world.actor().hangs = true;
  const skipped = world.supervisor.deed(0, { kind: "skip" });
  await world.clock.pass(1100);
  assert.equal(world.lives(), 2);
  assert.deepEqual(world.actor().task.first, { kind: "skip" });
  world.actor().die("exit", "before it had told");
  await world.clock.pass(100);
  assert.equal(world.lives(), 3);
  assert.deepEqual(world.actor().task.first, { kind: "skip" });
  assert.deepEqual(await world.supervisor.deed(0, { kind: "adopt" }), {
    kind: "none",
    why: "its skip is still under way",
  });
  world.actor().tell({ kind: "skipped", gap: [4, 9] });
  const result = await skipped;
  assert(result.kind === "done" && result.tookMs < 1300, JSON.stringify(result));
  assert.deepEqual(result.told, { kind: "skipped", gap: [4, 9] });
  await world.dies();
  assert.equal(world.actor().task.first, undefined, "once");
  assert.equal(world.status().deaths, 2, "the one that was ended for it has not died");
});

test("failed or paused, a skip is done all the same: failed no more, but paused again", async () => {
  const world = new SupervisorWorld();
  world.supervisor.wish(0, wish({ failed, paused: true }));
  world.supervisor.assign(1, [0]);
  await settle();
  assert.equal(world.lives(), 0);
  const skipped = world.supervisor.deed(0, { kind: "skip" });
  await settle();
  world.actor().tell({ kind: "skipped", gap: undefined });
  assert.equal((await skipped).kind, "done");
  await world.clock.pass(100);
  assert.equal(world.status().state, "paused");
  assert.deepEqual(world.written, [{ shard: 0, failed: null }]);
});

test("a deed that can't be done says why, in bounded time", async () => {
  const world = await SupervisorWorld.run();
  const skipped = world.supervisor.deed(0, { kind: "skip" });
  await settle();
  world.actor().tell({ kind: "failed", code: "record-rewound", why: "wiped" });
  world.actor().die("exit", "exit 0");
  assert.deepEqual(await skipped, { kind: "none", why: "record-rewound: wiped" });
  const again = world.supervisor.deed(0, { kind: "adopt" });
  await world.clock.pass(31_000);
  const late = await again;
  assert(late.kind === "none" && /not done within 30 s/.test(late.why), JSON.stringify(late));
});

test("fenced waits for a newer map, and for nothing else", async () => {
  const world = await SupervisorWorld.run();
  world.actor().tell({ kind: "fenced", epoch: 2 });
  world.actor().die("exit", "exit 0");
  await world.clock.pass(600_000);
  assert.equal(world.status().state, "fenced");
  assert.equal(world.supervisor.runs(0), false);
  world.supervisor.assign(1, [0]);
  await settle();
  assert.equal(world.lives(), 1);
  world.supervisor.assign(2, [0]);
  await settle();
  assert.equal(world.lives(), 2);
  assert.equal(world.status().deaths, 0);
});

test("a shard that goes to another node commits and ends; one that hangs is ended", async () => {
  const world = await SupervisorWorld.run([0, 1]);
  world.actor(1).hangs = true;
  world.supervisor.assign(2, []);
  await world.clock.pass(2100);
  assert(world.actor(0).gone && world.actor(1).gone);
  await world.clock.pass(60_000);
  assert.equal(world.actors.length, 2);
  assert.deepEqual(world.supervisor.status(), []);
});
