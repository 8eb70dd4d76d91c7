// Sketches: they stay with their (series, bucket), wherever upkeep takes it, and come merged by cell when asked for.
import assert from "node:assert/strict";
import { decodeSketch, encodeSketch, type SketchKind } from "../../src/metric/sketch.ts";
import { compileLadderRules } from "../../src/metric/ladder-rules.ts";
import type { Cells, StoreEngine } from "../../src/store/store.ts";
import { columns, commitOf, committed, key, withSnapshot, type Case } from "./store-helpers.ts";
import { day, hour, ladderOf, Owner, rulesOf, t0, upkeepUntilIdle } from "./store-life.ts";

const ladders = rulesOf("10s:1h,60s:1d,600s:7d");

export function sketchOf(counts: Record<number, number>, kind: SketchKind = "quantile"): Uint8Array {
  const keys = Object.keys(counts)
    .map(Number)
    .sort((a, b) => a - b);
  return encodeSketch({
    kind,
    keys: Int32Array.from(keys),
    counts: Float64Array.from(keys, (k) => counts[k] ?? 0),
  });
}

/** As `cell key=count ...`, a line for each cell that has one. */
export function sketchTexts({ sketches }: Cells): string[] {
  assert(sketches !== undefined, "sketches were asked for");
  return [...sketches].sort(([a], [b]) => a - b).map(([cell, bytes]) => `${cell} ${textOf(bytes)}`);
}

function textOf(bytes: Uint8Array): string {
  const sketch = decodeSketch(bytes);
  if (sketch === undefined) return "none";
  return Array.from(sketch.keys, (k, i) => `${k}=${sketch.counts[i]}`).join(" ");
}

interface SketchPut {
  name: string;
  at: number;
  sketch?: Uint8Array;
}

async function put(owner: Owner, nowSeconds: number, ...puts: SketchPut[]): Promise<number[]> {
  const sketches = new Map<number, Uint8Array>();
  for (const [row, { sketch }] of puts.entries()) if (sketch !== undefined) sketches.set(row, sketch);
  return await committed(
    owner.store,
    commitOf(owner.epoch, owner.offset, ++owner.offset, {
      receivedAtMs: nowSeconds * 1000,
      newSeries: puts.map(({ name }) => key(name)),
      deltas: { ...columns(puts.map(({ at }, series) => ({ series, fresh: true, bucket: at }))), sketches },
    }),
  );
}

type Grid = readonly [start: number, stepSeconds: number, width: number];

async function read(
  engine: StoreEngine,
  ids: readonly number[],
  [start, stepSeconds, width]: Grid,
): Promise<string[]> {
  return await withSnapshot(engine, 0, async (s) =>
    sketchTexts(await s.fetch(ids, { start, stepSeconds, width }, ["sketch"])),
  );
}

