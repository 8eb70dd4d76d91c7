// C1 to C3: who may commit, and what a commit that is not ok leaves behind.
import assert from "node:assert/strict";
import { isOutage } from "../../src/base/errors.ts";
import { freshLane, freshState } from "../../src/store/lanes.ts";
import type { Interval } from "../../src/store/store.ts";
import {
  boot,
  claimed,
  columns,
  commitOf,
  committed,
  everything,
  key,
  nothingForgotten,
  table,
  withSnapshot,
  type Case,
} from "./store-helpers.ts";

export function claimCases(f: Case): void {
  f("a fresh shard is at the beginning", async ({ engine }) => {
    const store = await engine.openShard(3);
    assert.deepEqual(await claimed(store), {
      ...freshState(),
      epoch: 1,
      boots: [],
      lanes: { live: { ...freshLane(), starts: 1 }, fill: freshLane() },
    });
    await store.close();
  });

  f("a reader finds no shard before it is opened", async ({ engine }) => {
    const reader = await engine.openReader(0);
    await assert.rejects(reader.snapshot(), (error) => isOutage(error, "store-unavailable"));
    const store = await engine.openShard(0);
    const snapshot = await reader.snapshot();
    assert.equal((await snapshot.state()).epoch, 0);
    assert.deepEqual(await snapshot.findSeries("t1", "*", 10), []);
    snapshot.close();
    await reader.close();
    await store.close();
  });

  f("C2: the same range committed twice counts once", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const commit = commitOf(epoch, 0, 5, {
      newSeries: [key("a.b")],
      deltas: columns([{ series: 0, fresh: true, bucket: 60, points: 2, sum: 7 }]),
    });
    const ids = await committed(store, commit);
    assert.deepEqual(await store.commit(commit), { kind: "at", offset: 5 });
    await withSnapshot(engine, 0, async (snapshot) => {
      const cells = await snapshot.fetch(ids, { start: 60, stepSeconds: 10, width: 1 });
      assert.deepEqual(table(cells), [[2, 7, 7, 7, 7]]);
    });
    await store.close();
  });

  f("C2, C3: another offset is answered with where it is, and changes nothing", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 5));
    const seen = async () => await withSnapshot(engine, 0, async (s) => await everything(s, 100));
    const before = await seen();
    for (const [from, to] of [
      [0, 5],
      [0, 9],
      [4, 9],
      [6, 9],
    ] as const) {
      const refused = commitOf(epoch, from, to, {
        newSeries: [key("x")],
        deltas: columns([{ series: 0, fresh: true, bucket: 0 }]),
        boots: [{ boot, applied: [[0, 1]], lastAppliedMs: 1 }],
        holes: [[7, 8]],
      });
      assert.deepEqual(await store.commit(refused), { kind: "at", offset: 5 });
    }
    assert.deepEqual(await seen(), before);
    assert.equal((await store.commit(commitOf(epoch, 5, 9))).kind, "ok");
    await store.close();
  });

  f("C2: an old epoch is fenced, a zombie's every try", async ({ engine }) => {
    const zombie = await engine.openShard(0);
    const old = await claimed(zombie, "n1", 1);
    await committed(zombie, commitOf(old.epoch, 0, 5));
    const owner = await engine.openShard(0);
    const now = await claimed(owner, "n2", 2);
    assert.equal(now.epoch, old.epoch + 1);
    assert.deepEqual(await zombie.commit(commitOf(old.epoch, 5, 6)), { kind: "fenced", epoch: now.epoch });
    await committed(owner, commitOf(now.epoch, 5, 6));
    assert.deepEqual(await zombie.commit(commitOf(old.epoch, 6, 7)), { kind: "fenced", epoch: now.epoch });
    assert.deepEqual(await zombie.forget(old.epoch, 1e15), nothingForgotten);
    assert.deepEqual(await zombie.claim({ node: "n1", mapVersion: 1, instance: "i" }), {
      kind: "refused",
      owner: "n2",
      mapVersion: 2,
    });
    assert.deepEqual(await owner.commit(commitOf(now.epoch + 1, 6, 7)), { kind: "fenced", epoch: now.epoch });
    await zombie.close();
    await owner.close();
  });

  f("claims: by map version and node, counted until a commit", async ({ engine }) => {
    const store = await engine.openShard(0);
    const claim = async (node: string, mapVersion: number) => {
      const result = await store.claim({ node, mapVersion, instance: "i" });
      return result.kind === "claimed" ? [result.state.epoch, result.state.lanes.live.starts] : result;
    };
    assert.deepEqual(await claim("a", 0), [1, 1]);
    assert.deepEqual(await claim("b", 0), { kind: "refused", owner: "a", mapVersion: 0 });
    assert.deepEqual(await claim("a", 5), [2, 2]);
    assert.deepEqual(await claim("a", 5), [3, 3]); // the same node again: its actor was started anew
    assert.deepEqual(await claim("b", 5), { kind: "refused", owner: "a", mapVersion: 5 });
    assert.deepEqual(await claim("b", 4), { kind: "refused", owner: "a", mapVersion: 5 });
    assert.deepEqual(await claim("a", 4), { kind: "refused", owner: "a", mapVersion: 5 });
    assert.deepEqual(await claim("b", 6), [4, 4]);
    assert.deepEqual(await store.commit(commitOf(3, 0, 1)), { kind: "fenced", epoch: 4 });
    assert.equal((await withSnapshot(engine, 0, (s) => s.state())).lanes.live.starts, 4);
    await committed(store, commitOf(4, 0, 0)); // a commit that moves nothing is progress too
    assert.equal((await withSnapshot(engine, 0, (s) => s.state())).lanes.live.starts, 0);
    assert.deepEqual(await claim("b", 6), [5, 1]);
    await store.close();
  });

  f("claims at once: each epoch is given once", async ({ engine }) => {
    const stores = await Promise.all([engine.openShard(0), engine.openShard(0)]);
    const states = await Promise.all(
      Array.from({ length: 20 }, (_, i) => claimed(stores[i % 2] ?? stores[0], "n", 1)),
    );
    const epochs = states.map(({ epoch }) => epoch).sort((a, b) => a - b);
    assert.deepEqual(
      epochs,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    for (const store of stores) await store.close();
  });

  f("commits at once: of several for the same range one is taken", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    for (let from = 0; from < 10; from++) {
      const commit = commitOf(epoch, from, from + 1, {
        newSeries: [key("a")],
        deltas: columns([{ series: 0, fresh: true, bucket: 0 }]),
      });
      const results = await Promise.all([store.commit(commit), store.commit(commit), store.commit(commit)]);
      assert.deepEqual(results.map(({ kind }) => kind).sort(), ["at", "at", "ok"]);
    }
    await withSnapshot(engine, 0, async (snapshot) => {
      const [series] = await snapshot.findSeries("t1", "a", 1);
      const cells = await snapshot.fetch([series?.id ?? 0], { start: 0, stepSeconds: 10, width: 1 });
      assert.deepEqual(table(cells), [[10, 10, 1, 1, 1]]);
    });
    await store.close();
  });

  f("the state beside the offset", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const holes: Interval[] = [[3, 4]];
    await committed(
      store,
      commitOf(epoch, 0, 9, { incarnation: "x", frameTimeMs: 5.5, receivedAtMs: 17, holes }),
    );
    await committed(
      store,
      commitOf(epoch, 9, 2 ** 40, { incarnation: "y", frameTimeMs: 6, receivedAtMs: 16, holes: [[5, 5]] }),
    );
    const { boots: _boots, ...state } = await claimed(store);
    assert.deepEqual(state, {
      ...freshState(),
      epoch: 2,
      lanes: { live: { ...freshLane(), starts: 1 }, fill: freshLane() },
      offset: 2 ** 40,
      incarnation: "y",
      frameTimeMs: 6,
      receivedAtMs: 16,
      holes: [[3, 5]],
    });
    await store.close();
  });

  f("shards are apart from each other", async ({ engine }) => {
    const one = await engine.openShard(1);
    const two = await engine.openShard(2);
    const { epoch } = await claimed(one);
    await committed(one, commitOf(epoch, 0, 7, { newSeries: [key("a")] }));
    assert.equal((await claimed(two)).offset, 0);
    assert.deepEqual(await withSnapshot(engine, 2, (s) => s.findSeries("t1", "a", 1)), []);
    await one.close();
    await two.close();
  });
}
