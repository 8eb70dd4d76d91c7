// Dead letters that go again, quarantines, tombstones: what stays, what is counted, and what a commit does with them.
import assert from "node:assert/strict";
import { letterSequence } from "../../src/store/eras.ts";
import {
  lettersBytesMost,
  partsPerFrame,
  type Commit,
  type DeadLetter,
  type LedgerRow,
  type LetterPlace,
  type ShardStore,
  type Snapshot,
  type StoreEngine,
} from "../../src/store/store.ts";
import {
  claimed,
  columns,
  commitOf,
  committed,
  forgotten,
  hourMs,
  key,
  withSnapshot,
  type Case,
} from "./store-helpers.ts";
import { rulesOf, t0, upkeepUntilIdle } from "./store-life.ts";

function letter(sequence: number, part: number, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    sequence,
    part,
    tenant: "t1",
    door: "tcp",
    kind: "plaintext",
    lines: 1,
    reason: "poison",
    detail: "boom",
    receivedAtMs: t0 * 1000,
    bytes: Buffer.from(`line ${sequence}.${part}`),
    ...more,
  };
}

function place({ sequence, part }: LetterPlace): LetterPlace {
  return { sequence, part };
}

/** A store with an owner, and what readers see of it. */
class Shard {
  readonly store: ShardStore;
  readonly epoch: number;
  readonly #engine: StoreEngine;
  #offset = 0;

  private constructor(engine: StoreEngine, store: ShardStore, epoch: number) {
    this.#engine = engine;
    this.store = store;
    this.epoch = epoch;
  }

  static async of(engine: StoreEngine): Promise<Shard> {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    return new Shard(engine, store, epoch);
  }