export function sketchesCases(f: Case): void {
  f("sketches: merged by cell, before and after upkeep, late ones too", async (world) => {
    const { engine } = world;
    const owner = await Owner.of(engine);
    const a = (at: number, counts: Record<number, number>) => ({ name: "x.a", at, sketch: sketchOf(counts) });
    const [id = 0, plain = 0, other = 0] = await put(
      owner,
      t0,
      a(t0, { 1: 1, 5: 2 }),
      { name: "x.plain", at: t0 },
      { name: "x.other", at: t0 + 3, sketch: sketchOf({ [-3]: 0.1 }) },
    );
    await put(owner, t0, a(t0 + 9, { 5: 1 }), a(t0 + 10, { 7: 1 }), { name: "x.a", at: t0 + 11 });
    const asked = [other, id, plain, id, 9999];
    const fine: Grid = [t0, 10, 3];
    const expected = ["0 -3=0.1", "3 1=1 5=3", "4 7=1", "9 1=1 5=3", "10 7=1"];
    assert.deepEqual(await read(engine, asked, fine), expected);
    const go = async () => await upkeepUntilIdle(engine, { nowSeconds: t0 + 60, ladders, all: true });
    await go();
    assert.deepEqual(await read(engine, asked, fine), expected);
    await put(owner, t0 + 60, a(t0 + 2, { 5: 4 }), a(t0 + 59, { 6: 0.5 }));
    const late = ["0 1=1 5=7", "1 7=1", "5 6=0.5"];
    for (const rest of [false, true]) {
      if (rest) await go();
      assert.deepEqual(await read(engine, [id], [t0, 10, 6]), late);
      assert.deepEqual(await read(engine, [id], [t0, 60, 1]), ["0 1=1 5=7 6=0.5 7=1"]);
      assert.deepEqual(await read(engine, [id], [t0, 600, 1]), ["0 1=1 5=7 6=0.5 7=1"]);
      assert.deepEqual(await read(engine, [id], [t0 + 10, 10, 4]), ["0 7=1"]);
      assert.deepEqual(await read(engine, [plain], [t0, 600, 1]), []);
    }
    await withSnapshot(engine, 0, async (s) => {
      const range = { start: t0, stepSeconds: 600, width: 1 };
      assert.equal((await s.fetch([id], range)).sketches, undefined);
      const { sketches, max, sum } = await s.fetch([id], range, ["sketch", "sum"]);
      assert.deepEqual([sketches?.size, max.length, sum[0]], [1, 0, 6]);
      assert.deepEqual([...((await s.fetch([], range, ["sketch"])).sketches ?? [])], []);
    });
    await owner.store.close();
    const again = await world.reopen();
    assert.deepEqual(await read(again, [id], [t0, 10, 6]), late);
  });

  f("sketches: sets keep the greater count", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const [id = 0] = await put(owner, t0, { name: "s", at: t0, sketch: sketchOf({ 1: 3, 9: 1 }, "set") });
    await put(owner, t0, { name: "s", at: t0 + 1, sketch: sketchOf({ 1: 2, 9: 5 }, "set") });
    assert.deepEqual(await read(engine, [id], [t0, 10, 1]), ["0 1=3 9=5"]);
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    assert.deepEqual(await read(engine, [id], [t0, 10, 1]), ["0 1=3 9=5"]);
    await owner.store.close();
  });

  f("sketches: what is none is left out", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const [a = 0, b = 0] = await put(
      owner,
      t0,
      { name: "a", at: t0, sketch: Uint8Array.of(9, 9, 9) },
      { name: "b", at: t0, sketch: new Uint8Array() },
    );
    await put(owner, t0, { name: "a", at: t0, sketch: sketchOf({ 1: 1 }) });
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await read(engine, [a, b], [t0, 10, 1]), ["0 1=1"]);
      await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    }
    await owner.store.close();
  });

  f("sketches: many small commits, late ones, more parts than are held at once", async ({ engine }) => {
    const owner = await Owner.of(engine);
    let ids: number[] = [];
    for (let i = 0; i < 70; i++) {
      const at = t0 + ((i * 37) % 200);
      const puts = ["a", "b", "c"].map((name, n) => ({
        name,
        at,
        sketch: sketchOf({ [n]: 1, [100 + i]: 2 }),
      }));
      ids = await put(owner, t0 + 200, ...puts, { name: "plain", at });
    }
    const all = [0, 1, 2].map((n) =>
      [`${n} ${n}=70`, ...Array.from({ length: 70 }, (_, i) => `${100 + i}=2`)].join(" "),
    );
    const whole: Grid = [t0, 600, 1];
    assert.deepEqual(await read(engine, ids, whole), all);
    const fine = await read(engine, ids, [t0, 10, 60]);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 200, ladders, all: false });
    assert.deepEqual(await read(engine, ids, whole), all);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 200, ladders, all: true });
    assert.deepEqual(await read(engine, ids, whole), all);
    assert.deepEqual(await read(engine, ids, [t0, 10, 60]), fine);
    await owner.store.close();
  });

  f("sketches: they end with their rung, and with their series", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const names = ["a", "b"];
    const puts = (at: number) => names.map((name) => ({ name, at, sketch: sketchOf({ 1: 1 }) }));
    const go = async (nowSeconds: number) =>
      await upkeepUntilIdle(engine, { nowSeconds, ladders, all: true });
    const bytes = async () => (await withSnapshot(engine, 0, (s) => s.tenantSize("t1"))).bytes;
    const [a = 0, b = 0] = await put(owner, t0, ...puts(t0));
    await go(t0);
    const before = await bytes();
    const later = t0 + 5 * hour;
    await put(owner, later, ...puts(later));
    await go(later);
    assert.deepEqual(await read(engine, [a], [t0, 10, 6]), ["0 1=1"]); // from the rung of 60 s
    await put(owner, later, ...puts(t0));
    await go(later);
    assert.deepEqual(await read(engine, [a], [t0, 60, 1]), ["0 1=2"]);
    assert.ok((await bytes()) > before);
    await owner.store.deleteSeries(owner.epoch, "t1", "a", 9);
    await put(owner, later, { name: "a", at: t0, sketch: sketchOf({ 9: 9 }) });
    await go(later);
    assert.deepEqual(await read(engine, [a, b], [t0, 600, 1]), ["1 1=2"]);
    const end = t0 + 30 * day;
    await put(owner, end, { name: "c", at: end - 60 * day });
    await go(end);
    assert.deepEqual(await read(engine, [a, b], [t0 - (t0 % day), day, 2]), []);
    assert.equal(await bytes(), 0);
    await owner.store.close();
  });

  f("sketches: each under the ladder of its own time", async ({ engine }) => {
    const owner = await Owner.of(engine);
    const rules = compileLadderRules(
      2,
      ladderOf("10s:1d"),
      new Map([
        [
          "t1",
          [0, t0 + 100, t0 + 200].map((fromSeconds, i) => ({
            fromSeconds,
            rules: [{ name: "r", pattern: ".", ladder: ladderOf(i === 1 ? "7s:1h,49s:1d" : "10s:1d") }],
          })),
        ],
      ]),
    );
    const times = [90, 101, 150, 201, 260].map((at) => t0 + at);
    const puts = times.map((at, i) => ({ name: "x", at, sketch: sketchOf({ [i]: 1 }) }));
    const [id = 0] = await put(owner, t0 + 300, ...puts);
    await upkeepUntilIdle(engine, { nowSeconds: t0 + 300, ladders: rules, all: true });
    assert.deepEqual(await read(engine, [id], [t0, 600, 1]), ["0 0=1 1=1 2=1 3=1 4=1"]);
    // The bucket of 7 s that holds second 101 begins before 100.
    assert.equal((await read(engine, [id], [t0, 10, 30])).length, 4);
    await owner.store.close();
  });
}
