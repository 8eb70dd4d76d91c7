// StatsD gauges: the store keeps a value for each, and differences are added to it in the commit, once.
import assert from "node:assert/strict";
import {
  newSeriesFlag,
  type Commit,
  type GaugeChange,
  type GaugeRow,
  type ShardStore,
  type StoreEngine,
} from "../../src/store/store.ts";
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
import { day, rulesOf, upkeepUntilIdle } from "./store-life.ts";

/** A row of one difference, or of several that came to `sum` at last. */
export function difference(bucket: number, change: number, more: Partial<GaugeRow> = {}): GaugeRow {
  return {
    bucket,
    points: 1,
    sum: change,
    min: change,
    max: change,
    last: change,
    lastSeconds: bucket,
    lastReceivedAtMs: bucket * 1000,
    ...more,
  };
}

function by(series: number, value: number, relative: GaugeRow[]): GaugeChange {
  return { series, relative, value, isRelative: true };
}

function to(series: number, value: number, relative: GaugeRow[] = []): GaugeChange {
  return { series, relative, value, isRelative: false };
}

/** Commits one after the other. */
class Writer {
  readonly store: ShardStore;
  readonly #epoch: number;
  offset: number;

  constructor(store: ShardStore, epoch: number, offset: number) {
    this.store = store;
    this.#epoch = epoch;
    this.offset = offset;
  }

  static async of(engine: StoreEngine): Promise<Writer> {
    const store = await engine.openShard(0);
    const { epoch, offset } = await claimed(store);
    return new Writer(store, epoch, offset);
  }

