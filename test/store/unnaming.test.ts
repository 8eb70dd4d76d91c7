import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { activityKey, idsPerChunk, tableRange, u32OfKey } from "../../src/store/keys.ts";
import { decodeNumber } from "../../src/store/rows.ts";
import { withStore } from "./shard-bench.ts";

const day = 86_400;

/** Distinct prefixes of dotted names: the rows that their tree has. */
function treeRows(names: readonly string[]): number {
  const dotted = names.filter((name) => !name.includes(";"));
  const paths = dotted.map((name) => name.split("."));
  return new Set(paths.flatMap((path) => path.map((_, i) => path.slice(0, i + 1).join(".")))).size;
}

test("U1: what is deleted goes with the branches that held nothing else; an id is not given again", async () => {
  await withStore(async ({ store, epoch, name, names, count, view }) => {
    const ids = await name(["a", "a.b.c", "a.b.d", "a.x", "m;k=v", "m;k=w", "..", "t2 a.b.c"]);
    const f = async (pattern: string, gone: string[], left: string[]) => {
      const deleted = await store.deleteSeries(epoch, "t1", pattern, 100);
      assert.deepEqual(deleted.names, gone, pattern);
      assert.equal(deleted.ids.length, gone.length);
      assert.deepEqual(await names(), left.toSorted(), pattern);
      assert.equal(count("node"), treeRows(left) + 3, "and the three rows of t2's a.b.c");
      assert.equal(count("name"), left.length + 1);
    };
    await f("nosuch.*", [], ["a", "a.b.c", "a.b.d", "a.x", "m;k=v", "m;k=w", ".."]);
    await f("a.b.c", ["a.b.c"], ["a", "a.b.d", "a.x", "m;k=v", "m;k=w", ".."]);
    await f("a.*.*", ["a.b.d"], ["a", "a.x", "m;k=v", "m;k=w", ".."]);
    await f("m;k=v", ["m;k=v"], ["a", "a.x", "m;k=w", ".."]);
    await f("*", ["a"], ["a.x", "m;k=w", ".."]); // a leaf that is a branch stays a branch
    await f("*.*.*", [".."], ["a.x", "m;k=w"]);
    await f("{a,b}.*", ["a.x"], ["m;k=w"]);
    await f("m;k=*", ["m;k=w"], []);
    assert.deepEqual(await names("t2"), ["a.b.c"]);
    assert.equal(count("tagged"), 0);
    // Upkeep is told which fragments go, and which rows of blobs never become any.
    const purged = view((now) => now.range(tableRange("purge").start, tableRange("purge").end, 100));
    assert.deepEqual(
      purged.map((row) => [u32OfKey(row.key), decodeNumber(row.value)]),
      ids.slice(0, 7).map((id) => [id, 1]),
    );
    const again = await name(["a.b.c", "a"]);
    assert.ok(again.every((id) => !ids.includes(id)));
    assert.deepEqual(await names(), ["a", "a.b.c"]);
  });
});

test("deleting: at most `most`, with an old epoch nothing, and t1's only", async () => {
  await withStore(async ({ store, epoch, name, names }) => {
    await name([...Array.from({ length: 2500 }, (_, i) => `p.n${i}`), "t2 p.n1"]);
    assert.deepEqual(await store.deleteSeries(epoch - 1, "t1", "p.*", 10), {
      ids: new Uint32Array(0),
      names: [],
    });
    assert.equal((await names()).length, 2500);
    assert.equal((await store.deleteSeries(epoch, "t1", "p.*", 10)).names.length, 10);
    const { names: gone } = await store.deleteSeries(epoch, "t1", "p.*", 10_000);
    assert.equal(gone.length, 2490); // in more than one change
    assert.deepEqual(gone, gone.toSorted());
    assert.deepEqual(await store.deleteSeries(epoch, "nobody", "*", 10), {
      ids: new Uint32Array(0),
      names: [],
    });
    assert.deepEqual(await names("t2"), ["p.n1"]);
  });
});

