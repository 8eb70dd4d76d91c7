import assert from "node:assert/strict";
import { test } from "node:test";
import { sizeKey } from "../../src/store/keys.ts";
import { encodeSize } from "../../src/store/size.ts";
import { freshWork } from "../../src/store/work.ts";
import { withStore } from "./shard-bench.ts";

const none = { series: 0, points: 0, bytes: 0, oldest: undefined, newest: undefined };

test("Z1: fragments and rows of blobs are added up, a row that a round has passed lies in a fragment", async () => {
  await withStore(async ({ name, size, upkeep }) => {
    assert.deepEqual(await size("t1"), none);
    const ids = await name(["a", "b", "t2 a"], { bucket: 100 });
    const [a = 0, b = 0, other = 0] = ids;
    const rows = [
      { series: a, bucket: 70, points: 3 },
      { series: b, bucket: 200, points: 4 },
      { series: other, bucket: 10, points: 5 },
    ];
    await name([], { rows });
    assert.deepEqual(await size("t1"), { series: 2, points: 9, bytes: 0, oldest: 70, newest: 200 });
    assert.deepEqual(await size("t2"), { series: 1, points: 6, bytes: 0, oldest: 10, newest: 100 });
    assert.deepEqual(await size("t"), none);
    // A round up to the first commit has done t1's block.
    const t1 = encodeSize({ bytes: 77, points: 2, oldest: 100, newest: 100 });
    await upkeep(
      { puts: [{ key: sizeKey("t1"), value: t1 }] },
      { ...freshWork(), round: { replay: undefined, until: 1, nextSeries: 32, piece: 1 } },
    );
    assert.deepEqual(await size("t1"), { series: 2, points: 9, bytes: 77, oldest: 70, newest: 200 });
    assert.deepEqual(await size("t2"), { series: 1, points: 6, bytes: 0, oldest: 10, newest: 100 });
  });
});

test("Z2: rows of deleted series don't count, those of their successors do", async () => {
  await withStore(async ({ store, epoch, name, size }) => {
    await name(["a", "b"], { bucket: 100 });
    await store.deleteSeries(epoch, "t1", "a", 1);
    assert.deepEqual(await size("t1"), { series: 1, points: 1, bytes: 0, oldest: 100, newest: 100 });
    await name(["a"], { bucket: 50 });
    assert.deepEqual(await size("t1"), { series: 2, points: 2, bytes: 0, oldest: 50, newest: 100 });
    await store.deleteSeries(epoch, "t1", "*", 9);
    assert.deepEqual(await size("t1"), none);
  });
});
