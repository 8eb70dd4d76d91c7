// Dead letters and tombstones as they lie in LMDB: what pages cost, and stores from before there were lists.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Environment, type State, type View } from "../../src/store/environment.ts";
import { deadKey, deadListedKey, tableRange } from "../../src/store/keys.ts";
import { areListed, planListing, readDeadCounts, readLetters } from "../../src/store/letters.ts";
import { pack } from "../../src/store/rows.ts";
import type { DeadLetter, ShardStore } from "../../src/store/store.ts";
import { someSeries } from "../../src/store/tombstones.ts";
import { claimed, columns, commitOf, committed, key, withSnapshot } from "../contract/store-helpers.ts";
import { engineIn, withFolder } from "./lmdb-helpers.ts";

function letter(sequence: number, tenant: string, reason = "poison"): DeadLetter {
  const text = { door: "tcp", kind: "plaintext" as const, lines: 2, reason, detail: "" };
  return { sequence, part: 0, tenant, ...text, receivedAtMs: 1, bytes: new Uint8Array(10) };
}

async function withEnvironment(
  use: (world: {
    folder: string;
    store: ShardStore;
    environment: Environment;
    epoch: number;
  }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const store = await engineIn(folder).openShard(0);
    const { epoch } = await claimed(store);
    const options = { path: join(folder, "shard-0"), mapBytes: 256 << 20, readOnly: false };
    const environment = await Environment.open({ ...options, clock: systemClock });
    try {
      await use({ folder, store, environment, epoch });
    } finally {
      await environment.close();
      await store.close();
    }
  });
}

interface Cost {
  rows: number;
  turns: number;
}

/** Of an answer from one state: rows read, none of them counting too, and turns given. */
async function costOf(
  environment: Environment,
  ask: (state: State, breathe: () => Promise<void>) => Promise<void>,
): Promise<Cost> {
  const cost = { rows: 0, turns: 0 };
  const read = <T>(rows: T[]): T[] => {
    cost.rows += Math.max(1, rows.length);
    return rows;
  };
  const view: View = environment.view();
  const state: State = {
    ...view,
    get: (at) => read([view.get(at)])[0],
    peek: (at) => read([view.peek(at)])[0],
    range: (...asked) => read(view.range(...asked)),
    keys: (...asked) => read(view.keys(...asked)),
  };
  try {
    await ask(state, async () => {
      cost.turns++;
    });
  } finally {
    view.close();
  }
  return cost;
}

test("L2, L3: a page of one tenant costs nothing by the letters of others; long ones give turns", async () => {
  await withEnvironment(async ({ store, environment, epoch }) => {
    for (let from = 0; from < 3; from++) {
      const big = Array.from({ length: 5000 }, (_, i) => letter(10_000 * from + 2 * i, "big"));
      await committed(store, commitOf(epoch, from, from + 1, { dead: big }));
    }
    const few = [30_001, 19_999].map((sequence) => letter(sequence, "small", "other"));
    const dead = [...few, letter(7, "small"), letter(9, "tiny")];
    await committed(store, commitOf(epoch, 3, 4, { dead }));
    const f = async (
      most: number,
      only: Parameters<typeof readLetters>[2],
      expected: [count: number, first: number],
      rowsMost: number,
      turnsLeast: number,
    ) => {
      const { rows, turns } = await costOf(environment, async (state, breathe) => {
        const letters = await readLetters(state, most, only, breathe);
        assert.deepEqual([letters.length, letters[0]?.sequence], expected);
      });
      assert.ok(rows <= rowsMost, `${rows} rows, not ${rowsMost}`);
      assert.ok(turns >= turnsLeast, `${turns} turns, not ${turnsLeast}`);
    };
    await f(10, { tenant: "small" }, [3, 7], 12, 0);
    await f(10, { reason: "other" }, [2, 19_999], 12, 0);
    await f(2, { tenant: "small", after: { sequence: 8, part: 0 } }, [2, 19_999], 12, 0);
    await f(100, { tenant: "big", after: { sequence: 20_000, part: 0 } }, [100, 20_002], 210, 1);
    await f(10_000, {}, [10_000, 0], 20_100, 100);
    await f(10_000, { tenant: "big" }, [10_000, 0], 20_100, 100);
    const counts = await costOf(environment, async (state, breathe) => {
      const lines = (await readDeadCounts(state, breathe)).map((each) => each.lines);
      assert.deepEqual(lines, [30_000, 4, 2, 2]);
    });
    assert.ok(counts.rows <= 10, `${counts.rows} rows`);
  });
});

