// P2 across lanes and records: copies of a frame that lie in a gap and behind the offset count once, however long the gap
// waits, and letters of a record that is gone keep their names.
import assert from "node:assert/strict";
import { placeInRecord } from "../../src/store/eras.ts";
import type { Commit, CommitResult, DeadLetter } from "../../src/store/store.ts";
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

const at = (to: number) => ({ incarnation: "i1", frameTimeMs: to * 1000, receivedAtMs: to * 1000 });

function frames(...applied: [number, number][]): Partial<Commit> {
  return { boots: [{ boot, applied, lastAppliedMs: 1 }] };
}

function keyed(n: number, appliedAtMs: number): Partial<Commit> {
  return { keyed: [{ id: new Uint8Array(16).fill(n), appliedAtMs }] };
}

function letter(sequence: number, part: number, detail: string): DeadLetter {
  const origin = { tenant: "t1", door: "tcp", reason: "poison", receivedAtMs: 0 } as const;
  return { sequence, part, ...origin, detail, kind: "plaintext", lines: 1, bytes: new Uint8Array([1]) };
}

export function twiceCases(f: Case): void {
  f("P2: what the other lane has applied meanwhile is refused, and nothing of it is kept", async (world) => {
    const store = await world.engine.openShard(0);
    const { epoch } = await claimed(store);
    const lives = { live: 20, fill: 0 };
    assert.equal(await store.skip(epoch, 20, at(20)), "ok");
    const commit = async (lane: "live" | "fill", more: Partial<Commit>): Promise<CommitResult> => {
      const result = await store.commit(commitOf(epoch, lives[lane], lives[lane] + 1, { lane, ...more }));
      if (result.kind === "ok") lives[lane]++;
      return result;
    };
    const ok = async (lane: "live" | "fill", more: Partial<Commit>) =>
      assert.equal((await commit(lane, more)).kind, "ok");
    const refused = async (lane: "live" | "fill", more: Partial<Commit>) => {
      const before = await withSnapshot(world.engine, 0, (s) => s.state());
      const ledger = { tenant: "t1", door: "tcp", minute: 0, fate: "stored", reason: "", count: 1 } as const;
      const result = await commit(lane, { ...more, ledger: [ledger] });
      assert.deepEqual(result, { kind: "at", offset: lives[lane] });
      await withSnapshot(world.engine, 0, async (snapshot) => {
        assert.deepEqual(await snapshot.state(), before);
        assert.deepEqual(await snapshot.ledger("t1", 0, 0), []);
      });
    };
    await ok("live", frames([3, 5], [9, 9]));
    for (const again of [
      [3, 3],
      [1, 3],
      [4, 4],
      [5, 8],
      [6, 20],
      [9, 9],
      [1, 30],
    ] as [number, number][])
      await refused("fill", frames(again));
    await refused("fill", frames([1, 2], [9, 9]));
    await ok("fill", frames([1, 2], [6, 8]));
    await refused("live", frames([10, 10], [7, 7]));
    await ok("live", frames([10, 10]));
    await ok("fill", { boots: [{ boot: "aa", applied: [[3, 5]], lastAppliedMs: 1 }] }); // another start's
    await ok("fill", keyed(1, 30 * hourMs));
    await refused("live", keyed(1, 31 * hourMs));
    await refused("live", keyed(1, 54 * hourMs));
    await refused("live", keyed(1, 29 * hourMs)); // the gap's copy came first, of a frame that is younger
    await ok("live", keyed(2, 31 * hourMs));
    await ok("live", keyed(1, 54 * hourMs + 1)); // no copy: a day is over
    const place = { sequence: 1, part: 0 };
    await refused("live", { retried: [place] }); // never was open
    await ok("live", frames([40, 40]));
    await store.close();
  });

  f("what was applied is not forgotten while frames wait in a gap", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 1, { ...frames([1, 1]), ...keyed(1, 0) }));
    assert.equal(await store.skip(epoch, 3, at(3)), "ok");
    const late = 1000 * 24 * hourMs;
    assert.deepEqual(await forgotten(store, epoch, late), nothingForgotten);
    await committed(store, commitOf(epoch, 1, 2, { lane: "fill" }));
    assert.deepEqual(await forgotten(store, epoch, late), nothingForgotten);
    assert.equal((await store.commit(commitOf(epoch, 2, 3, { lane: "fill", ...frames([1, 1]) }))).kind, "at");
    await committed(store, commitOf(epoch, 2, 3, { lane: "fill" }));
    assert.deepEqual(await forgotten(store, epoch, late), { ...nothingForgotten, keyed: 1, boots: 1 });
    await store.close();
  });

  f("letters keep their names when the record is another one", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const letters = () => withSnapshot(engine, 0, (s) => s.dead(100));
    await committed(store, commitOf(epoch, 0, 5, { dead: [letter(2, 0, "a"), letter(5, 1, "b")] }));
    const first = await letters();
    const named: DeadLetter[] = [...first];
    for (const incarnation of ["i2", "i3"]) {
      assert.equal(
        await store.adopt(epoch, { incarnation, offset: 1, frameTimeMs: 0, hole: undefined }),
        "ok",
      );
      const dead = [letter(2, 0, `${incarnation} a`), letter(3, 0, `${incarnation} b`)];
      await committed(store, commitOf(epoch, 1, 3, { incarnation, dead }));
      const now = await letters();
      assert.deepEqual(now.slice(0, named.length), named, "those that were there");
      assert.deepEqual(
        now.map(({ detail }) => detail),
        [...named.map(({ detail }) => detail), `${incarnation} a`, `${incarnation} b`],
      );
      named.splice(0, named.length, ...now);
    }
    assert.deepEqual(
      named.map(({ sequence }) => placeInRecord(sequence)),
      [
        { era: 0, sequence: 2 },
        { era: 0, sequence: 5 },
        { era: 1, sequence: 2 },
        { era: 1, sequence: 3 },
        { era: 2, sequence: 2 },
        { era: 2, sequence: 3 },
      ],
    );
    const { era, frameTimeMs } = await withSnapshot(engine, 0, (s) => s.state());
    assert.deepEqual({ era, frameTimeMs }, { era: 2, frameTimeMs: 3000 });
    await store.close();
  });

  f("of the frame that an adopted record goes on behind, nothing is known", async ({ engine }) => {
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    await committed(store, commitOf(epoch, 0, 5));
    await store.adopt(epoch, { incarnation: "i2", offset: 3, frameTimeMs: 0, hole: undefined });
    const { era, frameTimeMs, receivedAtMs } = await withSnapshot(engine, 0, (s) => s.state());
    assert.deepEqual({ era, frameTimeMs, receivedAtMs }, { era: 1, frameTimeMs: 0, receivedAtMs: 5001 });
    await store.close();
  });
}
