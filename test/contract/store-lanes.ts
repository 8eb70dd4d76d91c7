// C7, and what isolation rests on: gaps are filled once, parts of frames are kept, starts and deaths are counted.
import assert from "node:assert/strict";
import { seededRandom } from "../../src/base/random.ts";
import { freshLane } from "../../src/store/lanes.ts";
import type { Commit, CommitResult, Lane, ShardState, ShardStore } from "../../src/store/store.ts";
import {
  claimed,
  columns,
  commitOf,
  committed,
  key,
  table,
  withSnapshot,
  type Case,
} from "./store-helpers.ts";

const at = (to: number) => ({ incarnation: "i1", frameTimeMs: to * 1000, receivedAtMs: to * 1000 });
const onePoint = (more: Partial<Commit> = {}): Partial<Commit> => ({
  newSeries: [key("a")],
  deltas: columns([{ series: 0, fresh: true, bucket: 60 }]),
  ...more,
});

async function started(store: ShardStore, instance: string, epoch?: number): Promise<ShardState> {
  const result =
    epoch === undefined
      ? await store.claim({ node: "n1", mapVersion: 1, instance })
      : await store.startFill(epoch, instance);
  assert(result.kind === "claimed", JSON.stringify(result));
  return result.state;
}

export function lanesCases(f: Case): void {
  f("C7: a gap is set aside, and each part of it is filled once", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 5, onePoint()));
    assert.equal(await store.skip(epoch, 9, at(9)), "ok");
    const stateOf = () => withSnapshot(engine, 0, (s) => s.state());
    const { offset, gaps, frameTimeMs } = await stateOf();
    assert.deepEqual({ offset, gaps, frameTimeMs }, { offset: 9, gaps: [[6, 9]], frameTimeMs: 9000 });

    const fill = (from: number, to: number, more: Partial<Commit> = {}): Promise<CommitResult> =>
      store.commit(commitOf(epoch, from, to, onePoint({ lane: "fill", ...more })));
    const refused = async (result: Promise<CommitResult>, expected: number) =>
      assert.deepEqual(await result, { kind: "at", offset: expected });
    await refused(fill(4, 6), 5); // not the gap's beginning
    await refused(fill(6, 7), 5);
    await refused(fill(5, 10), 5); // beyond its end
    await refused(fill(5, 6, { incarnation: "i2" }), 5);
    await refused(store.commit(commitOf(epoch, 5, 6, onePoint())), 9); // of the live lane
    assert.deepEqual((await fill(5, 7)).kind, "ok");
    await refused(fill(5, 7), 7);
    assert.deepEqual((await store.commit(commitOf(epoch, 9, 12, onePoint()))).kind, "ok");
    assert.deepEqual((await fill(7, 9)).kind, "ok");
    await refused(fill(7, 9), 12);
    assert.deepEqual((await store.commit(commitOf(epoch - 1, 9, 12, { lane: "fill" }))).kind, "fenced");
    const last = await stateOf();
    assert.deepEqual([last.offset, last.gaps, last.frameTimeMs], [12, [], 12_000]);
    await withSnapshot(engine, 0, async (snapshot) => {
      const [series] = await snapshot.findSeries("t1", "a", 1);
      const cells = await snapshot.fetch([series?.id ?? 0], { start: 60, stepSeconds: 10, width: 1 });
      assert.deepEqual(table(cells), [[4, 4, 1, 1, 1]]);
    });
    await store.close();
  });

  f("who fills with what it knew before series or tenants went begins again", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 5, onePoint()));
    await store.skip(epoch, 9, at(9));
    const now = async () => (await withSnapshot(engine, 0, (s) => s.state())).removals;
    const fills = async (from: number, removals: number, result: string) =>
      assert.equal(
        (await store.commit(commitOf(epoch, from, from + 1, { lane: "fill", removals }))).kind,
        result,
      );
    const changesIt = async (change: () => Promise<unknown>, isChange = true) => {
      const before = await now();
      await change();
      assert.equal((await now()) !== before, isChange, String(change));
    };
    await changesIt(() => store.deleteSeries(epoch, "t1", "a", 10));
    await changesIt(() => store.deleteSeries(epoch, "t1", "a", 10), false);
    await fills(5, 0, "at");
    await fills(5, await now(), "ok");
    await changesIt(() => store.release(epoch, "t1"), false);
    await changesIt(() => store.bury(epoch, "t1"));
    await changesIt(() => store.bury(epoch, "t1"), false);
    await fills(6, 0, "at");
    const quarantine = [{ tenant: "t2", sinceMs: 1, why: "poison" }];
    const held = await now();
    assert.equal((await store.commit(commitOf(epoch, 9, 10, { quarantine }))).kind, "ok");
    await changesIt(() => store.release(epoch, "t2"));
    await fills(6, held, "at");
    await fills(6, await now(), "ok");
    await store.close();
  });

  f("a skip needs the epoch; gaps that meet are one", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    assert.equal(await store.skip(epoch - 1, 9, at(9)), "fenced");
    assert.equal(await store.skip(epoch, 9, at(9)), "ok");
    await committed(store, commitOf(epoch, 9, 10));
    assert.equal(await store.skip(epoch, 20, at(20)), "ok");
    assert.equal(await store.skip(epoch, 25, at(25)), "ok");
    const { gaps, offset } = await withSnapshot(engine, 0, (s) => s.state());
    assert.deepEqual(
      [gaps, offset],
      [
        [
          [1, 9],
          [11, 25],
        ],
        25,
      ],
    );
    await store.close();
  });

  f("a frame is committed in parts, and a skip takes its part along", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const partsOf = async () => (await withSnapshot(engine, 0, (s) => s.state())).parts;
    await committed(store, commitOf(epoch, 0, 0, onePoint({ partLines: 3 })));
    assert.deepEqual(await partsOf(), [{ sequence: 1, lines: 3 }]);
    await committed(store, commitOf(epoch, 0, 0, onePoint({ fromLines: 3, partLines: 5 })));
    assert.deepEqual(await partsOf(), [{ sequence: 1, lines: 5 }]);
    // The same once more, as a commit that comes late: the lane is elsewhere.
    for (const fromLines of [0, 3, 6]) {
      const late = commitOf(epoch, 0, 0, onePoint({ fromLines, partLines: 5 }));
      assert.deepEqual(await store.commit(late), { kind: "at", offset: 0 });
    }
    await committed(store, commitOf(epoch, 0, 0, { fromLines: 5 })); // books alone: the part stays
    assert.deepEqual(await partsOf(), [{ sequence: 1, lines: 5 }]);
    assert.equal(await store.skip(epoch, 4, at(4)), "ok");
    await committed(store, commitOf(epoch, 4, 4, onePoint({ partLines: 2 })));
    assert.deepEqual(await partsOf(), [
      { sequence: 1, lines: 5 },
      { sequence: 5, lines: 2 },
    ]);
    await committed(store, commitOf(epoch, 0, 2, onePoint({ lane: "fill", fromLines: 5, partLines: 1 })));
    assert.deepEqual(await partsOf(), [
      { sequence: 5, lines: 2 },
      { sequence: 3, lines: 1 },
    ]);
    const whole = commitOf(epoch, 2, 4, onePoint({ lane: "fill" }));
    assert.deepEqual(await store.commit(whole), { kind: "at", offset: 2 });
    await committed(store, commitOf(epoch, 4, 5, onePoint({ fromLines: 2 })));
    await committed(store, { ...whole, fromLines: 1 });
    assert.deepEqual(await partsOf(), []);
    await store.close();
  });

  f("starts are counted by lane, until a commit or until it is well", async ({ engine }) => {
    const store = await engine.openShard(0);
    const lane = async (name: Lane) => (await withSnapshot(engine, 0, (s) => s.state())).lanes[name];
    assert.deepEqual((await started(store, "p1")).lanes.live, { ...freshLane(), starts: 1 });
    const { lanes, epoch } = await started(store, "p2");
    assert.deepEqual(lanes.live, { ...freshLane(), starts: 2, lastInstance: "p1" });
    assert.deepEqual(await lane("live"), { ...freshLane(), starts: 2, lastInstance: "p2" });
    assert.deepEqual((await started(store, "p3", epoch)).lanes.fill, { ...freshLane(), starts: 1 });
    assert.equal((await store.startFill(epoch - 1, "p3")).kind, "refused");
    await committed(store, commitOf(epoch, 0, 1));
    assert.deepEqual(await lane("live"), freshLane());
    assert.equal((await lane("fill")).starts, 1);
    assert.equal(await store.settled(epoch - 1, "fill"), "fenced");
    assert.equal(await store.settled(epoch, "fill"), "ok");
    assert.deepEqual(await lane("fill"), freshLane());
    await store.close();
  });

  f("a life that goes on after an outage counts no start, and only in its epoch", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await started(store, "p1");
    const resumed = await store.resume(epoch);
    assert(resumed.kind === "claimed");
    assert.deepEqual([resumed.state.epoch, resumed.state.lanes.live.starts], [epoch, 1]);
    await started(store, "p2");
    assert.deepEqual(await store.resume(epoch), { kind: "refused", owner: "n1", mapVersion: 1 });
    await store.close();
  });

  f("whoever starts next finds the lines that were tried, and counts a death", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await started(store, "p1");
    const trial = { sequence: 1, from: 4, to: 8 };
    assert.equal(await store.attempt(epoch - 1, "live", trial), "fenced");
    assert.equal(await store.attempt(epoch, "live", trial), "ok");
    assert.equal(await store.attempt(epoch, "fill", { ...trial, to: 5 }), "ok");
    const { lanes } = await started(store, "p1");
    assert.deepEqual(lanes.live.trial, { ...trial, deaths: 1, isUnderWay: false });
    assert.deepEqual(lanes.fill.trial, { ...trial, to: 5, deaths: 0, isUnderWay: true });
    // A life that ends before it tries them again is no death of theirs.
    const { lanes: unchanged, epoch: next } = await started(store, "p1");
    assert.deepEqual(unchanged.live.trial, lanes.live.trial);
    assert.equal(await store.attempt(next, "live", trial), "ok"); // the same again: what it did before counts
    const { lanes: third, epoch: last } = await started(store, "p1");
    assert.equal(third.live.trial?.deaths, 2);
    assert.equal(await store.attempt(last, "live", { ...trial, to: 6 }), "ok");
    const { lanes: fourth, epoch: end } = await started(store, "p1");
    assert.deepEqual(fourth.live.trial, { ...trial, to: 6, deaths: 1, isUnderWay: false });
    await committed(store, commitOf(end, 0, 0, onePoint({ partLines: 4 })));
    const { lanes: cleared } = await withSnapshot(engine, 0, (s) => s.state());
    assert.deepEqual(cleared.live, freshLane());
    assert.equal(cleared.fill.trial?.deaths, 0);
    await store.close();
  });

  f("a record that is another one is adopted: what was set aside is a hole", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 5, onePoint({ poison: { sinceMs: 7, lines: 2 } })));
    await store.skip(epoch, 9, at(9));
    const to = { incarnation: "i2", offset: 0, frameTimeMs: 3, hole: [10, 12] as [number, number] };
    assert.equal(await store.adopt(epoch - 1, to), "fenced");
    assert.equal(await store.adopt(epoch, to), "ok");
    const state = await withSnapshot(engine, 0, (s) => s.state());
    const { offset, incarnation, gaps, holes, parts, poison } = state;
    assert.deepEqual(
      { offset, incarnation, gaps, holes, parts, poison },
      {
        offset: 0,
        incarnation: "i2",
        gaps: [],
        holes: [[6, 12]],
        parts: [],
        poison: { sinceMs: 7, lines: 2 },
      },
    );
    await committed(store, commitOf(epoch, 0, 3, onePoint({ incarnation: "i2" })));
    await withSnapshot(engine, 0, async (snapshot) => {
      const [series] = await snapshot.findSeries("t1", "a", 1);
      const cells = await snapshot.fetch([series?.id ?? 0], { start: 60, stepSeconds: 10, width: 1 });
      assert.deepEqual(table(cells), [[2, 2, 1, 1, 1]]);
    });
    await store.close();
  });

  f("two lanes in any order commit each frame once", async ({ engine }) => {
    const random = seededRandom(11);
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const seen = new Map<number, number>();
    let offset = 0;
    let gaps: [number, number][] = [];
    for (let step = 0; step < 300; step++) {
      const fillLane = random.below(2) === 0;
      if (random.below(10) === 0) {
        const to = offset + 1 + random.below(8);
        assert.equal(await store.skip(epoch, to, at(to)), "ok");
        offset = to;
      } else {
        const from = fillLane ? random.below(offset + 2) : offset - random.below(2);
        const to = from + 1 + random.below(3);
        const lane: Partial<Commit> = fillLane ? { lane: "fill" } : {};
        const count = to - from;
        const deltas = columns([{ series: 0, fresh: true, bucket: 60, points: count, sum: count }]);
        const result = await store.commit(commitOf(epoch, from, to, onePoint({ ...lane, deltas })));
        const gap = gaps.find(([first]) => first === from + 1);
        const right = fillLane ? gap !== undefined && to <= gap[1] : from === offset;
        assert.equal(result.kind, right ? "ok" : "at", `${fillLane ? "fill" : "live"} ${from} ${to}`);
        if (right) for (let n = from + 1; n <= to; n++) seen.set(n, (seen.get(n) ?? 0) + 1);
        if (right && !fillLane) offset = to;
      }
      gaps = (await withSnapshot(engine, 0, (s) => s.state())).gaps;
    }
    for (let n = 1; n <= offset; n++) {
      const waits = gaps.some(([from, to]) => from <= n && n <= to);
      assert.equal(seen.get(n) ?? 0, waits ? 0 : 1, `frame ${n}`);
    }
    await withSnapshot(engine, 0, async (snapshot) => {
      const [series] = await snapshot.findSeries("t1", "a", 1);
      const cells = await snapshot.fetch([series?.id ?? 0], { start: 60, stepSeconds: 10, width: 1 });
      assert.equal(cells.points[0], seen.size);
    });
    await store.close();
  });
}
