// Series that show several names (src/metric/outputs.ts): found, listed and deleted under the names they are read by.
// And what the limits ask: how many series a tenant has, and which names are living ones.
import assert from "node:assert/strict";
import { claimed, commitOf, committed, key, withSnapshot, type Case } from "./store-helpers.ts";
import { Owner, rulesOf, t0, upkeepUntilIdle } from "./store-life.ts";

const names = [
  "stats.counters.hits.\u0001c", // 16
  "stats.counters.hits.rate", // somebody sent it
  "stats.sets.users.\u0001s",
  "stats.timers.x.\u0001t", // 19
  "stats.timers.x.mean.more", // below what is an output as well
  "stats.timers.x.\u0001t;k=v",
  "stats.timers.y.\u0001t;k=v;z=a.b", // 22
  "stats.timers.x.plain;k=v",
  "stats.timers.x.lower;k=v",
  "\u0001c", // 25
  "stats.timers.z.\u0001t",
];

export function outputsCases(f: Case): void {
  f("outputs: nodes and series by their read names", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 1, { newSeries: names.map((name) => key(name)) }));
    await withSnapshot(engine, 0, async (snapshot) => {
      const nodes = async (pattern: string, expected: string[], most = 100) => {
        const found = await snapshot.findNodes("t1", pattern, most);
        const text = found.map((n) => `${n.path}${n.leaf ? "=" : ""}${n.branch ? "." : ""}`);
        assert.deepEqual(text, expected, pattern);
      };
      const series = async (pattern: string, expected: string[]) => {
        const found = await snapshot.findSeries("t1", pattern, 100);
        const text = found.map(
          ({ id, name, output }) => `${id} ${name}${output === undefined ? "" : ` ${output}`}`,
        );
        assert.deepEqual(text, expected, pattern);
      };
      await nodes("*", ["count=", "rate=", "stats."]);
      await nodes("stats.*", ["stats.counters.", "stats.sets.", "stats.timers."]);
      await nodes("stats.counters.hits.*", ["stats.counters.hits.count=", "stats.counters.hits.rate="]);
      await nodes("stats.sets.*.*", ["stats.sets.users.count="]);
      await nodes("stats.timers.*", ["stats.timers.x.", "stats.timers.z."]);
      await nodes("stats.timers.x.me*", [
        "stats.timers.x.mean=.",
        ...[90, 95, 99].map((p) => `stats.timers.x.mean_${p}=`),
        "stats.timers.x.median=",
      ]);
      await nodes("stats.timers.x.mean", ["stats.timers.x.mean=."]);
      await nodes("stats.timers.x.mean", ["stats.timers.x.mean=."], 1);
      await nodes("stats.timers.z.mean", ["stats.timers.z.mean="]);
      await nodes("stats.timers.x.mean.*", ["stats.timers.x.mean.more="]);
      await nodes("stats.timers.z.mean.*", []);
      await nodes("stats.timers.x.upper_99_9", ["stats.timers.x.upper_99_9="]);
      await nodes("stats.timers.x.upper_{50,100,99_9}", [
        "stats.timers.x.upper_50=",
        "stats.timers.x.upper_99_9=",
      ]);
      await nodes(
        "stats.timers.x.upper_9[0-9]",
        [90, 95, 99].map((p) => `stats.timers.x.upper_${p}=`),
      );
      await nodes("stats.timers.x.\u0001t", []);
      await nodes("stats.timers.x.\u0001*", []);
      await nodes("\u0001c", []);
      await nodes("stats.*.*.count", [
        "stats.counters.hits.count=",
        "stats.sets.users.count=",
        "stats.timers.x.count=",
        "stats.timers.z.count=",
      ]);
      await nodes("stats.timers.x.lower;k=v", ["stats.timers.x.lower;k=v="]);
      await nodes("stats.timers.y.count;k=*", ["stats.timers.y.count;k=v;z=a.b="]);
      assert.equal((await snapshot.findNodes("t1", "stats.timers.x.*", 100)).length, 24);
      assert.equal((await snapshot.findNodes("t1", "stats.timers.*.*", 30)).length, 30);
      assert.equal((await snapshot.findNodes("t1", "stats.timers.x.*", 5)).length, 5);

      await series("rate", ["25 rate rate"]);
      await series("stats.counters.hits.count", ["16 stats.counters.hits.count count"]);
      // Both; what was sent comes first.
      await series("stats.counters.hits.rate", [
        "17 stats.counters.hits.rate",
        "16 stats.counters.hits.rate rate",
      ]);
      await series("stats.counters.*.*", [
        "16 stats.counters.hits.count count",
        "17 stats.counters.hits.rate",
        "16 stats.counters.hits.rate rate",
      ]);
      await series("stats.counters.hits.mean", []);
      await series("stats.counters.hits.c", []);
      await series("stats.counters.hits.\u0001c", []);
      await series("stats.counters.hits.\u0001?", []);
      await series("stats.counters.hits.[\u0001]*", []);
      await series(
        "stats.timers.[xz].up*_9?",
        ["x", "z"].flatMap((x) =>
          [90, 95, 99].map((p) => `${x === "x" ? 19 : 26} stats.timers.${x}.upper_${p} upper_${p}`),
        ),
      );
      await series("stats.timers.x.upper_12_5", ["19 stats.timers.x.upper_12_5 upper_12_5"]);
      await series("stats.timers.x.upper_0", []);
      await series("stats.timers.{x,z}.{sum_7,upper_100}", [
        "19 stats.timers.x.sum_7 sum_7",
        "26 stats.timers.z.sum_7 sum_7",
      ]);
      await series("stats.timers.x.mean;k=v", ["21 stats.timers.x.mean;k=v mean"]);
      await series("stats.timers.x.lower;k=v", [
        "24 stats.timers.x.lower;k=v",
        "21 stats.timers.x.lower;k=v lower",
      ]);
      await series("stats.timers.x.l*;k=*", [
        "24 stats.timers.x.lower;k=v",
        "21 stats.timers.x.lower;k=v lower",
      ]);
      await series("stats.timers.x.p*;k=*", ["23 stats.timers.x.plain;k=v"]);
      await series("stats.timers.x.mean_33;k=v", ["21 stats.timers.x.mean_33;k=v mean_33"]);
      await series("stats.timers.x.mean_33;k=?", ["21 stats.timers.x.mean_33;k=v mean_33"]);
      await series("stats.timers.?.mean_33;*", [
        "21 stats.timers.x.mean_33;k=v mean_33",
        "22 stats.timers.y.mean_33;k=v;z=a.b mean_33",
      ]);
      await series("*.*.*.std;*z=a.b", ["22 stats.timers.y.std;k=v;z=a.b std"]);
      await series("stats.timers.x.\u0001t;k=v", []);
      await series("stats.timers.x.[\u0001]t;k=v", []);
      assert.equal((await snapshot.findSeries("t1", "stats.timers.x.*", 7)).length, 7);
      assert.equal((await snapshot.findSeries("t1", "stats.timers.*.*;*", 50)).length, 50);
      assert.deepEqual(await snapshot.findSeries("t2", "*.*.*.*", 9), []);
    });
    await store.close();
  });

  f("outputs: of more series than fit a page", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const many = Array.from({ length: 1200 }, (_, i) => `stats.timers.n${String(i).padStart(4, "0")}`);
    const plain = Array.from({ length: 600 }, (_, i) => `stats.timers.n0000.u${String(i).padStart(4, "0")}`);
    const stored = many.flatMap((name) => [`${name}.\u0001t`, `${name}.\u0001t;k=v`]);
    await committed(
      store,
      commitOf(epoch, 0, 1, { newSeries: [...stored, ...plain].map((name) => key(name)) }),
    );
    await withSnapshot(engine, 0, async (snapshot) => {
      const f = async (pattern: string, expected: string[]) => {
        const found = await snapshot.findSeries("t1", pattern, 100_000);
        assert.deepEqual(
          found.map(({ name }) => name),
          expected,
          pattern,
        );
        const nodes = await snapshot.findNodes("t1", pattern, 100_000);
        assert.deepEqual(
          nodes.map(({ path }) => path),
          expected,
          pattern,
        );
      };
      await f(
        "stats.timers.*.std",
        many.map((name) => `${name}.std`),
      );
      await f(
        "stats.timers.*.std;k=v",
        many.map((name) => `${name}.std;k=v`),
      );
      await f(
        "stats.timers.n0*7.upper_42;*",
        many.filter((name) => /n0.*7$/.test(name)).map((name) => `${name}.upper_42;k=v`),
      );
      await f("stats.timers.n0000.u*", [
        ...plain,
        ...["upper", "upper_90", "upper_95", "upper_99"].map((o) => `stats.timers.n0000.${o}`),
      ]);
      await f(
        `stats.timers.n0000.{${Array.from({ length: 700 }, (_, i) => `u${String(i).padStart(4, "0")}`).join(",")},upper_1}`,
        [...plain, "stats.timers.n0000.upper_1"],
      );
    });
    await store.close();
  });

  f("outputs: deleting one of them deletes the series, once", async (world) => {
    const owner = await Owner.of(world.engine);
    const { store, epoch } = owner;
    const put = async () => {
      await owner.put(t0, ...names.map((name) => ({ name, at: t0 })));
    };
    const deleted = async (pattern: string, most: number, expected: string[]) => {
      const { ids, names: gone } = await store.deleteSeries(epoch, "t1", pattern, most);
      assert.deepEqual(gone, expected, pattern);
      assert.equal(new Set(ids).size, expected.length);
    };
    await put();
    await deleted("stats.counters.hits.\u0001c", 10, []);
    await deleted("stats.counters.hits.rate", 10, ["stats.counters.hits.rate", "stats.counters.hits.rate"]);
    await deleted("stats.counters.*.*", 10, []);
    await put();
    // As many series as asked, not as many names.
    assert.equal((await store.deleteSeries(epoch, "t1", "stats.timers.*.*", 1)).names.length, 1);
    assert.equal((await store.deleteSeries(epoch, "t1", "stats.timers.*.*", 5)).names.length, 1);
    await deleted("stats.timers.*.*", 5, []);
    await deleted("stats.timers.*.m*;*", 5, ["stats.timers.x.mean;k=v", "stats.timers.y.mean;k=v;z=a.b"]);
    await deleted("stats.timers.x.up*;k=v", 5, []);
    await put();
    await deleted("stats.timers.x.upper_12;k=v", 5, ["stats.timers.x.upper_12;k=v"]);
    await deleted("stats.timers.x.mean", 5, ["stats.timers.x.mean"]);
    assert.deepEqual(
      (await withSnapshot(world.engine, 0, (s) => s.findNodes("t1", "stats.timers.x.*", 9))).map(
        ({ path }) => path,
      ),
      ["stats.timers.x.mean"],
    ); // a branch
    await upkeepUntilIdle(world.engine, { nowSeconds: t0, ladders: rulesOf("10s:1h"), all: true });
    assert.equal(await store.tenantSeries("t1"), names.length - 2);
    await store.close();
  });

  f("tenantSeries and named: living series, by tenant", async (world) => {
    const owner = await Owner.of(world.engine);
    let { store } = owner;
    const living = async (expected: [t1: number, t2: number]) => {
      assert.deepEqual([await store.tenantSeries("t1"), await store.tenantSeries("t2")], expected);
    };
    const asked = [
      "a",
      "a.b",
      "a.b.c",
      "m;k=v",
      "m",
      "m;k",
      "stats.x.\u0001t",
      "stats.x.mean",
      "stats.x",
      "",
      "x".repeat(3000),
    ];
    const named = async (tenant: string, expected: string[]) => {
      const answers = await store.named(
        tenant,
        asked.map((name) => key(name).name),
      );
      assert.deepEqual(
        asked.filter((_, i) => answers[i] === true),
        expected,
      );
      assert.equal(answers.length, asked.length);
    };
    await living([0, 0]);
    await named("t1", []);
    const puts = ["a.b", "a.b.c", "m;k=v", "stats.x.\u0001t"].map((name) => ({ name, at: t0 }));
    await owner.put(t0, ...puts, { name: "a", tenant: "t2", at: t0 });
    await owner.put(t0, ...puts); // no new ones
    await living([4, 1]);
    await named("t1", ["a.b", "a.b.c", "m;k=v", "stats.x.\u0001t"]);
    await named("t2", ["a"]);
    await named("t3", []);
    assert.deepEqual(await store.named("t1", []), []);
    await store.deleteSeries(owner.epoch, "t1", "a.b", 9);
    await living([3, 1]);
    await named("t1", ["a.b.c", "m;k=v", "stats.x.\u0001t"]);
    await store.deleteSeries(owner.epoch, "t1", "stats.x.std", 9);
    await store.deleteSeries(owner.epoch, "t2", "a", 9);
    await living([2, 0]);
    await named("t2", []);
    await store.close();
    store = await (await world.reopen()).openShard(0);
    await living([2, 0]);
    await named("t1", ["a.b.c", "m;k=v"]);
    await store.close();
  });
}