  async commit(more: Partial<Commit>): Promise<number[]> {
    return await committed(this.store, commitOf(this.epoch, this.#offset, ++this.#offset, more));
  }

  async see<T>(use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    return await withSnapshot(this.#engine, 0, use);
  }

  /** `sequence/part`, space between. */
  async open(most: number, only: Parameters<Snapshot["dead"]>[1] = {}): Promise<string> {
    const letters = await this.see((snapshot) => snapshot.dead(most, only));
    return letters.map((each) => `${each.sequence}/${each.part}`).join(" ");
  }

  /** `tenant reason letters lines bytes`. */
  async counts(): Promise<string[]> {
    const counts = await this.see((snapshot) => snapshot.deadCounts());
    return counts.map((each) => [each.tenant, each.reason, each.letters, each.lines, each.bytes].join(" "));
  }
}

export function lettersCases(f: Case): void {
  f("letters: pages by tenant and reason, in the record's order", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const tenants = ["t1", "t10", "t", "\u{1f600}"];
    const reasons = ["poison", "quarantined"];
    const dead = Array.from({ length: 40 }, (_, i) =>
      letter(100 - Math.floor(i / 3), i % 3, {
        tenant: tenants[i % 4] ?? "",
        reason: reasons[Math.floor(i / 4) % 2] ?? "",
      }),
    );
    await shard.commit({ dead: dead.slice(0, 25) });
    await shard.commit({ dead: dead.slice(25) });
    const sorted = dead.toSorted((a, b) => a.sequence - b.sequence || a.part - b.part);
    for (const tenant of [undefined, ...tenants, "nobody"])
      for (const reason of [undefined, ...reasons, "p"]) {
        const only = {
          ...(tenant === undefined ? {} : { tenant }),
          ...(reason === undefined ? {} : { reason }),
        };
        const expected = sorted.filter(
          (each) => (tenant ?? each.tenant) === each.tenant && (reason ?? each.reason) === each.reason,
        );
        const seen: DeadLetter[] = [];
        for (let after: LetterPlace | undefined; ; ) {
          const asked = { ...only, ...(after === undefined ? {} : { after }) };
          const page = await shard.see((snapshot) => snapshot.dead(3, asked));
          assert.ok(page.length <= 3);
          seen.push(...page);
          after = page.at(-1);
          if (after === undefined) break;
        }
        assert.deepEqual(
          seen.map((each) => ({ ...each, bytes: Buffer.from(each.bytes) })),
          expected,
          `${tenant} ${reason}`,
        );
      }
    assert.equal(await shard.open(0), "");
    assert.equal(await shard.open(9, { after: { sequence: 100, part: 1 } }), "100/2");
    assert.equal(await shard.open(9, { after: { sequence: 2 ** 40, part: 0 } }), "");
    await shard.store.close();
  });

  f("letters: a page is bounded in bytes, but for its first", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const half = { bytes: new Uint8Array(lettersBytesMost / 2) };
    await shard.commit({ dead: [letter(1, 0, half), letter(1, 1, half), letter(1, 2)] });
    await shard.commit({ dead: [letter(2, 0, { bytes: new Uint8Array(lettersBytesMost + 1) })] });
    for (const only of [{}, { tenant: "t1" }]) {
      assert.equal(await shard.open(9, only), "1/0 1/1");
      assert.equal(await shard.open(9, { ...only, after: { sequence: 1, part: 0 } }), "1/1 1/2");
      assert.equal(await shard.open(9, { ...only, after: { sequence: 1, part: 2 } }), "2/0");
    }
    await shard.store.close();
  });

  f("letters: what goes is counted, however it goes", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    const old = { receivedAtMs: (t0 - 86_400) * 1000 };
    await shard.commit({
      dead: [
        letter(1, 0, { lines: 7, reason: "quarantined" }),
        letter(1, 1),
        letter(1, 2, old),
        letter(1, 3, { tenant: "t2" }),
        letter(1, 4),
      ],
    });
    assert.deepEqual(await shard.counts(), ["t1 poison 3 3 24", "t1 quarantined 1 7 8", "t2 poison 1 1 8"]);
    const all = [0, 1, 2, 3, 4, 5].map((part) => ({ sequence: 1, part }));
    assert.deepEqual(await store.lettersOpen(all), [true, true, true, true, true, false]);
    assert.deepEqual(await store.lettersOpen([]), []);
    assert.equal(await store.dropLetters(epoch - 1, all), 0);
    const dropped = [all[3], all[5], all[3]].map((each) => each ?? { sequence: 0, part: 0 });
    assert.equal(await store.dropLetters(epoch, dropped), 1);
    assert.equal(await store.dropLetters(epoch, dropped), 0);
    assert.deepEqual(await shard.counts(), ["t1 poison 3 3 24", "t1 quarantined 1 7 8"]);
    // Another in the place of one that is open: as one that is retried and poisons again, in a frame of one part.
    await shard.commit({
      retried: [{ sequence: 1, part: 4 }],
      dead: [letter(1, 4, { reason: "quarantined", lines: 2 }), letter(2, 0)],
    });
    assert.deepEqual(await shard.counts(), ["t1 poison 3 3 24", "t1 quarantined 2 9 16"]);
    assert.equal((await forgotten(store, epoch, (t0 + 34.5 * 86_400) * 1000)).dead, 1);
    assert.deepEqual(await shard.counts(), ["t1 poison 2 2 16", "t1 quarantined 2 9 16"]);
    assert.equal(await shard.open(9, { reason: "poison" }), "1/1 2/0");
    assert.equal((await forgotten(store, epoch, (t0 + 36 * 86_400) * 1000)).dead, 4);
    assert.deepEqual(await shard.counts(), []);
    assert.equal(await shard.open(9), "");
    await store.close();
  });