test("T2: some series of many are found by looking at some", async () => {
  await withEnvironment(async ({ store, environment, epoch }) => {
    const names = Array.from({ length: 20_000 }, (_, i) => `a${i % 20}.b.c${i}${i % 4 === 0 ? ";k=v" : ""}`);
    const newSeries = [...names.map((name) => key(name)), key("other", "t2")];
    await committed(store, commitOf(epoch, 0, 1, { newSeries, deltas: columns([]) }));
    const f = async (most: number, found: number, rowsMost: number) => {
      const { rows } = await costOf(environment, async (state, breathe) => {
        const ids = await someSeries(state, "t1", most, breathe);
        assert.equal(new Set(ids).size, found);
      });
      assert.ok(rows <= rowsMost, `${rows} rows`);
    };
    await f(100, 100, 300);
    await f(6000, 6000, 8000);
    await f(30_000, 20_000, 21_000);
    assert.equal((await store.bury(epoch, "t1"), await store.purge(epoch, "t1", 19_500)).ids.length, 19_500);
    await f(100, 100, 1000);
  });
});

/** As the version before wrote it: neither kind nor lines, in no list. */
async function writeOld(environment: Environment, count: number): Promise<void> {
  const { head, version } = environment.look((state) => ({ head: state.head, version: state.version }));
  const puts = Array.from({ length: count }, (_, i) => ({
    key: deadKey(i, 1),
    value: pack([`t${i % 2}`, "tcp", "corrupt-frame", "why", 5, Buffer.from("abc")]),
  }));
  assert.ok(await environment.change(version, head, { puts, removes: [deadListedKey] }, false));
}

test("L4: letters of the version before are listed and counted by the first claim, once", async () => {
  await withEnvironment(async ({ folder, store, environment, epoch }) => {
    await writeOld(environment, 4500);
    // Somebody began and died: of what was listed nothing is counted twice.
    const { head, version, writes } = environment.look((state) => ({
      head: state.head,
      version: state.version,
      writes: planListing(state, undefined).writes,
    }));
    assert.ok(await environment.change(version, head, writes, false));
    assert.equal(environment.look(areListed), false);
    await claimed(store);
    assert.equal(environment.look(areListed), true);
    const seen = async () =>
      await withSnapshot(engineIn(folder), 0, async (snapshot) => ({
        counts: await snapshot.deadCounts(),
        first: await snapshot.dead(1, { tenant: "t1" }),
        letters: (await snapshot.dead(9000, { reason: "corrupt-frame" })).length,
      }));
    const before = await seen();
    const count = { reason: "corrupt-frame", letters: 2250, lines: 2250, bytes: 6750 };
    assert.deepEqual(before.counts, [
      { tenant: "t0", ...count },
      { tenant: "t1", ...count },
    ]);
    const text = { tenant: "t1", door: "tcp", reason: "corrupt-frame", detail: "why", receivedAtMs: 5 };
    const bytes = new Uint8Array([97, 98, 99]);
    assert.deepEqual(before.first, [{ sequence: 1, part: 1, ...text, kind: "plaintext", lines: 1, bytes }]);
    assert.equal(before.letters, 4500);
    await claimed(store);
    assert.deepEqual(await seen(), before);
    assert.equal(await store.dropLetters(epoch + 2, [{ sequence: 1, part: 1 }]), 1);
    const { start, end } = tableRange("deadList");
    assert.equal(
      environment.look((state) => state.keys(start, end, 10_000).length),
      4500,
    );
  });
});
