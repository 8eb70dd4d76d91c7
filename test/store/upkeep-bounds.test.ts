// Upkeep where something is at its bound: a sender of old points, a full table of ladders, a purge
// that something else gets in between of.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Environment, type View } from "../../src/store/environment.ts";
import { laddersMax } from "../../src/store/work.ts";
import {
  day,
  hour,
  Owner,
  rulesOf,
  sums,
  t0,
  upkeepUntilIdle,
  type RulesSince,
} from "../contract/store-life.ts";
import { withSnapshot } from "../contract/store-helpers.ts";
import { engineIn, withFolder } from "./lmdb-helpers.ts";

async function look<T>(folder: string, use: (view: View) => T): Promise<T> {
  const path = join(folder, "shard-0");
  const environment = await Environment.open({ path, mapBytes: 0, readOnly: true, clock: systemClock });
  const view = environment.view();
  try {
    return use(view);
  } finally {
    view.close();
    await environment.close();
  }
}

const keptOf = (folder: string) => look(folder, (view) => view.work().work.ladders[0]?.kept[0] ?? 0);

test("T2: who never stops sending old points holds up no retention", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const owner = await Owner.of(engine);
    const ladders = rulesOf("10s:6h,600s:30d");
    await owner.put(t0, { name: "a", at: t0 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const now = t0 + 12 * hour;
    const upkeep = await engine.openUpkeep(0);
    let sent = 0;
    for (let step = 0; step < 12; step++) {
      await owner.put(now, { name: "a", at: now }, { name: "old", at: t0 + 61 });
      sent++;
      await upkeep.step({ nowSeconds: now, ladders, all: false });
    }
    assert.equal(await keptOf(folder), t0 + 6 * hour);
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    assert.deepEqual(await sums(engine, "old", [t0, 600, 1]), [sent]);
    await upkeep.close();
    await owner.store.close();
  });
});

test("numbers of ladders that nothing lies under any more are given again", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const owner = await Owner.of(engine);
    const many = Array.from({ length: laddersMax }, (_, i) => `m${i}`);
    const since = (i: number): RulesSince[] => [[0, { ".": `${10 + i}s:1d` }]];
    const full = rulesOf("9s:1d", Object.fromEntries(many.map((tenant, i) => [tenant, since(i)])));
    await owner.put(t0, ...many.map((tenant) => ({ tenant, name: "a", at: t0 })));
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders: full, all: true });
    assert.equal(await look(folder, (view) => view.work().work.ladders.length), laddersMax);
    const now = t0 + 30 * day;
    const two = rulesOf("1s:1d", { t2: [[0, { ".": "2s:1d" }]] }, 1000);
    const task = { nowSeconds: now, ladders: two, all: true };
    await owner.put(now);
    await upkeepUntilIdle(engine, task);
    const putTwo = async () => {
      const points = [4, 5, 6, 7].map((at, i) => ({ at: now - 10 + at, sum: 1 << i }));
      await owner.put(now, ...points.map((point) => ({ ...point, name: `s${point.at}` })));
      for (const point of points)
        await owner.put(now, { ...point, name: "a" }, { ...point, name: "a", tenant: "t2" });
    };
    await putTwo();
    await upkeepUntilIdle(engine, task);
    for (const [tenant, expected] of [
      ["t1", [1, 2, 4, 8]],
      ["t2", [3, null, 12, null]],
    ] as const)
      assert.deepEqual(await sums(engine, "a", [now - 6, 1, 4], tenant), expected);
    await owner.store.close();
  });
});

test("a clock that was years ahead, and is right again, holds up neither rounds nor merges", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const owner = await Owner.of(engine);
    const ladders = rulesOf("10s:6h,600s:30d");
    const upkeep = await engine.openUpkeep(0);
    const ahead = t0 + 3650 * day;
    const did = async (nowSeconds: number) => {
      const step = await upkeep.step({ nowSeconds, ladders, all: false });
      return step.kind === "worked" ? step.work : step.kind;
    };
    for (let i = 0; i < 3; i++) {
      await owner.put(t0, { name: "a", at: t0 });
      assert.deepEqual([await did(ahead), await did(t0), await did(t0 + 600)], ["idle", "idle", "fragments"]);
      assert.equal(await did(ahead), "idle");
    }
    // Its record goes on, and its spans of three pieces are closed.
    await owner.put(t0 + 5 * hour);
    assert.deepEqual([await did(t0 + 5 * hour), await did(t0 + 5 * hour)], ["retention", "merge"]);
    await upkeep.close();
    await owner.store.close();
  });
});

test("what lies in blobs of a deleted series never comes into pieces", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const owner = await Owner.of(engine);
    const task = { nowSeconds: t0, ladders: rulesOf("10s:6h,600s:30d"), all: true };
    const points = () =>
      withSnapshot(engine, 0, async (snapshot) => (await snapshot.tenantSize("t1")).points);
    await owner.put(t0, { name: "a", at: t0 }, { name: "b", at: t0 });
    await owner.store.deleteSeries(owner.epoch, "t1", "a", 1);
    const works: string[] = [];
    await upkeepUntilIdle(engine, task, async (step) => {
      works.push(step.kind === "worked" ? step.work : step.kind);
      assert.equal(await points(), 1);
    });
    assert.deepEqual(works, ["fragments", "purge"]);
    assert.deepEqual(await sums(engine, "b", [t0, 10, 1]), [1]);
    await owner.store.close();
  });
});

test("a purge takes all of a deleted series, also when a span goes under its hands", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder, 256 << 20, { slicePuts: 1 });
    const owner = await Owner.of(engine);
    const ladders = rulesOf("10s:6h,600s:30d");
    const series = Array.from({ length: 100 }, (_, i) => `s${i}`);
    const at = [t0, t0 + 2 * hour, t0 + 4 * hour];
    await owner.put(t0 + 4 * hour, ...at.flatMap((each) => series.map((name) => ({ name, at: each }))));
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 4 * hour, ladders, all: true });
    await owner.store.deleteSeries(owner.epoch, "t1", "*", 1000);
    const upkeep = await engine.openUpkeep(0);
    let now = t0 + 5 * hour;
    const next = () => upkeep.step({ nowSeconds: now, ladders, all: false });
    const works: string[] = [];
    for (let step = await next(); step.kind === "worked"; step = await next()) {
      works.push(step.work);
      if (works.length !== 3) continue;
      now = t0 + 8 * hour;
      await owner.put(now, { name: "later", tenant: "t2", at: now });
    }
    assert(
      works.indexOf("retention") > 0 && works.lastIndexOf("purge") > works.indexOf("retention"),
      works.join(" "),
    );
    const size = await withSnapshot(engine, 0, (snapshot) => snapshot.tenantSize("t1"));
    assert.deepEqual([size.points, size.bytes], [0, 0]);
    await upkeep.close();
    await owner.store.close();
  });
});
