import assert from "node:assert/strict";
import { test } from "node:test";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import type { QueryAnswer, QueryRunner } from "../../src/api/messages.ts";
import { QueueFull } from "../../src/api/pool.ts";
import type { Clock } from "../../src/base/clock.ts";
import { Outage } from "../../src/base/errors.ts";
import { bearer, frozen, now, readKey, start } from "./start.ts";

function runner(run: QueryRunner["run"]): QueryRunner {
  return { run, close: () => Promise.resolve() };
}

function refusal(reason: "time" | "memory"): QueryAnswer {
  return { kind: "refused", reason, why: "too much" };
}

async function answers(run: QueryRunner["run"], status: number, sentence: RegExp): Promise<string[]> {
  const { api, lines } = await start({ queries: runner(run) });
  const answer = await api.app.inject({ url: `/t/${readKey}/render?target=a`, headers: bearer });
  assert.equal(answer.statusCode, status);
  assert.match(answer.body, sentence);
  assert.ok(!answer.body.includes("hidden"), answer.body);
  assert.equal(answer.headers["retry-after"] !== undefined, status === 503);
  assert.ok(!lines.some((line) => line.includes(readKey)));
  await api.close();
  return lines;
}

test("outages, full queues, bugs and time limits have statuses of their own, and leak nothing", async () => {
  await answers(() => Promise.reject(new QueueFull("hidden")), 503, /too many queries/);
  await answers(() => Promise.reject(new Outage("store-corrupt", "hidden")), 503, /can't be read/);
  const lines = await answers(() => Promise.reject(new TypeError("hidden")), 500, /^internal error\n$/);
  assert.ok(
    lines.some((line) => line.includes("hidden")),
    "a bug is logged",
  );
  await answers(() => Promise.resolve(refusal("time")), 504, /too much/);
  await answers(() => Promise.resolve(refusal("memory")), 400, /too much/);
});

/** A runner whose queries wait until they are let go. */
function heldRunner() {
  const waiting: { tenant: string; cancelled: Int32Array; go: () => void }[] = [];
  let onQuery: (() => void) | undefined;
  return {
    waiting,
    /** Settles when this many queries wait. */
    async until(count: number) {
      while (waiting.length < count) await new Promise<void>((resolve) => (onQuery = resolve));
    },
    runner: {
      run: (job, signal) =>
        new Promise<QueryAnswer>((resolve) => {
          const body = new TextEncoder().encode("[]");
          const home = {
            shard: 0,
            offset: 0,
            incarnation: "",
            frameTimeMs: 0,
            receivedAtMs: 0,
            gaps: [],
            holes: [],
          };
          const go = () => resolve({ kind: "ok", body, homes: [home], missing: [] });
          signal.addEventListener("abort", () => resolve({ kind: "refused", reason: "time", why: "forced" }));
          waiting.push({ tenant: job.tenant, cancelled: job.cancelled, go });
          onQuery?.();
        }),
      close: () => Promise.resolve(),
    } satisfies QueryRunner,
  };
}

test("P4: queries open at a time are bounded, in all and per tenant, and places come back", async () => {
  const held = heldRunner();
  const { api } = await start({
    queries: held.runner,
    limits: { queriesOpen: 3, queriesOpenPerTenant: 2 },
  });
  const ask = (key: string) =>
    api.app.inject({ url: "/render?target=a", headers: { authorization: `Bearer ${key}` } });
  const open = [ask(readKey), ask(readKey)];
  await held.until(2);
  const own = await ask(readKey);
  assert.deepEqual([own.statusCode, own.headers["retry-after"]], [429, "2"]);
  open.push(ask("other"));
  await held.until(3);
  const full = await ask("other");
  assert.deepEqual([full.statusCode, full.headers["retry-after"]], [503, "2"]);
  for (const each of held.waiting) each.go();
  for (const each of await Promise.all(open)) assert.equal(each.statusCode, 200);
  const again = ask(readKey);
  await held.until(4);
  held.waiting[3]?.go();
  assert.equal((await again).statusCode, 200);
  await api.close();
});

test("a client that goes away gives its place back, and its query is told", async () => {
  const held = heldRunner();
  const { api } = await start({ queries: held.runner, limits: { queriesOpenPerTenant: 1 } });
  const port = await api.listen({ host: "127.0.0.1", port: 0 });
  const socket = connect(port, "127.0.0.1");
  socket.write(`GET /t/${readKey}/render?target=a HTTP/1.1\r\nHost: x\r\n\r\n`);
  await held.until(1);
  assert.equal(Atomics.load(held.waiting[0]?.cancelled ?? new Int32Array(1), 0), 0);
  socket.destroy();
  const url = `http://127.0.0.1:${port}/render?target=a`;
  // The server learns of the closed socket in its own time: ask until there is a place.
  const second = (async () => {
    for (;;) {
      const answer = await fetch(url, { headers: bearer });
      if (answer.status !== 429) return answer.status;
      await answer.text();
    }
  })();
  await held.until(2);
  assert.equal(Atomics.load(held.waiting[0]?.cancelled ?? new Int32Array(1), 0), 1);
  held.waiting[1]?.go();
  assert.equal(await second, 200);
  held.waiting[0]?.go();
  await api.close();
});

test("a query that does not stop is ended by force", async () => {
  const held = heldRunner();
  const forces: { ms: number; callback: () => void }[] = [];
  const clock: Clock = {
    ...frozen,
    after(ms, callback) {
      forces.push({ ms, callback });
      return () => {};
    },
  };
  const { api } = await start({ queries: held.runner, clock, limits: { timeMs: 1000 } });
  const answer = api.app.inject({ url: "/render?target=a", headers: bearer });
  await held.until(1);
  assert.deepEqual(
    forces.map((each) => each.ms),
    [2000],
  );
  forces[0]?.callback();
  assert.equal((await answer).statusCode, 504);
  await api.close();
});

test("real sockets: what is not HTTP, and headers without end, get a short answer; a taken port is named", async () => {
  const { api } = await start();
  const port = await api.listen({ host: "127.0.0.1", port: 0 });
  const f = (bytes: string, expected: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("error", reject);
      socket.on("close", () => {
        try {
          assert.match(text, expected);
          assert.ok(!text.includes(readKey));
          resolve();
        } catch (error) {
          reject(error);
        }
      });
      socket.write(bytes);
    });
  await f(`web.cpu 1 ${now}\n`, /^HTTP\/1\.1 400 Bad Request[^]*this is not HTTP\n$/);
  await f(
    `GET /render?target=${"x".repeat(40_000)} HTTP/1.1\r\n\r\n`,
    /^HTTP\/1\.1 431 [^]*send a form by POST\n$/,
  );
  await f(`GET /t/${readKey}/../x%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, /^HTTP\/1\.1 400 /);
  const { port: taken } = api.app.server.address() as AddressInfo;
  const second = await start();
  await assert.rejects(second.api.listen({ host: "127.0.0.1", port: taken }), (error: unknown) => {
    assert.ok(error instanceof Outage && error.code === "port-taken");
    assert.match(error.message, new RegExp(`127.0.0.1:${taken} .*MILLRACE_API_LISTEN`));
    return true;
  });
  await second.api.close();
  await api.close();
});
