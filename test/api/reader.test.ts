import assert from "node:assert/strict";
import { test } from "node:test";
import { createReading } from "../../src/api/reader.ts";
import { systemClock } from "../../src/base/clock.ts";
import { Outage } from "../../src/base/errors.ts";
import type { Snapshot, StoreEngine } from "../../src/store/store.ts";
import { snapshotOf } from "./fixture.ts";
import { jobOf } from "./query.ts";

/** Shards with what their store does when a snapshot is asked for; `events` tells what was opened and closed. */
function engineOf(shards: Record<number, () => Snapshot>): { engine: StoreEngine; events: string[] } {
  const events: string[] = [];
  const engine: StoreEngine = {
    openShard: () => Promise.reject(new Error("a query must not open the writing side")),
    openUpkeep: () => Promise.reject(new Error("a query must not open the upkeep")),
    openReader(shard) {
      events.push(`open ${shard}`);
      return Promise.resolve({
        snapshot: () =>
          new Promise((resolve) => {
            const make = shards[shard];
            if (make === undefined) throw new Outage("store-unavailable", "not there yet");
            const snapshot = make();
            events.push(`snapshot ${shard}`);
            resolve({ ...snapshot, close: () => void events.push(`release ${shard}`) });
          }),
        close: () => Promise.resolve(void events.push(`close ${shard}`)),
      });
    },
  };
  return { engine, events };
}

test("D1, D2, D3: missing homes, snapshots closed, failed readers opened anew", async () => {
  const shards: Record<number, () => Snapshot> = { 1: () => snapshotOf({ t1: { x: [] } }) };
  const { engine, events } = engineOf(shards);
  const reading = createReading(engine, systemClock);
  const job = { ...jobOf({ kind: "index" }), homes: [1, 2] };
  const seen = async (expectedMissing: number[], expected: string[]) => {
    events.length = 0;
    const answer = await reading.answer(job);
    assert.ok(answer.kind === "ok");
    assert.deepEqual(answer.missing, expectedMissing);
    assert.deepEqual(events, expected);
  };
  await seen([2], ["open 1", "snapshot 1", "open 2", "close 2", "release 1"]);
  shards[2] = () => snapshotOf({});
  await seen([], ["snapshot 1", "open 2", "snapshot 2", "release 1", "release 2"]);
  await seen([], ["snapshot 1", "snapshot 2", "release 1", "release 2"]);
  events.length = 0;
  await reading.close();
  assert.deepEqual(events.sort(), ["close 1", "close 2"]);
});

function failing(mistake: Error): Snapshot {
  return { ...snapshotOf({ t1: {} }), findNodes: () => Promise.reject(mistake) };
}

test("an outage within a query is an answer, a bug is thrown; snapshots are closed in both", async () => {
  const { engine, events } = engineOf({
    1: () => failing(new Outage("store-corrupt", "hidden")),
    2: () => failing(new TypeError("a bug")),
  });
  const reading = createReading(engine, systemClock);
  const answer = await reading.answer({ ...jobOf({ kind: "index" }), homes: [1] });
  assert.ok(answer.kind === "unavailable" && !answer.why.includes("hidden"), JSON.stringify(answer));
  await assert.rejects(reading.answer({ ...jobOf({ kind: "index" }), homes: [2] }), /a bug/);
  assert.deepEqual(
    events.filter((event) => event.startsWith("release")),
    ["release 1", "release 2"],
  );
  const none = await reading.answer({ ...jobOf({ kind: "index" }), homes: [7] });
  assert.equal(none.kind, "unavailable");
});
