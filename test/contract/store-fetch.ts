// What is read: one state per snapshot (C4), and summaries merged.
import assert from "node:assert/strict";
import { seededRandom } from "../../src/base/random.ts";
import { compileLadderRules } from "../../src/metric/ladder-rules.ts";
import { valueColumns } from "../../src/store/store.ts";
import { ladderOf } from "./store-life.ts";
import {
  boot,
  claimed,
  columns,
  commitOf,
  committed,
  everything,
  key,
  table,
  withSnapshot,
  type Case,
} from "./store-helpers.ts";

export function fetchCases(f: Case): void {
  f("C4: a snapshot stays the same while commits go on", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const step = async (from: number) => {
      await committed(
        store,
        commitOf(epoch, from, from + 1, {
          newSeries: [key(`a.s${from}`), key("a.s0")],
          deltas: columns([
            { series: 0, fresh: true, bucket: 10 },
            { series: 1, fresh: true, bucket: from * 10 },
          ]),
          ledger: [{ tenant: "t1", door: "tcp", minute: 60, fate: "stored", reason: "", count: 1 }],
          boots: [{ boot, applied: [[from, from]], lastAppliedMs: from }],
        }),
      );
    };
    await step(0);
    await step(1);
    const reader = await engine.openReader(0);
    const snapshot = await reader.snapshot();
    const before = await everything(snapshot, 200);
    for (let from = 2; from < 20; from++) {
      await step(from);
      if (from % 6 === 0) assert.deepEqual(await everything(snapshot, 200), before);
    }
    const newer = await reader.snapshot();
    const after = await everything(newer, 200);
    assert.equal((await newer.state()).offset, 20);
    assert.notDeepEqual(after, before);
    assert.deepEqual(await everything(snapshot, 200), before);
    snapshot.close();
    snapshot.close(); // once is enough, twice is no harm
    assert.deepEqual(await everything(newer, 200), after);
    newer.close();
    await reader.close();
    await store.close();
  });

  f("fetch merges what was committed", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const [a = 0, b = 0] = await committed(
      store,
      commitOf(epoch, 0, 1, {
        newSeries: [key("a"), key("b")],
        deltas: columns([
          { series: 1, fresh: true, bucket: 130, points: 3, sum: 6, min: 1, max: 3, last: 2 },
          { series: 0, fresh: true, bucket: 120, points: 2, sum: 0.3, min: -1, max: 1.3, last: 1.3 },
          { series: 0, fresh: true, bucket: 60 },
        ]),
      }),
    );
    await committed(
      store,
      commitOf(epoch, 1, 2, {
        deltas: columns([
          { series: a, bucket: 120, points: 1, sum: 5, lastSeconds: 121 },
          { series: a, bucket: 110, points: 1, sum: -0 },
          { series: b, bucket: 230, points: 1, sum: 1e300 },
        ]),
      }),
    );
    await withSnapshot(engine, 0, async (snapshot) => {
      const f = async (
        ids: number[],
        start: number,
        stepSeconds: number,
        width: number,
        expected: unknown[],
      ) => assert.deepEqual(table(await snapshot.fetch(ids, { start, stepSeconds, width })), expected);
      await f([a], 110, 10, 3, [[1, -0, -0, -0, -0], [3, 5.3, -1, 5, 5], null]);
      await f([b, a], 120, 10, 2, [null, [3, 6, 1, 3, 2], [3, 5.3, -1, 5, 5], null]);
      await f([a], 60, 60, 2, [
        [2, 1, -0, 1, -0],
        [3, 5.3, -1, 5, 5],
      ]);
      await f([b], 0, 120, 2, [null, [4, 1e300, 1, 1e300, 1e300]]);
      await f([a, a, b, a], 120, 60, 1, [
        [3, 5.3, -1, 5, 5],
        [3, 5.3, -1, 5, 5],
        [3, 6, 1, 3, 2],
        [3, 5.3, -1, 5, 5],
      ]);
      await f([99, 0, a], 60, 10, 1, [null, null, [1, 1, 1, 1, 1]]);
      await f([a], 70, 10, 4, [null, null, null, null]);
      await f([a], 1_000_000, 10, 2, [null, null]);
      await f([], 60, 10, 5, []);
      await f([a], 60, 10, 0, []);
      const empty = await snapshot.fetch([a], { start: 0, stepSeconds: 10, width: 1 });
      assert.deepEqual(
        [empty.points[0], empty.sum[0], empty.min[0], empty.max[0], empty.last[0]],
        [0, 0, NaN, NaN, NaN],
      );
    });
    await store.close();
  });

  f("fetch: of the values only the columns that are asked for", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const random = seededRandom(11);
    const count = 12;
    let ids: number[] = [];
    const chance = () => random.below(9) - 4 || -0;
    const row = (series: number, fresh: boolean) => {
      const last = chance();
      const bucket = 60 + random.below(200);
      if (random.below(2) === 0) return { series, fresh, bucket, sum: last };
      const lastReceivedAtMs = random.below(3) * 1000;
      return {
        series,
        fresh,
        bucket,
        points: 3,
        sum: last + chance(),
        min: last - 1,
        max: last + 1,
        last,
        lastReceivedAtMs,
      };
    };
    const upkeep = await engine.openUpkeep(0);
    const ladders = compileLadderRules(1, ladderOf("1s:1d,10s:10d"), new Map());
    for (let offset = 0; offset < 6; offset++) {
      const chosen = Array.from({ length: 60 }, () => random.below(count));
      const rows = chosen.map((i) => row(offset === 0 ? i : (ids[i] ?? 0), offset === 0));
      const once = new Map(rows.map((each) => [`${each.series} ${each.bucket}`, each]));
      const newSeries = offset > 0 ? [] : Array.from({ length: count }, (_, i) => key(`s${i}`));
      const deltas = columns([...once.values()]);
      const given = await committed(
        store,
        commitOf(epoch, offset, offset + 1, { newSeries, deltas, receivedAtMs: 300_000 }),
      );
      if (offset === 0) ids = [...given];
      // In the end there are pieces of several rounds, and blobs.
      if (offset === 1 || offset === 3)
        while ((await upkeep.step({ nowSeconds: 300, ladders, all: true })).kind === "worked");
    }
    await upkeep.close();
    const asked = [...ids, ids[3] ?? 0, 999];
    await withSnapshot(engine, 0, async (snapshot) => {
      for (const [stepSeconds, start, width] of [
        [1, 60, 200],
        [10, 70, 15],
        [60, 60, 4],
      ] as const) {
        const range = { start, stepSeconds, width };
        const whole = await snapshot.fetch(asked, range);
        for (const name of valueColumns) assert.equal(whole[name].length, asked.length * width);
        for (let subset = 0; subset < 2 ** valueColumns.length; subset++) {
          const wanted = valueColumns.filter((_, i) => (subset >>> i) & 1);
          const expected = { ...whole };
          for (const name of valueColumns) if (!wanted.includes(name)) expected[name] = new Float64Array(0);
          assert.deepStrictEqual(await snapshot.fetch(asked, range, wanted), expected, wanted.join(" "));
        }
      }
    });
    await store.close();
  });

  f(
    "fetch: last is the greatest of (time stamp, receivedAtMs, value), in any order of commits",
    async ({ engine }) => {
      const store = await engine.openShard(0);
      const { epoch } = await claimed(store);
      // [lastSeconds, receivedAtMs, value]
      const candidates = [
        [65, 9000, 1],
        [66, 100, -5],
        [66, 200, -7],
        [66, 200, -6],
        [61, 9999, 50],
      ] as const;
      let offset = 0;
      const ids: number[] = [];
      const random = seededRandom(7);
      for (let round = 0; round < 20; round++) {
        const shuffled = candidates.toSorted(() => random.next() - 0.5);
        for (const [lastSeconds, lastReceivedAtMs, sum] of shuffled)
          [ids[round]] = (await committed(
            store,
            commitOf(epoch, offset, ++offset, {
              newSeries: [key(`r${round}`)],
              deltas: columns([{ series: 0, fresh: true, bucket: 60, sum, lastSeconds, lastReceivedAtMs }]),
            }),
          )) as [number];
      }
      const cells = await withSnapshot(engine, 0, (s) =>
        s.fetch(ids, { start: 60, stepSeconds: 60, width: 1 }),
      );
      assert.deepEqual([...new Set(cells.last)], [-6]);
      await store.close();
    },
  );
}
