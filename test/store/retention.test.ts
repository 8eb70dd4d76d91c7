import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutage } from "../../src/base/errors.ts";
import { createLmdbEngine, type LmdbEngine } from "../../src/store/lmdb.ts";
import type { UpkeepOptions } from "../../src/store/upkeep.ts";
import { Owner, rulesOf, sums, t0, upkeepUntilIdle } from "../contract/store-life.ts";
import { ManualClock } from "../harness/clock.ts";
import { smallUpkeep, withFolder } from "./lmdb-helpers.ts";

/** Spans of 360 s and of 3600 s. */
const ladders = rulesOf("1s:1m,10s:3m");

async function withEngine(
  mapBytes: number,
  upkeep: Partial<UpkeepOptions>,
  use: (engine: LmdbEngine, clock: ManualClock) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const clock = new ManualClock(t0 * 1000);
    await use(createLmdbEngine({ folder, mapBytes, clock, upkeep }), clock);
  });
}

/** Commits of one second until the store says no. */
async function fill(owner: Owner, nowSeconds: number): Promise<number> {
  for (let commits = 0; commits < 10_000; commits++) {
    const { offset } = owner;
    try {
      const puts = Array.from({ length: 300 }, (_, i) => ({
        name: `a.s${i}`,
        at: nowSeconds - ((commits * 7 + i) % 50),
        sum: Math.sqrt(commits * 300 + i),
      }));
      await owner.put(nowSeconds, ...puts);
    } catch (error) {
      assert.ok(isOutage(error, "store-full"), String(error));
      owner.offset = offset;
      return commits;
    }
  }
  return assert.fail("the store never was full");
}

/** Until neither commits nor rounds find room. */
async function fillUp(engine: LmdbEngine, owner: Owner, clock: ManualClock, rules = ladders): Promise<void> {
  for (let last = 1; last > 0; ) {
    last = await fill(owner, t0);
    await upkeepAt(engine, Math.floor(clock.nowMs() / 1000), rules);
  }
}

async function upkeepAt(engine: LmdbEngine, nowSeconds: number, rules = ladders): Promise<void> {
  try {
    await upkeepUntilIdle(engine, { nowSeconds, ladders: rules, all: true });
  } catch (error) {
    assert.ok(isOutage(error, "store-full"), String(error));
  }
}

test("a full store lets go of what time has passed, though no commit says that it did", async () => {
  await withEngine(2 << 20, {}, async (engine, clock) => {
    const owner = await Owner.of(engine);
    await fillUp(engine, owner, clock);
    assert.equal(await fill(owner, t0), 0, "full");
    clock.advance(7300_000);
    await upkeepAt(engine, t0 + 7300);
    assert.ok((await fill(owner, t0 + 7300)) > 10, "there is room again");
    await owner.store.close();
  });
});

test("in a full store, too, a clock that was set ahead lets go of nothing", async () => {
  await withEngine(2 << 20, {}, async (engine, clock) => {
    const owner = await Owner.of(engine);
    await fillUp(engine, owner, clock);
    const before = await sums(engine, "a.s7", [t0 - 60, 10, 7]);
    assert.ok(before.some((sum) => sum !== null));
    clock.setWall((t0 + 1_000_000) * 1000);
    await upkeepAt(engine, t0 + 1_000_000);
    clock.advance(30_000);
    await upkeepAt(engine, t0 + 1_000_030);
    assert.deepEqual(await sums(engine, "a.s7", [t0 - 60, 10, 7]), before);
    assert.equal(await fill(owner, t0), 0);
    await owner.store.close();
  });
});

test("in a store with room time passes by commits alone", async () => {
  await withEngine(64 << 20, smallUpkeep, async (engine, clock) => {
    const owner = await Owner.of(engine);
    await owner.put(t0, { name: "a", at: t0, sum: 3 });
    await upkeepAt(engine, t0);
    clock.advance(1_000_000_000);
    await upkeepAt(engine, t0 + 1_000_000);
    assert.deepEqual(await sums(engine, "a", [t0, 1, 1]), [3]);
    await owner.store.close();
  });
});

test("late points that never end don't keep a rung from passing its spans", async () => {
  await withEngine(64 << 20, smallUpkeep, async (engine) => {
    const owner = await Owner.of(engine);
    // Only the finer rung's spans end before `now`.
    const late = t0 - (t0 % 3600) + 1445;
    await owner.put(late, { name: "a", at: late });
    await upkeepAt(engine, late);
    const now = late + 500;
    let sent = 1;
    const works = new Set<string>();
    const upkeep = await engine.openUpkeep(0);
    for (let i = 0; i < 100; i++) {
      await owner.put(now, { name: "a", at: late });
      sent++;
      const step = await upkeep.step({ nowSeconds: now, ladders, all: false });
      if (step.kind === "worked") works.add(step.work);
      assert.deepEqual(await sums(engine, "a", [late - 5, 10, 1]), [sent], `each point counts, step ${i}`);
    }
    assert.ok(works.has("retention"), [...works].join());
    await upkeep.close();
    await owner.store.close();
  });
});

test("deleting series makes room in a full store where no round finds any", async () => {
  await withEngine(2 << 20, {}, async (engine) => {
    const owner = await Owner.of(engine);
    // Pieces of five rungs take more than the rows that they are made of.
    const rules = rulesOf("1s:1d,2s:2d,4s:4d,8s:8d,16s:30d");
    const spread = async () => {
      for (let commits = 0; ; commits++) {
        const { offset } = owner;
        try {
          const at = (i: number) => t0 - ((offset * 977 + i * 31) % 80_000);
          const puts = Array.from({ length: 300 }, (_, i) => ({ name: `a.s${i}`, at: at(i), sum: i / 3 }));
          await owner.put(t0, ...puts);
        } catch (error) {
          assert.ok(isOutage(error, "store-full"), String(error));
          owner.offset = offset;
          return commits;
        }
      }
    };
    while ((await spread()) > 0) await upkeepAt(engine, t0, rules);
    const { ids } = await owner.store.deleteSeries(owner.epoch, "t1", "a.*", 10_000);
    assert.equal(ids.length, 300);
    await upkeepAt(engine, t0, rules);
    assert.ok((await spread()) > 10, "there is room again");
    await owner.store.close();
  });
});
