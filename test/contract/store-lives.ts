// Series end: deleted by hand, retired when nothing is left of them. And what a tenant's size says meanwhile.
import assert from "node:assert/strict";
import type { TenantSize } from "../../src/store/store.ts";
import { columns, commitOf, committed, withSnapshot, type Case, type World } from "./store-helpers.ts";
import { day, hour, Owner, rulesOf, sums, t0, upkeepUntilIdle } from "./store-life.ts";

const ladders = rulesOf("10s:1h,60s:1d", { t2: [[0, { "^long": "60s:20d" }]] });

async function namesIn({ engine }: Pick<World, "engine">, pattern = "*.*", tenant = "t1"): Promise<string[]> {
  const found = await withSnapshot(engine, 0, (s) => s.findSeries(tenant, pattern, 1000));
  return found.map(({ name }) => name);
}

async function sizeOf({ engine }: Pick<World, "engine">, tenant = "t1"): Promise<TenantSize> {
  return await withSnapshot(engine, 0, (snapshot) => snapshot.tenantSize(tenant));
}

export function livesCases(f: Case): void {
  f("deleteSeries: names at once, points by upkeep, others stay", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const { store, epoch } = owner;
    const names = ["web.a", "web.b", "db.a", "web.c;k=v"];
    const puts = names.flatMap((name) => [
      { name, at: t0 },
      { name, at: t0, tenant: "t2" },
    ]);
    const ids = await owner.put(t0, ...puts);
    const idOf = (name: string) => ids[2 * names.indexOf(name)] ?? 0;
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    await owner.put(t0, ...puts); // some in fragments, some not
    assert.deepEqual(await store.deleteSeries(epoch - 1, "t1", "*.*", 10), {
      ids: new Uint32Array(),
      names: [],
    });
    assert.deepEqual(await store.deleteSeries(epoch, "t1", "no.*", 10), {
      ids: new Uint32Array(),
      names: [],
    });
    assert.deepEqual(await store.deleteSeries(epoch, "t3", "*.*", 10), { ids: new Uint32Array(), names: [] });
    const { ids: gone, names: goneNames } = await store.deleteSeries(epoch, "t1", "web.*", 10);
    assert.deepEqual(goneNames, ["web.a", "web.b"]);
    assert.deepEqual(gone.toSorted(), Uint32Array.of(idOf("web.a"), idOf("web.b")).sort());
    assert.deepEqual(await namesIn(world), ["db.a"]);
    assert.deepEqual(await namesIn(world, "*.*;*"), ["web.c;k=v"]);
    const nodes = await withSnapshot(engine, 0, (s) => s.findNodes("t1", "*", 9));
    assert.deepEqual(
      nodes.map(({ path }) => path),
      ["db"],
    );
    assert.deepEqual(await namesIn(world, "*.*", "t2"), ["db.a", "web.a", "web.b"]);
    assert.deepEqual((await store.deleteSeries(epoch, "t1", "web.c;*", 10)).names, ["web.c;k=v"]);
    // The same names again before upkeep, and one of them after it.
    const [again] = await owner.put(t0, { name: "web.a", at: t0, sum: 5 });
    assert.ok(again !== undefined && !ids.includes(again));
    assert.deepEqual(await sums(engine, "web.a", [t0, 10, 1]), [5]);
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    assert.deepEqual(await sums(engine, "web.a", [t0, 10, 1]), [5]);
    await owner.put(t0, { name: "web.b", at: t0, sum: 6 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    assert.deepEqual(await sums(engine, "web.b", [t0, 10, 1]), [6]);
    assert.deepEqual(await sums(engine, "db.a", [t0, 60, 1]), [2]);
    for (const name of names) assert.deepEqual(await sums(engine, name, [t0, 10, 1], "t2"), [2]);
    assert.equal((await sizeOf(world)).points, 2 + 1 + 1);
    assert.equal((await sizeOf(world, "t2")).points, 2 * names.length);
    await store.close();
  });

  f("deleteSeries: at most as many as asked, then the rest", async (world) => {
    const owner = await Owner.of(world.engine);
    const names = Array.from({ length: 57 }, (_, i) => `a.s${String(i).padStart(3, "0")}`);
    const ids = await owner.put(t0, ...names.map((name) => ({ name, at: t0 })));
    await upkeepUntilIdle(world.engine, { nowSeconds: t0, ladders, all: true });
    const deleted: string[] = [];
    const deletedIds: number[] = [];
    for (let calls = 1; ; calls++) {
      const some = await owner.store.deleteSeries(owner.epoch, "t1", "a.*", 20);
      assert.equal(some.ids.length, some.names.length);
      for (const name of some.names) assert.ok(!(await namesIn(world)).includes(name));
      deleted.push(...some.names);
      deletedIds.push(...some.ids);
      if (some.names.length < 20) break;
      assert.ok(calls < 10);
    }
    assert.deepEqual(deleted.toSorted(), names);
    assert.deepEqual(
      deletedIds.toSorted((a, b) => a - b),
      ids,
    );
    assert.deepEqual(await withSnapshot(world.engine, 0, (s) => s.tenants()), []);
    await upkeepUntilIdle(world.engine, { nowSeconds: t0, ladders, all: true });
    const { series, points, bytes } = await sizeOf(world);
    assert.deepEqual({ series, points, bytes }, { series: 0, points: 0, bytes: 0 });
    await owner.store.close();
  });

  f("C4: a snapshot from before shows deleted series, their points too", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    await owner.put(t0, { name: "a.b", at: t0, sum: 3 }, { name: "a.c", at: t0 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const reader = await engine.openReader(0);
    const old = await reader.snapshot();
    await owner.store.deleteSeries(owner.epoch, "t1", "a.b", 9);
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const [series] = await old.findSeries("t1", "a.b", 9);
    const cells = await old.fetch([series?.id ?? 0], { start: t0, stepSeconds: 60, width: 1 });
    assert.deepEqual([...cells.sum], [3]);
    assert.deepEqual(await namesIn(world), ["a.c"]);
    old.close();
    await reader.close();
    await owner.store.close();
  });

  f("retire: a series ends when nothing can be left of it, not before", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const { store, epoch } = owner;
    const [gone = 0] = await owner.put(
      t0,
      { name: "a.gone", at: t0 },
      { name: "a.lives", at: t0 },
      { name: "long.x", at: t0, tenant: "t2" },
    );
    const retired = async (now: number) => {
      const ids: number[] = [];
      for (let more = true; more; ) {
        const some = await store.retire(epoch, now);
        ids.push(...some.ids);
        more = some.more;
      }
      return ids;
    };
    const go = async (now: number, ...more: { name: string; at: number }[]) => {
      await owner.put(now, { name: "a.lives", at: now }, ...more);
      await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    };
    assert.deepEqual(await retired(t0 + 300 * day), []); // what upkeep has not come to is there still
    await go(t0);
    assert.deepEqual(await retired(t0 + hour), []);
    await go(t0 + 23 * hour);
    assert.deepEqual(await retired(t0 + 23 * hour), []);
    const now = t0 + 6 * day;
    // A late point, and one of now: not yet seen by upkeep.
    await owner.put(now, { name: "a.gone", at: now - hour }, { name: "a.lives", at: now });
    assert.deepEqual(await retired(now), []);
    await go(now);
    assert.deepEqual(await retired(now), []);
    const end = t0 + 12 * day;
    await go(end);
    const other = (await store.retire(epoch - 1, end)).ids;
    assert.deepEqual([...other], []);
    assert.deepEqual(await retired(end), [gone]);
    assert.deepEqual(await retired(end), []);
    assert.deepEqual(await namesIn(world), ["a.lives"]);
    assert.deepEqual(await namesIn(world, "*.*", "t2"), ["long.x"]);
    assert.equal((await sizeOf(world)).series, 1);
    const [again] = await owner.put(end, { name: "a.gone", at: end, sum: 7 });
    assert.ok(again !== undefined && again !== gone);
    assert.deepEqual(await sums(engine, "a.gone", [end, 60, 1]), [7]);
    const far = t0 + 40 * day;
    await go(far);
    assert.equal((await retired(far)).length, 2);
    assert.deepEqual(await withSnapshot(engine, 0, (s) => s.tenants()), ["t1"]);
    await store.close();
  });

  f("retire: many at once, and one that only ever got points too late to be held", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const now = t0 + 20 * day;
    const names = Array.from({ length: 3000 }, (_, i) => `m.s${i}`);
    const ids = await owner.put(t0, ...names.map((name) => ({ name, at: t0 })));
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const late = await owner.put(now, { name: "m.late", at: t0 }, { name: "m.lives", at: now });
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    await owner.put(now, { name: "m.s17", at: now });
    const retired: number[] = [];
    for (let more = true; more; ) {
      const some = await owner.store.retire(owner.epoch, now);
      retired.push(...some.ids);
      more = some.more;
    }
    const expected = [...ids.filter((_, i) => i !== 17), late[0] ?? 0];
    assert.deepEqual(
      retired.toSorted((a, b) => a - b),
      expected.toSorted((a, b) => a - b),
    );
    assert.deepEqual(await namesIn(world), ["m.lives", "m.s17"]);
    await owner.store.close();
  });

  f("sizes: a tenant's points, its oldest and newest, with and without upkeep", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const none: TenantSize = { series: 0, points: 0, bytes: 0, oldest: undefined, newest: undefined };
    assert.deepEqual(await sizeOf(world), none);
    await owner.put(
      t0 + 90,
      { name: "a", at: t0 + 70, points: 3 },
      { name: "a", at: t0 + 80 },
      { name: "b", at: t0 + 90 },
      { name: "a", at: t0 + 75, tenant: "t2", points: 5 },
    );
    const seen = async (tenant: string, series: number, points: number, oldest: number, newest: number) => {
      const { bytes, ...size } = await sizeOf(world, tenant);
      assert.deepEqual(size, { series, points, oldest, newest });
      return bytes;
    };
    assert.equal(await seen("t1", 2, 5, t0 + 70, t0 + 90), 0);
    assert.equal(await seen("t2", 1, 5, t0 + 75, t0 + 75), 0);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 90, ladders, all: true });
    assert.ok((await seen("t1", 2, 5, t0 + 60, t0 + 60)) > 0);
    assert.ok((await seen("t2", 1, 5, t0 + 60, t0 + 60)) > 0);
    await owner.put(t0 + hour, { name: "c", at: t0 + hour, points: 2 });
    assert.ok((await seen("t1", 3, 7, t0 + 60, t0 + hour)) > 0);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + hour, ladders, all: true });
    const bytes = await seen("t1", 3, 7, t0 + 60, t0 + hour);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + hour, ladders, all: true });
    assert.equal(await seen("t1", 3, 7, t0 + 60, t0 + hour), bytes);
    assert.deepEqual(await sizeOf(world, "t3"), none);
    // Retention takes points away, late ones that nothing holds are not counted.
    const now = t0 + 20 * day;
    await owner.put(now, { name: "a", at: now }, { name: "a", at: t0 + 70, points: 9 });
    await upkeepUntilIdle(engine, { nowSeconds: now, ladders, all: true });
    assert.equal((await sizeOf(world)).points, 1);
    assert.equal((await sizeOf(world, "t2")).points, 0);
    assert.equal((await sizeOf(world, "t2")).bytes, 0);
    assert.ok((await sizeOf(world)).bytes > 0);
    await owner.store.close();
  });

  f("commits to an id that was deleted meanwhile reach nobody", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const [id = 0] = await owner.put(t0, { name: "a.b", at: t0 }, { name: "a.c", at: t0 });
    await owner.store.deleteSeries(owner.epoch, "t1", "a.b", 9);
    await owner.put(t0, { name: "a.b", at: t0, sum: 4 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const { offset, store, epoch } = owner;
    const stale = columns([{ series: id, bucket: t0, sum: 100 }]);
    await committed(store, commitOf(epoch, offset, offset + 1, { deltas: stale, receivedAtMs: t0 * 1000 }));
    owner.offset++;
    await owner.put(t0, { name: "a.d", at: t0 }, { name: "a.b", at: t0, sum: 1 });
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const read = async () =>
      await Promise.all(["a.b", "a.c", "a.d"].map((name) => sums(engine, name, [t0, 10, 1])));
    assert.deepEqual(await read(), [[5], [1], [1]]);
    await store.close();
  });
}
