import assert from "node:assert/strict";
import { test } from "node:test";
import { createQueryPool, QueueFull } from "../../src/api/pool.ts";
import type { QueryAnswer } from "../../src/api/messages.ts";
import { isOutage } from "../../src/base/errors.ts";
import { jobOf } from "./query.ts";

const worker = new URL(
  `./bad-worker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

function poolOf(options: { threads?: number; queueMax?: number } = {}) {
  const pool = createQueryPool({
    store: { folder: "/nonexistent", mapBytes: 1 << 20 },
    threads: options.threads ?? 1,
    queueMax: options.queueMax ?? 10,
    heapMb: 64,
    worker,
    onThreadError() {},
  });
  const ask = (how: string, signal: AbortSignal = new AbortController().signal) =>
    pool.run(jobOf({ kind: "index" }, { tenant: how }), signal);
  return { pool, ask };
}

function text(answer: QueryAnswer): string {
  return answer.kind === "ok"
    ? new TextDecoder().decode(answer.body)
    : `${answer.kind} ${answer.kind === "refused" ? answer.reason : ""}`;
}

test("P3: a query that loops, throws, exits or eats the heap costs itself and its thread", async () => {
  const { pool, ask } = poolOf();
  assert.equal(text(await ask("fine")), "1");
  assert.equal(text(await ask("fine")), "2", "the thread is used again");
  const force = new AbortController();
  const looping = ask("loop", force.signal);
  const next = ask("fine");
  force.abort();
  assert.equal(text(await looping), "refused time");
  assert.equal(text(await next), "1", "a new thread");
  await assert.rejects(ask("throw"), /a bug/);
  assert.equal(text(await ask("fine")), "3", "a throw leaves the thread alive");
  assert.equal(text(await ask("heap")), "refused memory");
  assert.equal(text(await ask("fine")), "1");
  await assert.rejects(ask("exit"), /exited/);
  assert.equal(text(await ask("fine")), "1");
  await pool.close();
});

test("Q3: the queue is bounded, and what was given up in it is not run", async () => {
  const { pool, ask } = poolOf({ queueMax: 2 });
  assert.equal(text(await ask("fine")), "1");
  const force = new AbortController();
  const running = ask("hang", force.signal);
  const given = new AbortController();
  const waiting = [ask("throw", given.signal), ask("fine")];
  await assert.rejects(ask("fine"), (error: unknown) => error instanceof QueueFull);
  given.abort();
  assert.equal(text((await waiting[0]) as QueryAnswer), "refused time");
  const room = ask("fine");
  force.abort();
  assert.equal(text(await running), "refused time");
  assert.deepEqual([text((await waiting[1]) as QueryAnswer), text(await room)], ["1", "2"]);
  await pool.close();
});

test("Q1: a busy thread does not stall the event loop, nor another thread", async () => {
  const { pool, ask } = poolOf({ threads: 2 });
  const force = new AbortController();
  const looping = ask("loop", force.signal);
  for (let i = 0; i < 5; i++) assert.match(text(await ask("fine")), /^\d$/);
  force.abort();
  assert.equal(text(await looping), "refused time");
  await pool.close();
});

test("a closed pool is an outage", async () => {
  const { pool, ask } = poolOf();
  await pool.close();
  await assert.rejects(ask("fine"), (error: unknown) => isOutage(error, "store-unavailable"));
});
