// What the buckets of every bus must do; part of the contract in bus.ts.
import assert from "node:assert/strict";
import { isOutage } from "../../src/base/errors.ts";
import { bytes, connectedAgain, text, watchWords } from "../bus/listen.ts";
import { type BusWorld, cases, outage } from "./bus-world.ts";

/** What those that settled gave; the others lost their compare-and-set. */
async function winners(tries: Promise<number>[]): Promise<number[]> {
  const all = await Promise.allSettled(tries);
  for (const each of all)
    if (each.status === "rejected") assert.ok(isOutage(each.reason, "revision-conflict"));
  return all.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
}

export function kvContract(name: string, makeWorld: () => Promise<BusWorld>): void {
  const f = cases(name, makeWorld);

  f("kv: create, get, update and delete compare and set", async (_, bus) => {
    const kv = await bus.kv("ONE");
    assert.equal(await kv.get("a"), undefined);
    const first = await kv.create("a", bytes("1"));
    await outage("revision-conflict", kv.create("a", bytes("2")));
    assert.deepEqual(text((await kv.get("a"))?.value), "1");
    const second = await kv.update("a", bytes("2"), first);
    assert.ok(second > first);
    await outage("revision-conflict", kv.update("a", bytes("3"), first));
    const third = await kv.put("a", bytes("3"));
    const entry = await kv.get("a");
    assert.deepEqual([entry?.key, text(entry?.value), entry?.revision], ["a", "3", third]);
    await kv.delete("a");
    assert.equal(await kv.get("a"), undefined);
    await outage("revision-conflict", kv.update("a", bytes("4"), third));
    assert.ok((await kv.create("a", bytes("5"))) > third);
    assert.equal(await (await bus.kv("TWO")).get("a"), undefined);
  });

  f("kv: of many that create or update at once, one wins", async (world, bus) => {
    const other = await world.another();
    const kvs = [await bus.kv("ONE"), await other.kv("ONE")];
    const [created, ...more] = await winners(
      [1, 2, 3, 4, 5].flatMap((n) => kvs.map((kv) => kv.create("a", bytes(`${n}`)))),
    );
    assert.ok(created !== undefined && more.length === 0);
    const updated = await winners(
      [1, 2, 3].flatMap((n) => kvs.map((kv) => kv.update("a", bytes(`${n}`), created))),
    );
    assert.equal(updated.length, 1);
    await other.close();
  });

  f("kv: any text is a key", async (_, bus) => {
    const kv = await bus.kv("ONE");
    const keys = [
      "plain",
      "a.b.c",
      ".",
      "..",
      "a..b",
      ".a",
      "a.",
      "Zürich 8001",
      "a*",
      ">",
      "a=2E",
      "=",
      "%",
      "🚂",
      "$x/y\n",
    ];
    for (const [n, key] of keys.entries()) await kv.create(key, bytes(`${n}`));
    for (const [n, key] of keys.entries()) assert.equal(text((await kv.get(key))?.value), `${n}`, key);
    const watch = watchWords(kv);
    await watch.until(1);
    assert.equal(watch.words[0], ["snapshot", ...keys.map((key, n) => `${key}=${n}`).sort()].join(" "));
    watch.stop();
  });

  f("kv: a watch gives the whole, then each change", async (world, bus) => {
    const kv = await bus.kv("ONE");
    await kv.put("a", bytes("1"));
    await kv.put("b", bytes("1"));
    await kv.put("b", bytes("2"));
    await kv.put("c", bytes("1"));
    await kv.delete("c");
    const watch = watchWords(kv);
    await watch.until(1);
    const other = await world.another();
    const otherKv = await other.kv("ONE");
    await otherKv.put("a", bytes("2"));
    await kv.delete("b");
    await otherKv.put("d", bytes("1"));
    await watch.until(4);
    assert.deepEqual(watch.words, ["snapshot a=1 b=2", "change a=2", "change b gone", "change d=1"]);
    const late = watchWords(kv);
    await late.until(1);
    assert.deepEqual(late.words, ["snapshot a=2 d=1"]);
    watch.stop();
    await kv.put("a", bytes("3"));
    await late.until(2);
    assert.equal(watch.words.length, 4);
    late.stop();
    await other.close();
  });

  f("kv: an empty bucket gives an empty snapshot", async (_, bus) => {
    const watch = watchWords(await bus.kv("ONE"));
    await watch.until(1);
    assert.deepEqual(watch.words, ["snapshot"]);
    watch.stop();
  });

  f(
    "kv: a lost connection is told, then comes a new snapshot without what was deleted",
    async (world, bus) => {
      const kv = await bus.kv("ONE");
      await kv.put("a", bytes("1"));
      await kv.put("b", bytes("1"));
      const watch = watchWords(kv);
      await watch.until(1);
      await world.crash();
      await watch.until(2);
      await outage("bus-unavailable", kv.get("a"));
      await outage("bus-unavailable", kv.put("a", bytes("2")));
      await world.recover();
      await connectedAgain(bus);
      await watch.until(3);
      assert.deepEqual(watch.words, ["snapshot a=1 b=1", "lost", "snapshot a=1 b=1"]);
      await kv.delete("b");
      await kv.put("c", bytes("1"));
      await watch.until(5);
      assert.deepEqual(watch.words.slice(3), ["change b gone", "change c=1"]);
      watch.stop();
    },
  );

  f("kv: a bucket with a TTL forgets keys that are not renewed", async (world, bus) => {
    const kv = await bus.kv("LEASES", { ttlMs: 1_000 });
    const kept = await bus.kv("KEPT");
    await kept.put("a", bytes("1"));
    const first = await kv.create("a", bytes("1"));
    const second = await kv.update("a", bytes("2"), first);
    await outage("revision-conflict", kv.create("a", bytes("3")));
    await world.passMs(2_500);
    assert.equal(await kv.get("a"), undefined);
    await outage("revision-conflict", kv.update("a", bytes("3"), second));
    assert.ok((await kv.create("a", bytes("4"))) > second);
    assert.equal(text((await kept.get("a"))?.value), "1");
  });
}
