// The real threads of upkeep: what a bad one costs, and that a real one does a store's upkeep and lets go of it.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createUpkeepPool, type UpkeepPool } from "../../cluster/upkeep-pool.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import type { UpkeepAnswer, UpkeepRules } from "../../workers/messages.ts";
import * as bad from "./bad-upkeep.ts";

const rules: UpkeepRules = {
  version: 7,
  standard: { rungs: [{ stepSeconds: 10, spanSeconds: 86_400 }] },
  tenants: [["t", [{ fromSeconds: 0, rules: [{ name: "all", pattern: ".", ladder: { rungs: [] } }] }]]],
};

function slice(pool: UpkeepPool, shard: number, given?: UpkeepRules): Promise<UpkeepAnswer> {
  const job = { kind: "slice", shard, sliceMs: 50, nowSeconds: 1_700_000_000, rulesVersion: 7 } as const;
  return pool.run(given === undefined ? job : { ...job, rules: given });
}

test("a thread that throws, exits or runs out of memory costs its job; the next one has a thread again", {
  timeout: 60_000,
}, async (t) => {
  const deaths: unknown[] = [];
  let died = () => {};
  const death = new Promise<void>((resolve) => (died = resolve));
  const pool = createUpkeepPool({
    store: { folder: "", mapBytes: 0 },
    heapMb: 64,
    worker: new URL("bad-upkeep.js", import.meta.url),
    onThreadError: (error) => {
      deaths.push(error);
      died();
    },
  });
  // A thread without a job does not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  t.after(() => {
    clearInterval(alive);
    return pool.close();
  });
  const jobs = async () => {
    const answer = await slice(pool, 0);
    return answer.kind === "sliced" ? answer.backlogBytes : undefined;
  };
  assert.equal(await jobs(), 1);
  await assert.rejects(slice(pool, bad.throws), /a bug/);
  assert.equal(await jobs(), 3, "a throw costs no thread");
  await assert.rejects(slice(pool, bad.exits), /exited with code: 3/);
  assert.equal(await jobs(), 1);
  await assert.rejects(slice(pool, bad.fillsHeap), { code: "ERR_WORKER_OUT_OF_MEMORY" });
  assert.equal(await jobs(), 1);
  assert.equal(deaths.length, 0);
  await slice(pool, bad.dyingLater);
  await death;
  assert.match(String(deaths[0]), /a bug of later/);
  assert.equal(await jobs(), 1);
});

test("a thread asks for the rules it has not, does the upkeep of a store, and lets go of it", {
  timeout: 60_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-upkeep-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = { folder, mapBytes: 8 << 20 };
  const actor = await createLmdbEngine({ ...store, clock: systemClock }).openShard(0);
  const onThreadError = (error: unknown) => assert.fail(String(error));
  const pool = createUpkeepPool({ store, heapMb: 256, onThreadError });
  assert.deepEqual(await slice(pool, 0), { kind: "rules-wanted" });
  const idle: UpkeepAnswer = { kind: "sliced", done: {}, end: "idle", backlogBytes: 0 };
  assert.deepEqual(await slice(pool, 0, rules), idle);
  assert.deepEqual(await slice(pool, 0), idle);
  assert.deepEqual(await pool.run({ kind: "close", shard: 0 }), { kind: "closed" });
  assert.deepEqual(await slice(pool, 0), idle);
  await pool.close();
  await actor.close();
});

test("a store that can't be opened is an answer, not the thread's end", { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-upkeep-"));
  const file = join(folder, "no-folder");
  writeFileSync(file, "");
  const store = { folder: file, mapBytes: 8 << 20 };
  const pool = createUpkeepPool({ store, heapMb: 256, onThreadError: () => {} });
  t.after(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const answer = await slice(pool, 0, rules);
  assert.ok(answer.kind === "outage" && answer.code === "store-unavailable", JSON.stringify(answer));
  assert.equal((await slice(pool, 0)).kind, "outage");
});
