// A record whose every frame is known by its number, and what a store must show of it at any moment, however many times
// a part of it was replayed. Children live it and are killed over it (replay-child.ts).
//
// Frame n has a point in the range, one before it, and one of a gauge; the first one also a grid of points whose value is
// 0. A replay stages the frames again, but the grid with its id as the value: so the grid shows of which generation it
// is, and that it is of one. Its rows of the gauge are wrong: they must not count.
import assert from "node:assert/strict";
import type { StagedPart } from "../../src/store/replay-changes.ts";
import type { Commit, Snapshot } from "../../src/store/store.ts";
import { columns, commitOf, key, type RowInput } from "../contract/store-helpers.ts";
import { rulesOf, t0 } from "../contract/store-life.ts";

export const start = t0 - (t0 % 29_400);
export const range = { tenant: "t1", from: start, until: start + 8400, first: 1 };
export const task = {
  nowSeconds: start + 8400,
  ladders: rulesOf("10s:1d,60s:2d,600s:3d", { t1: [[0, { "^grid": "7s:1d,70s:2d" }]] }),
  all: false,
};
const gridSeries = 40;
const gridTimes = [70, 1000, 2000, 4000, 8399];

interface Row {
  name: string;
  at: number;
  sum: number;
}

function rowsOf(frame: number, generation: number): Row[] {
  const rows = [{ name: "in.s", at: start + ((frame * 613) % 8400), sum: 1 }];
  if (frame > 1) return rows;
  for (let i = 0; i < gridSeries; i++)
    for (const at of gridTimes) rows.push({ name: `grid.s${i}`, at: start + at, sum: generation });
  return rows;
}

function deltasOf(rows: readonly Row[]): Pick<Commit, "newSeries" | "deltas"> {
  return {
    newSeries: rows.map(({ name }) => key(name)),
    deltas: columns(rows.map(({ at, sum }, series): RowInput => ({ series, fresh: true, bucket: at, sum }))),
  };
}

export function commitAt(epoch: number, offset: number): Commit {
  const frame = offset + 1;
  const rows = [
    ...rowsOf(frame, 0),
    { name: "before.s", at: start - 1 - ((frame * 613) % 8400), sum: 1 },
    { name: "gauge.s", at: start + ((frame * 311) % 8400), sum: 1 },
  ];
  const gauges = [{ series: 0x8000_0000 + rows.length - 1, relative: [], value: 1, isRelative: false }];
  return commitOf(epoch, offset, frame, {
    receivedAtMs: task.nowSeconds * 1000,
    ...deltasOf(rows),
    gauges,
  });
}

export function partAt(id: number, from: number, to: number): StagedPart {
  const rows = [{ name: "gauge.s", at: start + 5, sum: 1000 }];
  for (let frame = from + 1; frame <= to; frame++) rows.push(...rowsOf(frame, id));
  return { from, to, ...deltasOf(rows) };
}

/** Answers the offset. */
export async function checkStory(snapshot: Snapshot, said: number): Promise<number> {
  const { offset } = await snapshot.state();
  assert.ok(offset >= said, `what was answered ok is there: ${said}, got ${offset}`);
  if (offset === 0) return 0;
  const read = async (name: string, from: number, stepSeconds: number) => {
    const ids = (await snapshot.findSeries("t1", name, 1000)).map(({ id }) => id);
    const first = from - (from % stepSeconds);
    return await snapshot.fetch(ids, {
      start: first,
      stepSeconds,
      width: Math.ceil(8400 / stepSeconds) + 1,
    });
  };
  const total = (column: Float64Array) => column.reduce((sum, points) => sum + points, 0);
  for (const stepSeconds of [10, 60, 600])
    for (const name of ["in.s", "before.s", "gauge.s"]) {
      const cells = await read(name, name === "before.s" ? start - 8400 : start, stepSeconds);
      assert.equal(total(cells.points), offset, `points of ${name} at step ${stepSeconds}`);
      assert.equal(total(cells.sum.map((sum) => sum || 0)), offset, `sum of ${name}`);
    }
  for (const stepSeconds of [7, 70]) {
    const cells = await read("grid.*", start, stepSeconds);
    assert.equal(total(cells.points), gridSeries * gridTimes.length, `the grid at step ${stepSeconds}`);
    const generations = new Set(cells.sum.filter((_, at) => (cells.points[at] ?? 0) > 0));
    assert.equal(generations.size, 1, `one generation of the grid, got ${[...generations].join()}`);
  }
  const { points } = await snapshot.tenantSize("t1");
  assert.equal(points, 3 * offset + gridSeries * gridTimes.length, "the tenant's points");
  return offset;
}
