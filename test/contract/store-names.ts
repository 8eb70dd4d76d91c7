// Names: ids once given, finding by pattern, tenants apart.
import assert from "node:assert/strict";
import { claimed, commitOf, committed, key, withSnapshot, type Case } from "./store-helpers.ts";

export function namesCases(f: Case): void {
  f("C5: names have one id, also after opening anew", async (world) => {
    let { engine } = world;
    let store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const wide = "w".repeat(1000);
    const deep = Array.from({ length: 500 }, () => "d").join("."); // 999 bytes, 500 nodes
    const names = [
      "a",
      "a.b",
      "a.b.c",
      wide,
      deep,
      "m;k=v",
      "m;k=v.w",
      `t;k=${"v".repeat(996)}`,
      "ä.ö",
      "..",
      "a..b",
    ];
    const all = names.map((name) => key(name));
    assert.deepEqual(
      await committed(store, commitOf(epoch, 0, 1, { newSeries: [...all, key("a.b"), key("m;k=v")] })),
      [...names.keys(), 1, 5].map((i) => i + 16), // the same name twice is the same series
    );
    await committed(store, commitOf(epoch, 1, 2, { newSeries: [key("a", "t2")] }));
    await store.close();
    engine = await world.reopen();
    store = await engine.openShard(0);
    const again = await claimed(store);
    assert.equal(again.offset, 2);
    assert.deepEqual(
      await committed(
        store,
        commitOf(again.epoch, 2, 3, { newSeries: [key("new"), ...all.toReversed(), key("a", "t2")] }),
      ),
      [27, ...[...names.keys()].map((i) => i + 16).toReversed(), 32],
    );
    await withSnapshot(engine, 0, async (snapshot) => {
      for (const [i, name] of names.entries())
        assert.deepEqual(await snapshot.findSeries("t1", name, 10), [{ id: i + 16, name }], name);
      assert.deepEqual(await snapshot.tenants(), ["t1", "t2"]);
    });
    await store.close();
  });

  f("named: each name by itself, whatever was asked before it", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const deep = Array.from({ length: 500 }, () => "d").join(".");
    const names = ["a", "a.b", "a.b.c", "x.y.z", "..", "q..b", deep, "m;k=v", "m;k=v.w", "ä.ö"];
    const strangers = ["b", "x", "x.y", "a.b.d", "a.c", "x.y.z.z", "", ".", ".a", "q.b", "q.", `${deep}.d`];
    strangers.push("m;k=w", "m", "y.z", "z.x.y.z", "ä.o", "a.", ".a.b");
    await committed(store, commitOf(epoch, 0, 1, { newSeries: names.map((name) => key(name)) }));
    await committed(store, commitOf(epoch, 1, 2, { newSeries: [key("b", "t2")] }));
    const ask = (asked: string[], tenant = "t1") =>
      store.named(
        tenant,
        asked.map((name) => Buffer.from(name)),
      );
    const mixed = [...names, ...strangers].sort((a, b) => ((a.length * 7) % 5) - ((b.length * 7) % 5));
    assert.deepEqual(
      await ask(mixed),
      mixed.map((name) => names.includes(name)),
    );
    assert.deepEqual(
      await ask([...names, ...names]),
      [...names, ...names].map(() => true),
    );
    assert.deepEqual(await ask(["a", "b"], "t2"), [false, true]);
    assert.deepEqual(await ask(["a"], "t3"), [false]);
    assert.deepEqual(await ask([]), []);
    assert.deepEqual([await store.tenantSeries("t1"), await store.tenantSeries("t3")], [names.length, 0]);
    await store.close();
  });

  f("find: nodes and series by pattern", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const names = [
      "web.a.cpu",
      "web.a.mem",
      "web.b.cpu",
      "web.b", // leaf and branch
      "web",
      "webx",
      "db.1",
      "db.2",
      "db.10",
      "ä.\u{1f600}.x",
      "ä.\u{ffee}.x",
      "a.b?",
      "a.bc",
      "a.{x}",
      "a.x",
      "a.[y",
      "disk.used;host=a.b;unit=*",
      "disk.used;host=ax",
      "disk.used",
    ];
    await committed(store, commitOf(epoch, 0, 1, { newSeries: names.map((name) => key(name)) }));
    await withSnapshot(engine, 0, async (snapshot) => {
      const nodes = async (pattern: string, expected: string[]) => {
        const found = await snapshot.findNodes("t1", pattern, 100);
        const text = found.map((n) => `${n.path}${n.leaf ? "=" : ""}${n.branch ? "." : ""}`);
        assert.deepEqual(text, expected, pattern);
      };
      const series = async (pattern: string, expected: string[]) => {
        const found = await snapshot.findSeries("t1", pattern, 100);
        assert.deepEqual(
          found.map(({ name }) => name),
          expected,
          pattern,
        );
        for (const { id, name } of found) assert.equal(names[id - 16], name);
      };
      await nodes("*", ["a.", "db.", "disk.", "web=.", "webx=", "ä."]);
      await nodes("we*", ["web=.", "webx="]);
      await nodes("web.*", ["web.a.", "web.b=."]);
      await nodes("web.b", ["web.b=."]);
      await nodes("web.*.cpu", ["web.a.cpu=", "web.b.cpu="]);
      await nodes("web.*.*.*", []);
      await nodes("nosuch.*", []);
      await nodes("{db,web}.{1,a}", ["db.1=", "web.a."]);
      await nodes("db.?", ["db.1=", "db.2="]);
      await nodes("db.[!1]*", ["db.2="]);
      await nodes("WEB", []);
      await nodes("ä.*", ["ä.\u{ffee}.", "ä.\u{1f600}."]); // as their bytes sort
      await nodes("ä.?.x", ["ä.\u{ffee}.x=", "ä.\u{1f600}.x="]);
      await series("web", ["web"]);
      await series("web.*", ["web.b"]);
      await series("web.*.*", ["web.a.cpu", "web.a.mem", "web.b.cpu"]);
      await series("web.a", []);
      await series("db.*", ["db.1", "db.10", "db.2"]);
      await series("a.b?", ["a.b?", "a.bc"]);
      await series("a.{x}", ["a.x", "a.{x}"]);
      await series("a.[y", ["a.[y"]);
      await series("a.{x,{y}}", []);
      await series("disk.used", ["disk.used"]);
      await series("disk.*", ["disk.used"]);
      await series("disk.used;host=a.b;unit=*", ["disk.used;host=a.b;unit=*"]);
      await series("disk.used;host=*", ["disk.used;host=a.b;unit=*", "disk.used;host=ax"]);
      await series("*.*;host=a?", ["disk.used;host=ax"]);
      await nodes("disk.used;host=ax", ["disk.used;host=ax="]);
      await nodes("disk.used;host=a.b;unit=*", ["disk.used;host=a.b;unit=*="]);
      await series("", []);
      await series("x".repeat(3000), []);
      await series(`${"x".repeat(3000)}*`, []);
      await series(`${"x".repeat(3000)};a=b`, []);
      await series(`${"*.".repeat(3000)}*`, []);
      assert.equal((await snapshot.findNodes("t1", "*", 2)).length, 2);
      assert.equal((await snapshot.findSeries("t1", "web.*.*", 2)).length, 2);
      assert.equal((await snapshot.findSeries("t1", "*.*;*", 1)).length, 1);
      assert.deepEqual(await snapshot.findSeries("t1", "web.*.*", 0), []);
    });
    await store.close();
  });

  f("find: more names than fit a page", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const names = Array.from({ length: 2500 }, (_, i) => `p.n${String(i).padStart(4, "0")}.v`);
    const tagged = Array.from({ length: 1500 }, (_, i) => `p;n=${String(i).padStart(4, "0")}`);
    await committed(store, commitOf(epoch, 0, 1, { newSeries: [...names, ...tagged].map((n) => key(n)) }));
    await withSnapshot(engine, 0, async (snapshot) => {
      const f = async (pattern: string, expected: string[]) => {
        const found = await snapshot.findSeries("t1", pattern, 10_000);
        assert.deepEqual(
          found.map(({ name }) => name),
          expected,
          pattern,
        );
      };
      await f("p.*.v", names);
      await f(
        "p.n*7.v",
        names.filter((name) => name.endsWith("7.v")),
      );
      await f(`p.{${names.map((name) => name.slice(2, 7)).join(",")}}.*`, names);
      await f("p;n=*", tagged);
      await f(
        "p;n=*7",
        tagged.filter((name) => name.endsWith("7")),
      );
      assert.equal((await snapshot.findNodes("t1", "p.*", 10_000)).length, 2500);
    });
    await store.close();
  });

  f("tenants can't see each other", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const newSeries = [
      key("a.b", "t1"),
      key("a.b", "t2"),
      key("a.c", "t2"),
      key("m;k=v", "t2"),
      key("x", "t"),
    ];
    assert.deepEqual(await committed(store, commitOf(epoch, 0, 1, { newSeries })), [16, 32, 33, 34, 48]);
    await withSnapshot(engine, 0, async (snapshot) => {
      assert.deepEqual(await snapshot.findSeries("t1", "*.*", 9), [{ id: 16, name: "a.b" }]);
      assert.deepEqual(await snapshot.findSeries("t1", "a.c", 9), []);
      assert.deepEqual(await snapshot.findSeries("t1", "m;k=v", 9), []);
      assert.deepEqual(await snapshot.findSeries("t1", "*;*", 9), []);
      assert.deepEqual(await snapshot.findNodes("t1", "*", 9), [{ path: "a", leaf: false, branch: true }]);
      assert.deepEqual(await snapshot.findSeries("t2", "*.*", 9), [
        { id: 32, name: "a.b" },
        { id: 33, name: "a.c" },
      ]);
      assert.deepEqual(await snapshot.findNodes("nobody", "*", 9), []);
      assert.deepEqual((await snapshot.tenants()).toSorted(), ["t", "t1", "t2"]);
    });
    await store.close();
  });
}
