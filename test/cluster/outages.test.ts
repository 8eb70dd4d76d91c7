// The world fails: NATS away at the start, NATS away while sending, a corrupt frame, a full stream, odd clocks.
import { strict as assert } from "node:assert";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "nats";
import { streamSubject } from "../../src/bus/subjects.ts";
import { startNatsServer } from "../harness/nats-server.ts";
import { eventually, freePorts, System, systemPorts } from "../harness/system.ts";

test("NATS down at the start: the system waits, says so, and goes on when it comes", {
  timeout: 120_000,
}, async (t) => {
  const [natsPort] = await freePorts(1);
  const system = new System(
    { env: { MILLRACE_NATS_URL: `nats://127.0.0.1:${natsPort}` } },
    await freePorts(systemPorts),
  );
  t.after(() => system.close());
  system.launch();
  await system.nextLog((line) => line.msg === "waiting for NATS", "a word about the wait");
  assert(!system.text.includes("Millrace runs."));
  const server = await startNatsServer({ port: natsPort as number });
  t.after(() => server.close());
  await system.until(() => system.text.includes("Millrace runs."), "the greeting");
  assert.equal((await system.sink(system.demo.writeKey, "late.start 1\n")).status, 202);
});

test("NATS killed while sending: HTTP answers 503, TCP waits, nothing is lost", {
  timeout: 120_000,
}, async (t) => {
  const server = await startNatsServer();
  t.after(() => server.close());
  const system = await System.start({ env: { MILLRACE_NATS_URL: server.url } });
  t.after(() => system.close());
  const { writeKey, readKey } = system.demo;
  assert.equal((await system.sink(writeKey, "outage.http 1\n")).status, 202);
  await eventually(
    "the first point",
    async () => (await system.sums(readKey, "outage.http:sum")).get("outage.http:sum") === 1,
  );

  await server.kill9();
  await eventually("a 503", async () => {
    const response = await system.sink(writeKey, "outage.refused 1\n");
    const body = (await response.json()) as { recorded?: string };
    if (response.status !== 503) return false;
    assert.equal(response.headers.get("retry-after"), "1");
    return body.recorded === "none";
  });
  const known = await fetch(`http://127.0.0.1:${system.apiPort}/render?target=outage.http`, {
    headers: { Authorization: `Bearer ${readKey}` },
  });
  assert.equal(known.status, 200, "queries go on without NATS");
  await known.arrayBuffer();
  const health = await fetch(`http://127.0.0.1:${system.httpPort}/health`);
  assert.equal(health.status, 503);
  await health.arrayBuffer();

  const socket = connectTcp({ host: "127.0.0.1", port: system.tcpPort });
  for (let i = 0; i < 5000; i++) socket.write(`${writeKey}.outage.tcp 1\n`);
  socket.end();
  await server.restart();
  await eventually(
    "the lines of the waiting connection",
    async () => (await system.sums(readKey, "outage.tcp:count")).get("outage.tcp:count") === 5000,
  );
  await eventually("HTTP again", async () => (await system.sink(writeKey, "outage.http 1\n")).status === 202);
  await eventually(
    "both points",
    async () => (await system.sums(readKey, "outage.http:sum")).get("outage.http:sum") === 2,
  );
});

test("a corrupt frame is a dead letter with its reason, and the rest flows", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start({ shards: 1 });
  t.after(() => system.close());
  const { writeKey, readKey } = system.demo;
  const nats = await connect({ servers: `127.0.0.1:${system.natsPort}` });
  t.after(() => nats.close());
  for (const bytes of [Buffer.from("no frame"), new Uint8Array(), Buffer.from([0x97, 1, 2, 3])])
    await jetstream(nats).publish(streamSubject(0), bytes);
  assert.equal((await system.sink(writeKey, "after.corrupt 7\n")).status, 202);
  await eventually(
    "the point behind the corrupt frames",
    async () => (await system.sums(readKey, "after.corrupt:sum")).get("after.corrupt:sum") === 7,
  );
  const metrics = await (await fetch(`http://127.0.0.1:${system.apiPort}/metrics`)).text();
  assert.match(metrics, /shard_dead_total\{shard="0"\} 3/);
});

test("time stamps out of range are refused with a reason; the others of the body count", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => system.close());
  const now = Math.floor(Date.now() / 1000);
  const body = `good.a 1 ${now}\nfar.ahead 1 1768435200000\nold.unix 1 1\nahead.hour 1 ${now + 3700}\ngood.b 2\n`;
  const response = await system.sink(system.demo.writeKey, body);
  assert.equal(response.status, 202);
  assert.deepEqual(await response.json(), {
    accepted: 2,
    refused: [
      { line: 2, reason: "too-new", text: "far.ahead 1 1768435200000" },
      { line: 3, reason: "too-old", text: "old.unix 1 1" },
      { line: 4, reason: "too-new", text: `ahead.hour 1 ${now + 3700}` },
    ],
  });
});
