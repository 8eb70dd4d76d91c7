// C6: upkeep changes where points lie, never what a read of times that a ladder still holds answers.
import assert from "node:assert/strict";
import { seededRandom } from "../../src/base/random.ts";
import type { Snapshot, StoreEngine } from "../../src/store/store.ts";
import { hour, Owner, rulesOf, sums, t0, day, upkeepUntilIdle, type Put } from "./store-life.ts";
import { idsIn, table, withSnapshot, type Case } from "./store-helpers.ts";

const ladders = rulesOf("10s:6h,60s:2d,600s:30d", {
  t2: [[0, { "^a": "7s:1h,49s:12h,490s:10d", "^b": "1s:1h", ".": "20s:4h,100s:20h" }]],
});

/** Puts of many series of both tenants, up to an hour back. */
function manyPuts(random: ReturnType<typeof seededRandom>, now: number, count: number): Put[] {
  return Array.from({ length: count }, () => ({
    name: `${["a", "b", "c"][random.below(3)]}.s${random.below(20)}`,
    tenant: `t${1 + random.below(2)}`,
    at: now - random.below(50 * 60),
    sum: random.below(1000) / 8,
    points: 1 + random.below(3),
  }));
}

/** All series at some steps: each a multiple of the finest step of its ladder. */
async function readAll(snapshot: Snapshot, start: number, seconds: number): Promise<unknown> {
  const out: unknown[] = [];
  for (const tenant of ["t1", "t2"])
    for (const [pattern, steps] of [
      ["a.*", [70, 490]],
      ["b.*", [10, 60, 70, 90, 600]],
      ["c.*", [20, 60, 100, 300, 700]],
    ] as const)
      for (const stepSeconds of steps) {
        const ids = (await snapshot.findSeries(tenant, pattern, 1000)).map(({ id }) => id);
        const from = start - (start % stepSeconds);
        const width = Math.ceil(seconds / stepSeconds) + 1;
        out.push([
          tenant,
          pattern,
          stepSeconds,
          table(await snapshot.fetch(ids, { start: from, stepSeconds, width })),
        ]);
      }
  out.push(await snapshot.tenants(), await idsIn(snapshot, ["t1", "t2"]));
  return out;
}

async function seenOf(engine: StoreEngine, now: number): Promise<unknown> {
  return await withSnapshot(engine, 0, (snapshot) => readAll(snapshot, now - hour, hour + 60));
}

export function upkeepCases(f: Case): void {
  f("upkeep of an empty shard is idle", async ({ engine }) => {
    const owner = await Owner.of(engine);
    for (const all of [false, true])
      assert.deepEqual(await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all }), []);
    await owner.put(t0);
    assert.deepEqual(await upkeepUntilIdle(engine, { nowSeconds: t0 + day, ladders, all: true }), []);
    await owner.store.close();
  });

  f("C6, C4: no step of upkeep changes an answer, of new snapshots or of an old one", async ({ engine }) => {
    const random = seededRandom(11);
    const owner = await Owner.of(engine);
    const now = t0 + 5 * day;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) await owner.put(now, ...manyPuts(random, now, 150));
      const reader = await engine.openReader(0);
      const old = await reader.snapshot();
      const before = await readAll(old, now - hour, hour + 60);
      let worked = 0;
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true }, async () => {
        worked++;
        assert.deepEqual(await seenOf(engine, now), before);
        assert.deepEqual(await readAll(old, now - hour, hour + 60), before);
      });
      assert.ok(worked > 0);
      assert.deepEqual(await seenOf(engine, now), before);
      old.close();
      await reader.close();
    }
    await owner.store.close();
  });

  f("C6: after upkeep and opening anew everything is there", async (world) => {
    const random = seededRandom(12);
    const owner = await Owner.of(world.engine);
    const now = t0 + 5 * day;
    for (let i = 0; i < 3; i++) await owner.put(now, ...manyPuts(random, now, 150));
    const before = await seenOf(world.engine, now);
    await upkeepUntilIdle(world.engine, { nowSeconds: now, ladders, all: true });
    await owner.store.close();
    assert.deepEqual(await seenOf(await world.reopen(), now), before);
  });

  f("C6: commits between the slices lose nothing and count once", async ({ engine }) => {
    const random = seededRandom(13);
    const owner = await Owner.of(engine);
    const now = t0 + 5 * day;
    const steady = ["a.s0", "b.s7", "c.s19"];
    let commits = 0;
    const put = async () => {
      commits++;
      await owner.put(
        now,
        ...steady.map((name) => ({ name, tenant: "t1", at: now - 5 * 60 })),
        ...manyPuts(random, now - 600, 20),
      );
    };
    for (let i = 0; i < 4; i++) await put();
    for (let round = 0; round < 3; round++) {
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: round === 1 }, async () => {
        if (commits < 30 * (round + 1)) await put();
        for (const name of steady)
          assert.deepEqual(await sums(engine, name, [now - 300, 60, 5]), [commits, null, null, null, null]);
      });
    }
    assert.ok(commits > 4);
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    for (const name of steady)
      assert.deepEqual(await sums(engine, name, [now - 300, 60, 5]), [commits, null, null, null, null]);
    await owner.store.close();
  });

  f("C6: two upkeeps of a shard at once do each slice once", async ({ engine }) => {
    const random = seededRandom(14);
    const owner = await Owner.of(engine);
    const now = t0 + 5 * day;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) await owner.put(now, ...manyPuts(random, now, 200));
      const before = await seenOf(engine, now);
      const task = { nowSeconds: now, ladders, all: true };
      await Promise.all([
        upkeepUntilIdle(engine, task),
        upkeepUntilIdle(engine, task),
        upkeepUntilIdle(engine, { ...task, all: false }),
      ]);
      await upkeepUntilIdle(engine, task);
      assert.deepEqual(await seenOf(engine, now), before);
    }
    await owner.store.close();
  });

  f("a reading during upkeep is of one state", async ({ engine }) => {
    const random = seededRandom(15);
    const owner = await Owner.of(engine);
    const now = t0 + 5 * day;
    for (let i = 0; i < 6; i++) await owner.put(now, ...manyPuts(random, now, 300));
    const before = await seenOf(engine, now);
    let ended = false;
    const reading = (async () => {
      let reads = 0;
      for (; !ended || reads === 0; reads++) assert.deepEqual(await seenOf(engine, now), before);
      return reads;
    })();
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    ended = true;
    assert.ok((await reading) > 0);
    await owner.store.close();
  });
}
