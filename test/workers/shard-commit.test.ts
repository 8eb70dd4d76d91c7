// The actor and a store that answers anything but ok, or nothing, or is away: nothing is lost, nothing counts twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outage } from "../../src/base/errors.ts";
import type { Commit, ShardStore } from "../../src/store/store.ts";
import { World } from "./world.ts";

const unknown = () => Promise.reject(new Outage("store-unavailable", "the connection was lost"));

/** The store whose n-th commit (from 1, over all lives) is answered by `answer`. */
function commitNumber(
  world: World,
  n: number,
  answer: (store: ShardStore, commit: Commit) => ReturnType<ShardStore["commit"]>,
) {
  let count = 0;
  return world.storeWith((store) => ({
    commit: (commit) => (++count === n ? answer(store, commit) : store.commit(commit)),
  }));
}

/** Frames over four commits, the answer to the second one is special; all must be there once in the end. */
async function survives(
  answer: (store: ShardStore, commit: Commit) => ReturnType<ShardStore["commit"]>,
): Promise<void> {
  const world = await World.start();
  const running = world.run({ openStore: commitNumber(world, 2, answer) });
  for (let round = 0; round < 4; round++) {
    await world.record(world.frame(["a 1", `b${round} 2`, "c.d 3 0"], { n: round }));
    await world.clock.pass(1500);
  }
  running.actor.stop();
  assert.deepEqual(await running.ended, { kind: "stopped", offset: 4 });
  assert.deepEqual(await world.sums(), ["a 4 4", "b0 1 2", "b1 1 2", "b2 1 2", "b3 1 2"]);
  assert.deepEqual(await world.books(), ["tcp dead too-old 4", "tcp stored 8"]);
  assert.equal((await world.letters()).length, 4);
  // S4: an outage is no death.
  const { epoch, lanes } = await world.state();
  assert.deepEqual([epoch, lanes.live.starts], [1, 0]);
}

test("S3: a commit whose answer was lost, and which was applied, is not applied again", async () => {
  await survives(async (store, commit) => {
    await store.commit(commit);
    return unknown();
  });
});

test("S3: a commit whose answer was lost, and which was not applied, is made again", async () => {
  await survives(unknown);
});

test("S3: a commit that was lost on its way and comes late finds the offset elsewhere", async () => {
  const world = await World.start();
  let late: (() => ReturnType<ShardStore["commit"]>) | undefined;
  const openStore = commitNumber(world, 1, (store, commit) => {
    // Columns are views that the next batch fills anew: what is on its way is a copy.
    const copy = structuredClone(commit);
    late = () => store.commit(copy);
    return unknown();
  });
  const running = world.run({ openStore });
  await world.recordMany(2);
  await world.clock.pass(120); // the first commit is due at 250 ms
  await world.clock.pass(135);
  await world.clock.pass(1000);
  assert(late !== undefined);
  assert.deepEqual(await late(), { kind: "at", offset: 2 });
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.sums(), ["a 2 2"]);
});

test("S3: an offset that is elsewhere makes the actor start from the store", async () => {
  // A second writer of the same epoch can't be; but a store that failed over may be behind.
  const world = await World.start();
  let count = 0;
  const openStore = world.storeWith((store) => ({
    commit: (commit) => (++count === 2 ? Promise.resolve({ kind: "at", offset: 1 }) : store.commit(commit)),
  }));
  const running = world.run({ openStore });
  for (let n = 0; n < 4; n++) {
    await world.recordMany(1, n);
    await world.clock.pass(1500);
  }
  assert(running.doings.includes("waiting-store"));
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.sums(), ["a 4 4"]);
});

test("S1: ids that a lost commit gave are not used: a new life asks for them", async () => {
  const world = await World.start();
  const asked: string[][] = [];
  let count = 0;
  const openStore = world.storeWith((store) => ({
    commit: async (commit) => {
      asked.push(commit.newSeries.map(({ name }) => Buffer.from(name).toString()));
      const result = await store.commit(commit);
      return ++count === 1 ? unknown() : result;
    },
  }));
  const running = world.run({ openStore });
  await world.record(world.frame(["a 1", "b 1"], { n: 0 }));
  await world.clock.pass(2000);
  await world.record(world.frame(["b 1", "c 1"], { n: 1 }));
  await world.clock.pass(2000);
  await world.record(world.frame(["b 1", "c 1"], { n: 2 }));
  await world.clock.pass(2000);
  running.actor.stop();
  await running.ended;
  assert.deepEqual(asked, [["a", "b"], ["b", "c"], []]);
  assert.deepEqual(await world.sums(), ["a 1 1", "b 3 3", "c 2 2"]);
});

