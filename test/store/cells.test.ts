import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyCells, giveBack } from "../../src/store/cells.ts";

test("cells made of memory that was given back are as empty as others", () => {
  const range = { start: 0, stepSeconds: 10, width: 100 };
  const used = emptyCells(3, range);
  for (const column of [used.points, used.sum, used.min, used.max, used.last]) column.fill(7);
  giveBack(used);
  giveBack(used);
  const fresh = emptyCells(2, range);
  const other = emptyCells(2, range);
  for (const cells of [fresh, other]) {
    for (const column of [cells.points, cells.sum]) assert.deepEqual(column, new Float64Array(200));
    for (const column of [cells.min, cells.max, cells.last])
      assert.deepEqual(column, new Float64Array(200).fill(Number.NaN));
  }
  assert.equal(fresh.points.buffer, used.points.buffer, "the memory is used again");
  const buffers = [fresh, other].flatMap((cells) => [
    cells.points,
    cells.sum,
    cells.min,
    cells.max,
    cells.last,
  ]);
  assert.equal(new Set(buffers.map(({ buffer }) => buffer)).size, buffers.length, "by one at a time");
});