  async put(gauges: GaugeChange[], more: Partial<Commit> = {}): Promise<number[]> {
    const at = this.offset++;
    return await committed(
      this.store,
      commitOf(this.#epoch, at, at + 1, { receivedAtMs: 1, gauges, ...more }),
    );
  }
}

async function read(engine: StoreEngine, id: number, [start, stepSeconds, width]: [number, number, number]) {
  return await withSnapshot(engine, 0, async (s) =>
    table(await s.fetch([id], { start, stepSeconds, width })),
  );
}

export function gaugesCases(f: Case): void {
  f("gauges: differences are added to the value before", async (world) => {
    let { engine } = world;
    let writer = await Writer.of(engine);
    const [id = 0] = await writer.put([by(newSeriesFlag, 5, [difference(10, 5)])], {
      newSeries: [key("stats.gauges.g")],
    });
    assert.deepEqual(await read(engine, id, [0, 10, 3]), [null, [1, 5, 5, 5, 5], null]);
    // +3, -10, +4, of which two are in one bucket.
    const two = difference(20, -7, { points: 2, sum: 3 + -7, min: -7, max: 3 });
    await writer.put([by(id, -3, [two, difference(21, -3)])]);
    const second = [2, 5 + 3 + 5 - 7, -2, 8, -2];
    assert.deepEqual(await read(engine, id, [20, 1, 2]), [second, [1, 2, 2, 2, 2]]);
    // Absolute, with differences before and after: those after are ordinary rows.
    const rows = columns([{ series: id, bucket: 31, points: 2, sum: 40 + 41, min: 40, max: 41, last: 41 }]);
    await writer.put([to(id, 41, [difference(30, 1)])], { deltas: rows });
    assert.deepEqual(await read(engine, id, [30, 1, 2]), [
      [1, 3, 3, 3, 3],
      [2, 81, 40, 41, 41],
    ]);
    await writer.store.close();
    engine = await world.reopen();
    writer = await Writer.of(engine);
    await writer.put([by(id, 1, [difference(40, 1)])]);
    // Named anew in a commit that knows no id: the same series.
    const again = await writer.put([by(newSeriesFlag, 1, [difference(41, 1)])], {
      newSeries: [key("stats.gauges.g")],
    });
    assert.deepEqual(again, [id]);
    assert.deepEqual(await read(engine, id, [40, 1, 2]), [
      [1, 42, 42, 42, 42],
      [1, 43, 43, 43, 43],
    ]);
    await upkeepUntilIdle(engine, { nowSeconds: 50, ladders: rulesOf("10s:1h,60s:1d"), all: true });
    assert.deepEqual(await read(engine, id, [40, 10, 1]), [[2, 85, 42, 43, 43]]);
    await writer.put([by(id, -43.5, [difference(50, -43.5)])]);
    assert.deepEqual(await read(engine, id, [50, 10, 1]), [[1, -0.5, -0.5, -0.5, -0.5]]);
    await writer.store.close();
  });

  f("gauges: a difference comes before the absolute value of its second", async ({ engine }) => {
    const writer = await Writer.of(engine);
    const [a = 0, b = 0] = await writer.put([to(newSeriesFlag, 100), to(newSeriesFlag + 1, 7)], {
      newSeries: [key("a"), key("b")],
    });
    const row = { series: a, bucket: 10, sum: 50, lastReceivedAtMs: 10_000 };
    const deltas = columns([{ series: b, bucket: 10, sum: 1 }, row]);
    const sketches = new Map([[0, Uint8Array.of(1, 0)]]);
    const given = { ...deltas, sketches };
    const copy = structuredClone(deltas);
    await writer.put([to(a, 50, [difference(10, 20), difference(11, 4)])], { deltas: given });
    assert.deepEqual(deltas, copy); // a commit may be tried again
    assert.deepEqual(await read(engine, a, [10, 1, 2]), [
      [2, 170, 50, 120, 50],
      [1, 104, 104, 104, 104],
    ]);
    assert.deepEqual(await read(engine, b, [10, 1, 2]), [[1, 1, 1, 1, 1], null]);
    // But one that is really later holds: frames may be out of order in time.
    const early = columns([{ series: a, bucket: 20, sum: 60, lastReceivedAtMs: 19_000 }]);
    await writer.put([to(a, 60, [difference(20, 1)])], { deltas: early });
    assert.deepEqual(await read(engine, a, [20, 1, 1]), [[2, 111, 51, 60, 51]]);
    await writer.put([by(a, 1, [difference(30, 1)]), by(b, 1, [difference(30, 1)])]);
    assert.deepEqual(await read(engine, a, [30, 1, 1]), [[1, 61, 61, 61, 61]]);
    assert.deepEqual(await read(engine, b, [30, 1, 1]), [[1, 8, 8, 8, 8]]);
    await writer.store.close();
  });

  f("gauges: a commit that is refused changes no value", async ({ engine }) => {
    const writer = await Writer.of(engine);
    const [id = 0] = await writer.put([to(newSeriesFlag, 5)], { newSeries: [key("g")] });
    const wrong = { gauges: [by(id, 1, [difference(10, 1)])] };
    assert.deepEqual(await writer.store.commit(commitOf(1, 0, 1, wrong)), { kind: "at", offset: 1 });
    assert.deepEqual(await writer.store.commit(commitOf(9, 1, 2, wrong)), { kind: "fenced", epoch: 1 });
    await writer.put([by(id, 1, [difference(10, 1)])]);
    assert.deepEqual(await read(engine, id, [10, 1, 1]), [[1, 6, 6, 6, 6]]);
    await writer.store.close();
  });

  f("gauges: a series that was deleted or retired begins at 0 again", async ({ engine }) => {
    const writer = await Writer.of(engine);
    const ladders = rulesOf("10s:1h");
    const change = (name: string, bucket: number) =>
      writer.put([by(newSeriesFlag, 5, [difference(bucket, 5)])], { newSeries: [key(name)] });
    const [deleted = 0] = await change("g;k=v", 10);
    await change("h", 10);
    await writer.store.deleteSeries(1, "t1", "g;*", 9);
    // Whoever still has its id reaches nobody, and leaves nothing behind.
    await writer.put([by(deleted, 5, [difference(10, 5)])]);
    const [id = 0] = await change("g;k=v", 20);
    assert.notEqual(id, deleted);
    assert.deepEqual(await read(engine, id, [20, 1, 1]), [[1, 5, 5, 5, 5]]);
    await upkeepUntilIdle(engine, { nowSeconds: 50, ladders, all: true });
    await writer.put([], { receivedAtMs: 9 * day * 1000 });
    await upkeepUntilIdle(engine, { nowSeconds: 9 * day, ladders, all: true });
    assert.equal((await writer.store.retire(1, 9 * day)).ids.length, 2);
    const [again = 0] = await change("h", 9 * day);
    assert.deepEqual(await read(engine, again, [9 * day, 1, 1]), [[1, 5, 5, 5, 5]]);
    await writer.store.close();
  });
}