  f("letters: retried in a commit they are closed, or nothing is", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    const dead = [letter(5, 0), letter(5, 1), letter(6, 0)];
    await shard.commit({ dead });
    const retried = dead.slice(0, 2).map(place);
    // C3: what is not ok closes nothing.
    assert.equal((await store.commit(commitOf(epoch - 1, 1, 2, { retried }))).kind, "fenced");
    assert.equal((await store.commit(commitOf(epoch, 0, 1, { retried }))).kind, "at");
    assert.deepEqual(await store.lettersOpen(retried), [true, true]);
    await shard.commit({ retried });
    assert.deepEqual(await store.lettersOpen(dead), [false, false, true]);
    assert.deepEqual(await shard.counts(), ["t1 poison 1 1 8"]);
    const again = { ...commitOf(epoch, 2, 3), retried };
    assert.deepEqual(await store.commit(again), { kind: "at", offset: again.from });
    assert.equal(await shard.open(9), "6/0");
    assert.equal((await claimed(store)).offset, 2);
    await store.close();
  });

  f("letters: those of a record before keep their names", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    await shard.commit({ dead: [letter(1, 0), letter(1, 1)] });
    const record = { incarnation: "i2", offset: 0, frameTimeMs: 0, hole: undefined };
    assert.equal(await store.adopt(epoch, record), "ok");
    const { incarnation } = record;
    const twice = [letter(1, 0, { reason: "other" }), letter(1, 0, { tenant: "t2" })];
    assert.equal((await store.commit(commitOf(epoch, 0, 1, { incarnation, dead: twice }))).kind, "ok");
    const named = letterSequence(1, 1);
    assert.equal(await shard.open(9), `1/0 1/1 ${named}/0 ${named}/${partsPerFrame}`);
    assert.deepEqual(await shard.counts(), ["t1 other 1 1 8", "t1 poison 2 2 16", "t2 poison 1 1 8"]);
    assert.equal(await store.dropLetters(epoch, [{ sequence: named, part: 0 }]), 1);
    assert.deepEqual(await shard.counts(), ["t1 poison 2 2 16", "t2 poison 1 1 8"]);
    await store.close();
  });

  f("books: what is taken away again leaves no trace, and minutes add up", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const row = (fate: LedgerRow["fate"], count: number, minute = 60): LedgerRow => ({
      tenant: "t1",
      door: "tcp",
      minute,
      fate,
      reason: fate === "dead" ? "poison" : "",
      count,
    });
    const books = async () => {
      const rows = await shard.see((snapshot) => snapshot.ledger("t1", 0, 600));
      return rows.map(({ minute, fate, count }) => `${minute} ${fate} ${count}`);
    };
    await shard.commit({ ledger: [row("received", 9), row("stored", 6), row("dead", 3)] });
    await shard.commit({ ledger: [row("dead", -1), row("stored", 1)] });
    assert.deepEqual(await books(), ["60 dead 2", "60 received 9", "60 stored 7"]);
    await shard.commit({ ledger: [row("dead", -1), row("stored", 2), row("dead", -1)] });
    assert.deepEqual(await books(), ["60 received 9", "60 stored 9"]);
    // In a minute that was forgotten meanwhile, what is taken and what is put balance, too.
    await shard.commit({ ledger: [row("dead", -2, 120), row("stored", 2, 120), row("refused", 0, 180)] });
    assert.deepEqual((await books()).slice(2), ["120 dead -2", "120 stored 2"]);
    await shard.commit({ ledger: [row("dead", 2, 120), row("stored", -1, 120)] });
    assert.deepEqual((await books()).slice(2), ["120 stored 1"]);
    await shard.store.close();
  });

  f("quarantine: from a commit to a release, and holds what its letters hold", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    const held = async () =>
      (await shard.see((snapshot) => snapshot.state())).quarantined.map(
        ({ tenant, sinceMs, why, bytes }) => `${tenant} ${sinceMs} ${why} ${bytes}`,
      );
    const whole = (sequence: number) => letter(sequence, 0, { reason: "quarantined", lines: 50 });
    await shard.commit({ dead: [whole(1), letter(1, 1)] });
    assert.deepEqual(await held(), []);
    await shard.commit({ quarantine: [{ tenant: "t2", sinceMs: 5, why: "x" }] });
    await shard.commit({
      quarantine: [
        { tenant: "t1", sinceMs: 7, why: "3 poison lines" },
        { tenant: "t2", sinceMs: 8, why: "later" },
        { tenant: "t1", sinceMs: 9, why: "again" },
      ],
      dead: [whole(3)],
    });
    assert.deepEqual(await held(), ["t1 7 3 poison lines 16", "t2 5 x 0"]);
    assert.deepEqual((await claimed(store)).quarantined.length, 2);
    const later = epoch + 1;
    assert.equal(await store.release(epoch, "t2"), "fenced");
    assert.equal(await store.dropLetters(later, [{ sequence: 1, part: 0 }]), 1);
    assert.deepEqual(await held(), ["t1 7 3 poison lines 8", "t2 5 x 0"]);
    assert.equal(await store.release(later, "t2"), "ok");
    assert.equal(await store.release(later, "t2"), "ok");
    assert.equal((await forgotten(store, later, (t0 + 36 * 86_400) * 1000)).dead, 2);
    assert.deepEqual(await held(), ["t1 7 3 poison lines 0"]);
    for (const _twice of [1, 2]) {
      assert.equal(await store.bury(later, "t1"), "ok");
      assert.deepEqual(await held(), []);
      const { offset } = await shard.see((snapshot) => snapshot.state());
      const quarantine = [{ tenant: "t1", sinceMs: 10, why: "a commit under way" }];
      await committed(store, commitOf(later, offset, offset + 1, { quarantine }));
      assert.deepEqual(await held(), ["t1 10 a commit under way 0"]);
    }
    await store.close();
  });

  f("tombstones: dead letters go, some at a time, and nothing is kept of them", async ({ engine }) => {
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    const reasons = ["malformed", "poison", "quarantined"];
    const of = (tenant: string, sequence: number) =>
      Array.from({ length: 9 }, (_, part) =>
        letter(sequence, part, { tenant, reason: reasons[part % 3] ?? "" }),
      );
    await shard.commit({ dead: [...of("t1", 1), ...of("t10", 2), ...of("t", 3), ...of("t1", 4)] });
    assert.equal(await store.dropLetters(epoch, [{ sequence: 1, part: 0 }]), 1);
    assert.equal(await store.purgeLetters(epoch, "t1", 100), 0, "no tombstone, no purge");
    await store.bury(epoch, "t1");
    assert.equal(await store.purgeLetters(epoch - 1, "t1", 100), 0, "an old epoch");
    const gone: number[] = [];
    do gone.push(await store.purgeLetters(epoch, "t1", 7));
    while (gone.at(-1) !== 0);
    assert.deepEqual(gone, [7, 7, 3, 0]);
    assert.equal(await shard.open(99, { tenant: "t1" }), "");
    assert.equal((await shard.open(99)).split(" ").length, 18);
    assert.deepEqual(
      (await shard.counts()).map((count) => count.split(" ").slice(0, 3).join(" ")),
      ["t", "t10"].flatMap((tenant) => reasons.map((reason) => `${tenant} ${reason} 3`)),
    );
    const buried = await shard.see((snapshot) => snapshot.buried(99));
    assert.deepEqual(
      buried
        .filter(({ tenant }) => tenant === "t1")
        .map(({ fate, sequence, part }) => [fate, sequence, part]),
      [["dropped", 1, 0]],
    );
    await store.close();
  });

  f("tombstones: series of any name go, some at a time, and those that come later", async (world) => {
    const { engine } = world;
    const shard = await Shard.of(engine);
    const { store, epoch } = shard;
    const names = [
      ...Array.from({ length: 300 }, (_, i) => `a.s${i}`),
      ...Array.from({ length: 300 }, (_, i) => `b.s${i};k=v`),
      ...Array.from({ length: 40 }, (_, i) =>
        Array(i + 1)
          .fill("x")
          .join("."),
      ),
      "c",
      "[*]{a,b}?.*",
      "stats.timers.t.\u0001t",
      "stats.counters.c.\u0001c;k=v",
      "ü.\u{1f600}",
    ];
    const put = async (tenant: string, some: readonly string[]) =>
      await shard.commit({
        newSeries: some.map((name) => key(name, tenant)),
        deltas: columns(some.map((_, series) => ({ series, fresh: true, bucket: t0 }))),
        receivedAtMs: t0 * 1000,
      });
    const ids = await put("t1", names);
    await put("t2", names);
    const ladders = rulesOf("10s:1h,60s:1d");
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const none = { ids: new Uint32Array(), names: [] };
    assert.deepEqual(await store.purge(epoch, "t1", 1000), none, "no tombstone, no purge");
    assert.equal(await store.bury(epoch - 1, "t1"), "fenced");
    assert.equal(await store.bury(epoch, "t1"), "ok");
    assert.equal(await store.bury(epoch, "t1"), "ok");
    assert.equal(await store.bury(epoch, "t0"), "ok");
    assert.deepEqual((await claimed(store)).purging, ["t0", "t1"]);
    const state = await shard.see((snapshot) => snapshot.state());
    const { boots: _boots, purging, quarantined, ...progress } = state;
    assert.deepEqual([purging, quarantined], [["t0", "t1"], []]);
    assert.deepEqual(await shard.see((snapshot) => snapshot.progress()), progress);
    const now = epoch + 1;
    assert.deepEqual(await store.purge(epoch, "t1", 1000), none, "an old epoch");
    assert.deepEqual(await store.purge(now, "t0", 1000), none);
    const gone: number[] = [];
    const goneNames: string[] = [];
    for (let left = names.length; ; left = names.length - gone.length) {
      assert.equal(await store.tenantSeries("t1"), left);
      const some = await store.purge(now, "t1", 64);
      assert.equal(some.ids.length, Math.min(64, left));
      assert.deepEqual(
        some.names,
        some.names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      if (some.ids.length === 0) break;
      gone.push(...some.ids);
      goneNames.push(...some.names);
    }
    assert.deepEqual(
      gone.toSorted((a, b) => a - b),
      ids.toSorted((a, b) => a - b),
    );
    const shown = names.map((name) => name.replace("\u0001t", "count").replace("\u0001c", "count"));
    assert.deepEqual(goneNames.toSorted(), shown.toSorted());
    assert.deepEqual(await shard.see((snapshot) => snapshot.tenants()), ["t2"]);
    assert.equal(await store.tenantSeries("t2"), names.length);
    // The last ones were refused nowhere yet: a commit was under way. They are new series, and go the same way.
    const late = await store.commit(
      commitOf(now, 2, 3, {
        newSeries: [key("a.s1", "t1"), key("late;k=v", "t1")],
        deltas: columns([0, 1].map((series) => ({ series, fresh: true, bucket: t0 }))),
        receivedAtMs: t0 * 1000,
      }),
    );
    assert.ok(late.kind === "ok" && late.ids.every((id) => !ids.includes(id)));
    assert.deepEqual((await store.purge(now, "t1", 1000)).names, ["a.s1", "late;k=v"]);
    assert.deepEqual(await store.purge(now, "t1", 1000), none);
    await upkeepUntilIdle(engine, { nowSeconds: t0, ladders, all: true });
    const { series, points, bytes } = await shard.see((snapshot) => snapshot.tenantSize("t1"));
    assert.deepEqual({ series, points, bytes }, { series: 0, points: 0, bytes: 0 });
    assert.equal((await shard.see((snapshot) => snapshot.tenantSize("t2"))).points, names.length);
    assert.deepEqual((await shard.see((snapshot) => snapshot.state())).purging, ["t0", "t1"]);
    assert.equal((await forgotten(store, now, t0 * 1000 + 99 * 24 * hourMs)).dead, 0);
    await store.close();
    const again = await (await world.reopen()).openShard(0);
    assert.deepEqual((await claimed(again)).purging, ["t0", "t1"]);
    await again.close();
  });
}