test("a fenced actor ends, and changes nothing", async () => {
  const world = await World.start();
  const old = world.run();
  await world.recordMany(2);
  await world.clock.pass(1000);
  const young = world.run({ owner: { node: "n2", mapVersion: 2, instance: "i" } });
  await world.recordMany(2, 2);
  await world.clock.pass(3000);
  assert.deepEqual(old.result(), { kind: "fenced", epoch: 2 });
  assert.deepEqual([young.result(), young.progress().offset], [undefined, 4]);
  assert.deepEqual(await world.sums(), ["a 4 4"]);
});

test("a claim that is refused ends the actor", async () => {
  const world = await World.start();
  await world.runThrough({ owner: { node: "n2", mapVersion: 5, instance: "i" } });
  assert.deepEqual(await world.runThrough(), { kind: "fenced", epoch: 0 });
  assert.deepEqual(await world.runThrough({ owner: { node: "n3", mapVersion: 5, instance: "i" } }), {
    kind: "fenced",
    epoch: 0,
  });
  assert.equal((await world.state()).epoch, 1);
});

test("S4: the store is away for ten minutes: the actor says so, waits, and goes on", async () => {
  const world = await World.start();
  let away = false;
  const gone = <T>(then: () => Promise<T>) => (away ? unknown() : then());
  const openStore = world.storeWith((store) => ({
    claim: (owner) => gone(() => store.claim(owner)),
    commit: (commit) => gone(() => store.commit(commit)),
  }));
  const running = world.run({ openStore: () => gone(openStore) });
  await world.recordMany(2);
  await world.clock.pass(1000);
  away = true;
  for (let minute = 0; minute < 10; minute++) {
    await world.recordMany(2, 2 + minute * 2);
    await world.clock.pass(60_000);
    assert.deepEqual([running.result(), running.progress().doing], [undefined, "waiting-store"]);
  }
  away = false;
  await world.clock.pass(3000);
  assert.deepEqual([running.progress().doing, running.progress().offset], ["ingesting", 22]);
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.sums(), ["a 22 22"]);
});

test("S4: a store that hangs keeps the actor waiting, without growth", async () => {
  const world = await World.start();
  let answer: (() => void) | undefined;
  const openStore = commitNumber(world, 1, async (store, commit) => {
    await new Promise<void>((resolve) => (answer = resolve));
    return store.commit(commit);
  });
  const running = world.run({ openStore });
  await world.recordMany(2);
  await world.clock.pass(1000);
  await world.recordMany(20, 2);
  await world.clock.pass(600_000);
  assert.equal((await world.state()).offset, 0);
  answer?.();
  await world.clock.pass(10_000);
  assert.equal(running.progress().offset, 22);
  assert.deepEqual(await world.sums(), ["a 22 22"]);
});

test("a stop commits what was read, and a stop of an actor that waits ends it", async () => {
  const world = await World.start();
  const running = world.run({ commitMs: 5000 });
  await world.recordMany(3);
  await world.clock.pass(10);
  assert.equal((await world.state()).offset, 0);
  running.actor.stop();
  assert.deepEqual(await running.ended, { kind: "stopped", offset: 3 });
  assert.deepEqual(await world.sums(), ["a 3 3"]);

  const waiting = world.run({ openStore: unknown });
  await world.clock.pass(10);
  waiting.actor.stop();
  assert.equal((await waiting.ended).kind, "stopped");
});

test("a final outage of the store fails the shard; a bug is thrown to whoever started it", async () => {
  const world = await World.start();
  const corrupt = world.run({ openStore: () => Promise.reject(new Outage("store-corrupt", "page 7")) });
  assert.deepEqual(await corrupt.ended, { kind: "failed", code: "store-corrupt", why: "page 7" });
  await assert.rejects(
    world.run({ openStore: () => Promise.reject(new TypeError("ours")) }).ended,
    TypeError,
  );
});

test("commits come further apart when they are slow", async () => {
  const world = await World.start();
  let commits = 0;
  const openStore = world.storeWith((store) => ({
    commit: async (commit) => {
      commits++;
      await world.clock.sleep(1000);
      return store.commit(commit);
    },
  }));
  const running = world.run({ openStore, commitMs: 100 });
  for (let n = 0; n < 300; n++) {
    await world.recordMany(1, n);
    await world.clock.pass(100);
  }
  await world.clock.pass(10_000);
  assert.equal(running.progress().offset, 300);
  // 30 s of frames: without the longer interval there would be a commit each 1.1 s, with it one each 2 s.
  assert(commits <= 18, `${commits} commits`);
});