test("I1: a series goes when its day is over and no blob has a row of it", async () => {
  await withStore(async ({ store, epoch, name, names, days, upkeep, view }) => {
    const [a = 0, b = 0, c = 0, d = 0] = await name(["a.over", "a.today", "a.never", "a.fed"], {});
    const today = 20_000;
    await days({ [a]: today - 1, [b]: today, [d]: today - 1 });
    const retire = async (expected: number[]) => {
      const { ids, more } = await store.retire(epoch, today * day + 5);
      assert.deepEqual([[...ids], more], [expected, false]);
    };
    await retire([]); // the blob of the first commit holds a row of each
    const { start, end } = tableRange("blob");
    await upkeep({ removes: view((now) => now.keys(start, end, 10)) });
    await name([], { rows: [{ series: d, bucket: 20 }] });
    assert.deepEqual([...(await store.retire(epoch - 1, today * day)).ids], []);
    await retire([a]);
    await retire([]);
    assert.deepEqual(await names(), ["a.fed", "a.never", "a.today"]);
    assert.ok(c > 0);
    // It comes again: with another id, which the old day says nothing about.
    const [again = 0] = await name(["a.over"]);
    assert.notEqual(again, a);
    await upkeep({ removes: view((now) => now.keys(start, end, 10)) });
    await retire([d]);
    assert.deepEqual(await names(), ["a.never", "a.over", "a.today"]);
  });
});

test("I2: retiring goes on where it stopped, past ids that went long ago", async () => {
  await withStore(async ({ store, epoch, name, names, upkeep, view, count }) => {
    const all = Array.from({ length: 5000 }, (_, i) => `p.n${i % 70}.m${i}`);
    const ids = await name(all);
    const { start, end } = tableRange("blob");
    await upkeep({ removes: view((now) => now.keys(start, end, 10)) });
    const over = Buffer.alloc(2 * idsPerChunk, 1); // day 257
    await upkeep({
      puts: [0, 1, 2, 3, 4].map((chunk) => ({ key: activityKey(chunk), value: over })),
    });
    const gone: number[] = [];
    let calls = 0;
    for (let more = true; more; calls++) {
      const retired = await store.retire(epoch, 300 * day);
      assert.ok(retired.ids.length <= 1000, "bounded work");
      gone.push(...retired.ids);
      more = retired.more;
    }
    assert.deepEqual([gone, calls], [ids, 6]);
    assert.deepEqual(await store.retire(epoch, 300 * day), { ids: new Uint32Array(0), more: false });
    assert.deepEqual(await names(), []);
    assert.deepEqual([count("node"), count("name"), count("tenant")], [0, 0, 0]);
  });
});

test("U2: a tenant whose last series goes is gone, and its ids are not given again", async () => {
  await withStore(async ({ store, epoch, name, count }) => {
    await name(["a", "t2 a"]);
    await store.deleteSeries(epoch, "t1", "*", 10);
    assert.equal(count("tenant"), 1);
    assert.deepEqual(await name(["b"]), [48], "of a block that nobody had");
  });
});

test("random names come and go: tree, count and names by id are always those of the living", async () => {
  const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const segment = () => ["a", "b", "c", "", "dd"][random.below(5)] ?? "";
  await withStore(async ({ store, epoch, name, names, count }) => {
    const living = new Set<string>();
    const given = new Set<number>();
    for (let round = 0; round < 40; round++) {
      const fresh = new Set<string>();
      for (let i = random.below(30); i > 0; i--) {
        const dotted = Array.from({ length: 1 + random.below(5) }, segment).join(".");
        const text = random.below(4) === 0 ? `${dotted || "m"};k=${segment()}x` : dotted;
        if (text !== "" && !living.has(text)) fresh.add(text);
      }
      for (const id of await name([...fresh])) {
        assert.ok(!given.has(id), `seed ${seed}: id ${id} is given once`);
        given.add(id);
      }
      for (const text of fresh) living.add(text);
      for (let i = random.below(5); i > 0; i--) {
        const wild = () => (random.below(2) === 0 ? "*" : segment());
        const dotted = Array.from({ length: 1 + random.below(5) }, wild).join(".");
        const pattern = random.below(4) === 0 ? `${dotted || "*"};k=*` : dotted;
        const { names: gone } = await store.deleteSeries(epoch, "t1", pattern, 1 + random.below(20));
        for (const text of gone) assert.ok(living.delete(text), `seed ${seed}: ${text} was there`);
      }
      const list = [...living];
      assert.deepEqual(await names(), list.sort(), `seed ${seed}, round ${round}`);
      assert.equal(count("node"), treeRows(list), `seed ${seed}, round ${round}: rows of the tree`);
      assert.equal(count("name"), list.length);
      assert.equal(count("tagged"), list.filter((text) => text.includes(";")).length);
    }
  });
});
