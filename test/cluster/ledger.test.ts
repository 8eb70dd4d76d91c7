// P5 on the real system: the books of what was sent balance, through kills; what is recorded and not committed is counted
// as queued; the record counted again agrees, and a ledger that was tampered with does not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import type { Commit } from "../../src/store/store.ts";
import { eventually, System, type Keys } from "../harness/system.ts";

const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

interface Line {
  door: string;
  received: number;
  stored: number;
  refused: Record<string, number>;
  queued: number;
  missing: number;
}

interface Ledger {
  balances: boolean;
  total: Line[];
  unasked: unknown[];
}

function run(system: System, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { env: system.env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

async function ledgerOf(system: System, tenant: Keys): Promise<Ledger> {
  const { out } = await run(system, "ledger", tenant.name, "--json");
  return JSON.parse(out) as Ledger;
}

/** Sends `lines` as one connection and waits until it is closed. */
function overTcp(system: System, lines: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: system.tcpPort });
    socket.once("close", () => resolve());
    socket.end(lines);
  });
}

test("the books balance through kills, queued lines are counted, a false ledger is found", {
  timeout: 180_000,
}, async (t) => {
  const system = await System.start({ shards: 2 });
  t.after(() => system.close());
  const tenant = await system.addTenant("books");
  const { writeKey, readKey } = tenant;

  const good = Array.from({ length: 300 }, (_, i) => `${writeKey}.books.tcp.s${i % 9} ${i}\n`).join("");
  await overTcp(system, `${good}${writeKey}.bad value\n${writeKey}.nan nan\nnobody.at.all 1\n`);
  const keyed = { "Idempotency-Key": "once" };
  const body = "books.http.a 1\nbooks.http.b 2\nnot a line at all\n";
  for (let i = 0; i < 2; i++) assert.equal((await system.sink(writeKey, body, keyed)).status, 202);

  const settled = async (door: string) => {
    const { total } = await ledgerOf(system, tenant);
    return total.find((line) => line.door === door);
  };
  await eventually("the books of TCP", async () => (await settled("tcp"))?.stored === 300);
  await eventually("the books of HTTP", async () => (await settled("http"))?.refused["malformed"] === 2);
  const first = await ledgerOf(system, tenant);
  assert.deepEqual([first.balances, first.unasked], [true, []]);
  const tcp = first.total.find(({ door }) => door === "tcp");
  assert.deepEqual([tcp?.received, tcp?.refused, tcp?.queued], [302, { "bad-value": 1, nan: 1 }, 0]);
  const http = first.total.find(({ door }) => door === "http");
  assert.equal(http?.stored, 2);
  // The second time it was sent: one way or another it is in the books.
  assert.deepEqual([http?.received, http?.refused], [6, { malformed: 2, duplicate: 2 }]);

  await t.test("what was refused and who sends unwanted can be looked at; keys are not shown", async () => {
    const refused = await run(system, "refused", "books", "--json");
    const lines = JSON.parse(refused.out) as { door: string; peer: string; reason: string; text: string }[];
    const seen = (door: string, reason: string, text: string) =>
      lines.some((line) => line.door === door && line.reason === reason && line.text === text);
    assert.ok(seen("tcp", "bad-value", "bad value") && seen("tcp", "nan", "nan nan"), refused.out);
    assert.ok(seen("http", "malformed", "not a line at all"), refused.out);
    assert.ok(lines.every(({ peer }) => peer === "127.0.0.1"));
    assert.match(
      (await run(system, "refused", "books")).out,
      /tcp {2}127\.0\.0\.1 {2}bad-value {2}bad value/,
    );
    assert.equal((await system.sink(readKey, "a 1\n")).status, 403);
    const { out } = await run(system, "senders", "--json");
    const senders = JSON.parse(out) as { reason: string; door: string; tenant?: string; address: string }[];
    const of = (reason: string) => senders.find((sender) => sender.reason === reason);
    assert.equal(of("unknown-key")?.door, "tcp");
    assert.deepEqual(
      [of("key-not-for-writing")?.door, of("key-not-for-writing")?.tenant],
      ["http", tenant.id],
    );
    const unknown = await run(system, "senders", "--unknown");
    assert.match(unknown.out, /127\.0\.0\.1 {2}tcp {2}unknown-key/);
    assert.doesNotMatch(unknown.out, /not-for-writing/);
    for (const text of [refused.out, out, unknown.out])
      assert.ok(!text.includes(writeKey) && !text.includes(readKey));
  });

  await t.test("over HTTP with the read key, and nobody else's", async () => {
    const get = (key: string, query = "?by=total") =>
      fetch(`http://127.0.0.1:${system.apiPort}/api/v1/ledger${query}`, {
        headers: { Authorization: `Bearer ${key}` },
      });
    const answer = (await (await get(readKey)).json()) as Ledger;
    assert.deepEqual(answer.total, first.total);
    assert.equal((await get(writeKey)).status, 403);
    assert.equal((await get("nobody")).status, 401);
    assert.equal((await get(readKey, "?by=year")).status, 400);
    assert.equal((await get(readKey, "?from=nonsense")).status, 400);
  });

  await t.test("what is recorded and not committed is queued", async () => {
    // The actor's store is held up by nobody but us: the node that would commit does not run.
    const pid = system.pid("node");
    const ready = system.nextLog((line) => line.process === "node" && line.msg === "ready", "the next node");
    process.kill(pid, "SIGKILL");
    assert.equal((await system.sink(writeKey, "books.http.a 1\n")).status, 202);
    await ready;
    await eventually("all committed", async () => (await settled("http"))?.stored === 3).catch(
      async (error: unknown) => {
        throw new Error(`${JSON.stringify(await ledgerOf(system, tenant))}\n${system.tail()}`, {
          cause: error,
        });
      },
    );
    assert.equal((await ledgerOf(system, tenant)).balances, true);
  });

  await t.test("the record counted again agrees", async () => {
    const checked = await run(system, "ledger", "--check");
    assert.deepEqual([checked.code, checked.err], [0, ""], checked.out);
    assert.match(checked.out, /shard 0: \d+ lines in \d+ frames: agrees/);
  });

  await t.test("a ledger that says something else is found", async () => {
    const shown = JSON.parse(await system.millrace("tenant", "show", "books", "--json")) as {
      shards: number[];
    };
    const shard = shown.shards[0] ?? 0;
    await system.stop();
    const engine = createLmdbEngine({
      folder: join(system.home, "store"),
      mapBytes: 100e6,
      clock: systemClock,
    });
    const store = await engine.openShard(shard);
    const claim = await store.claim({ node: "node", mapVersion: 1, instance: "i" });
    assert(claim.kind === "claimed");
    const { state } = claim;
    const minute = Math.floor(Date.now() / 60_000) * 60;
    const row = { tenant: tenant.id, door: "tcp", minute, reason: "", count: 1 } as const;
    const empty = { count: 0 } as Commit["deltas"];
    const commit: Commit = {
      epoch: state.epoch,
      from: state.offset,
      to: state.offset,
      incarnation: state.incarnation,
      frameTimeMs: state.frameTimeMs,
      receivedAtMs: state.receivedAtMs,
      newSeries: [],
      deltas: empty,
      boots: [],
      keyed: [],
      ledger: [
        { ...row, fate: "received" },
        { ...row, fate: "stored" },
      ],
      dead: [],
      holes: [],
    };
    assert.equal((await store.commit(commit)).kind, "ok");
    await store.close();
    await system.up();
    await eventually("the check is red", async () => {
      const checked = await run(system, "ledger", "--check", "--json");
      return checked.code === 1 && /"what":"received","record":\d+,"ledger":\d+/.test(checked.out);
    });
  });
});
