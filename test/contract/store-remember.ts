// What is remembered beside the points: frames and keyed requests applied, the ledger, dead letters.
import assert from "node:assert/strict";
import type { DeadLetter, Interval, LedgerRow } from "../../src/store/store.ts";
import {
  boot,
  claimed,
  commitOf,
  committed,
  forgotten,
  hourMs,
  nothingForgotten,
  withSnapshot,
  type Case,
} from "./store-helpers.ts";

function row(minute: number, count: number, more: Partial<LedgerRow> = {}): LedgerRow {
  return { tenant: "t1", door: "http", minute, fate: "stored", reason: "", count, ...more };
}

function letter(sequence: number, part: number, bytes = new Uint8Array([0, 255, 10])): DeadLetter {
  const text = {
    tenant: "t1",
    door: "tcp",
    kind: "plaintext" as const,
    lines: 1,
    reason: "corrupt-frame",
    detail: "nöt msgpack",
  };
  return { sequence, part, ...text, receivedAtMs: 12, bytes };
}

export function rememberCases(f: Case): void {
  f("boots: intervals merge, out of order too", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    let offset = 0;
    const apply = async (
      applied: Interval[],
      lastAppliedMs: number,
      expected: Interval[],
      lastMs: number,
    ) => {
      const boots = [{ boot, applied, lastAppliedMs }];
      await committed(store, commitOf(epoch, offset, ++offset, { boots }));
      const state = await withSnapshot(engine, 0, (s) => s.state());
      assert.deepEqual(state.boots, [{ boot, applied: expected, lastAppliedMs: lastMs }]);
    };
    await apply([[0, 3]], 10, [[0, 3]], 10);
    await apply([[4, 4]], 20, [[0, 4]], 20);
    await apply(
      [[9, 10]],
      15,
      [
        [0, 4],
        [9, 10],
      ],
      20,
    );
    await apply(
      [
        [20, 20],
        [6, 7],
      ],
      30,
      [
        [0, 4],
        [6, 7],
        [9, 10],
        [20, 20],
      ],
      30,
    );
    await apply(
      [
        [8, 8],
        [5, 5],
      ],
      30,
      [
        [0, 10],
        [20, 20],
      ],
      30,
    );
    await apply(
      [
        [11, 19],
        [21, 30],
      ],
      30,
      [[0, 30]],
      30,
    );
    await committed(
      store,
      commitOf(epoch, offset, offset + 1, {
        boots: [
          { boot: "aa", applied: [[1, 1]], lastAppliedMs: 1 },
          { boot: "aa", applied: [[0, 0]], lastAppliedMs: 2 },
        ],
      }),
    );
    const { boots } = await claimed(store);
    assert.deepEqual(
      boots.find((b) => b.boot === "aa"),
      { boot: "aa", applied: [[0, 1]], lastAppliedMs: 2 },
    );
    await store.close();
  });

  f("keyed ids are known for 24 h", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const [a, b, c] = [1, 2, 3].map((n) => new Uint8Array(16).fill(n)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const atMs = 1_700_000_000_000;
    const known = (nowMs: number) => store.keyedApplied([a, b, c], nowMs);
    assert.deepEqual(await known(atMs), [false, false, false]);
    const keyed = [
      { id: a, appliedAtMs: atMs },
      { id: b, appliedAtMs: atMs + hourMs },
    ];
    await committed(store, commitOf(epoch, 0, 1, { keyed }));
    assert.deepEqual(await known(atMs + hourMs), [true, true, false]);
    assert.deepEqual(await known(atMs - hourMs), [true, true, false]); // a clock that went back
    assert.deepEqual(await known(atMs + 24 * hourMs), [true, true, false]);
    assert.deepEqual(await known(atMs + 24 * hourMs + 1), [false, true, false]);
    assert.deepEqual(await known(atMs + 26 * hourMs), [false, false, false]);
    assert.deepEqual(await store.forget(epoch, atMs + 24 * hourMs), nothingForgotten);
    assert.deepEqual(await store.forget(epoch, atMs + 24 * hourMs + 1), { ...nothingForgotten, keyed: 1 });
    assert.deepEqual(await known(atMs), [false, true, false]);
    // Applied again before it was forgotten: known by the later time, and forgotten by it.
    await committed(store, commitOf(epoch, 1, 2, { keyed: [{ id: b, appliedAtMs: atMs + 26 * hourMs }] }));
    assert.deepEqual(await store.forget(epoch, atMs + 26 * hourMs), nothingForgotten);
    assert.deepEqual(await known(atMs + 27 * hourMs), [false, true, false]);
    const again = commitOf(epoch, 2, 3, { keyed: [{ id: b, appliedAtMs: atMs + 50 * hourMs }] });
    assert.deepEqual(await store.commit(again), { kind: "at", offset: 2 });
    assert.deepEqual(await store.forget(epoch, atMs + 60 * hourMs), { ...nothingForgotten, keyed: 1 });
    assert.deepEqual(await store.forget(epoch, atMs + 60 * hourMs), nothingForgotten);
    assert.deepEqual(await known(atMs + 26 * hourMs), [false, false, false]);
    assert.deepEqual(await store.keyedApplied([], atMs), []);
    await store.close();
  });

  f("boots are forgotten 30 days after their last frame", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const dayMs = 24 * hourMs;
    const boots = [
      { boot: "aa", applied: [[0, 1] as Interval], lastAppliedMs: 5 * dayMs },
      { boot: "bb", applied: [[0, 1] as Interval], lastAppliedMs: 6 * dayMs },
    ];
    await committed(store, commitOf(epoch, 0, 1, { boots }));
    assert.deepEqual(await store.forget(epoch, 35 * dayMs), nothingForgotten);
    assert.deepEqual(await store.forget(epoch, 35 * dayMs + 1), { ...nothingForgotten, boots: 1 });
    assert.deepEqual(
      (await claimed(store)).boots.map((b) => b.boot),
      ["bb"],
    );
    await store.close();
  });

  f("ledger minutes and dead letters are kept for 35 days", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const dayMs = 24 * hourMs;
    const early = { ...letter(1, 0), receivedAtMs: 5 * dayMs + 5 };
    const late = { ...letter(2, 0), receivedAtMs: 6 * dayMs + 5 };
    const minute = 5 * 24 * 60 * 60;
    const ledger = [row(minute, 1), row(minute, 2, { tenant: "t10" }), row(minute + 86_400, 3)];
    await committed(store, commitOf(epoch, 0, 1, { ledger, dead: [early] }));
    await committed(store, commitOf(epoch, 1, 2, { dead: [late] }));
    const left = async () =>
      await withSnapshot(engine, 0, async (s) => [
        (await s.ledger("t1", 0, 1e9)).length,
        (await s.ledger("t10", 0, 1e9)).length,
        (await s.dead(9)).map(({ sequence }) => sequence),
      ]);
    assert.deepEqual(await forgotten(store, epoch, 40 * dayMs), nothingForgotten);
    assert.deepEqual(await left(), [2, 1, [1, 2]]);
    assert.deepEqual(await store.forget(epoch + 1, 1e15), nothingForgotten);
    assert.deepEqual(await left(), [2, 1, [1, 2]]);
    const hourLater = 40 * dayMs + hourMs;
    assert.deepEqual(await forgotten(store, epoch, hourLater), { ...nothingForgotten, ledger: 2, dead: 1 });
    assert.deepEqual(await left(), [1, 0, [2]]);
    assert.deepEqual(await forgotten(store, epoch, 42 * dayMs), { ...nothingForgotten, ledger: 1, dead: 1 });
    assert.deepEqual(await left(), [0, 0, []]);
    await store.close();
  });

  f("the ledger adds up", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const nan: Partial<LedgerRow> = { fate: "refused", reason: "nan" };
    await committed(
      store,
      commitOf(epoch, 0, 1, { ledger: [row(60, 3), row(60, 2), row(120, 1), row(60, 1, nan)] }),
    );
    await committed(
      store,
      commitOf(epoch, 1, 2, {
        ledger: [row(60, 10), row(60, 4, nan), row(0, 1, { door: "tcp" }), row(60, 99, { tenant: "t10" })],
      }),
    );
    const ledger = (tenant: string, from: number, until: number) =>
      withSnapshot(engine, 0, (s) => s.ledger(tenant, from, until));
    assert.deepEqual(await ledger("t1", 0, 180), [
      row(0, 1, { door: "tcp" }),
      row(60, 5, nan),
      row(60, 15),
      row(120, 1),
    ]);
    assert.deepEqual(await ledger("t1", 60, 60), [row(60, 5, nan), row(60, 15)]);
    assert.deepEqual(await ledger("t1", 180, 240), []);
    assert.deepEqual(await ledger("t10", 0, 180), [row(60, 99, { tenant: "t10" })]);
    assert.deepEqual(await ledger("t", 0, 180), []);
    await store.close();
  });

  f("dead letters", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 3, { dead: [letter(3, 1), letter(2, 0), letter(3, 0)] }));
    await committed(
      store,
      commitOf(epoch, 3, 2 ** 33, { dead: [letter(2 ** 33, 0, new Uint8Array(300_000))] }),
    );
    const dead = (most: number) => withSnapshot(engine, 0, (s) => s.dead(most));
    assert.deepEqual(await dead(3), [letter(2, 0), letter(3, 0), letter(3, 1)]);
    assert.deepEqual((await dead(10)).at(3), letter(2 ** 33, 0, new Uint8Array(300_000)));
    assert.equal((await dead(10)).length, 4);
    await store.close();
  });
}
