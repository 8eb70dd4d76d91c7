// The spool with real processes: killed when it is full, on a full disk, with one shard that says no, and with NATS away
// for some seconds under load.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "nats";
import { streamName } from "../../src/bus/subjects.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { smallDisk } from "../harness/disk.ts";
import { startNatsServer } from "../harness/nats-server.ts";
import { eventually, freePorts, System, systemPorts, temporaryHome, type Keys } from "../harness/system.ts";

const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

interface GatewayHealth {
  record: boolean;
  spool: { bytes: number; frames: number; oldestSeconds: number; shards: { shard: number; full: boolean }[] };
}

async function health(system: System): Promise<GatewayHealth> {
  return (await (await fetch(`http://127.0.0.1:${system.httpPort}/health`)).json()) as GatewayHealth;
}

async function metric(system: System, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${system.httpPort}/metrics`)).text();
  const found = text.matchAll(new RegExp(`^gateway_spool_${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
  return [...found].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function dial(system: System): Promise<Socket> {
  const socket = connect(system.tcpPort, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Settles when the kernel has it. */
function written(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve) => socket.write(text, () => resolve()));
}

function lines(tenant: Keys, name: string, count: number, padding = ""): string {
  return `${tenant.writeKey}.${name}${padding} 1 ${Math.floor(Date.now() / 1000)}\n`.repeat(count);
}

async function count(system: System, tenant: Keys, name: string): Promise<number> {
  const sums = await system.sums(tenant.readKey, `${name}:count`);
  return [...sums.values()].reduce((sum, value) => sum + value, 0);
}

async function allThereOnce(system: System, tenant: Keys, name: string, sent: number): Promise<void> {
  await eventually(`${sent} points of ${name}`, async () => (await count(system, tenant, name)) >= sent);
  assert.equal(await count(system, tenant, name), sent);
}

/** A tenant at home on each of two shards. */
async function tenantOfEach(system: System): Promise<[Keys, Keys]> {
  const found: Keys[] = [];
  for (let keys = system.demo, n = 0; ; keys = await system.addTenant(`other-${n++}`)) {
    const tenant: Tenant = { id: keys.id, name: "", state: "active", createdMs: 0, keys: [], homes: [] };
    found[homeOf(tenant, 2)] ??= keys;
    const [first, second] = found;
    if (first !== undefined && second !== undefined) return [first, second];
  }
}

test("P2: NATS away, the gateway killed with a full spool: its next start forwards everything, once", {
  timeout: 180_000,
}, async (t) => {
  const server = await startNatsServer();
  t.after(() => server.close());
  const env = { MILLRACE_NATS_URL: server.url, MILLRACE_DISK_BUDGET: "40MB" };
  const system = await System.start({ env });
  t.after(() => system.close());
  const tenant = system.demo;
  const socket = await dial(system);
  let sent = 0;
  const send = async (points: number) => {
    await written(socket, lines(tenant, "kill", points, `.${"x".repeat(150)}`));
    sent += points;
  };
  await send(1000);
  await eventually("the first points", async () => (await count(system, tenant, "kill.*")) === 1000);
  await server.kill9();
  await eventually("the gateway's notice", async () => !(await health(system)).record);
  // Until the shard's share, 2 MB, is used up: the gateway then reads no more.
  const shardOf = () => health(system).then(({ spool }) => spool.shards[0]);
  while ((await shardOf())?.full !== true) await send(500);
  const inTime = await Promise.race([send(200_000).then(() => true), sleep(1500).then(() => false)]);
  assert.equal(inTime, false, "the connection waits");
  const { spool } = await health(system);
  assert(spool.bytes > 1.5e6 && spool.bytes < 2.2e6 && spool.frames > 0, JSON.stringify(spool));
  // How many lines the gateway took is what it counted; the rest was never read, or is lost with the socket.
  const accepted = await acceptedLines(system);
  assert(accepted < sent + 200_000);
  process.kill(system.pid("gateway"), "SIGKILL");
  socket.destroy();
  const again = system.nextLog(
    ({ process: p, msg }) => p === "gateway" && msg === "ready",
    "the next gateway",
  );
  await server.restart();
  await again;
  await allThereOnce(system, tenant, "kill.*", accepted);
  await eventually("an empty spool", async () => (await metric(system, "bytes")) === 0);
  const left = readdirSync(join(system.home, "spool", "gateway", "shard-0"));
  assert.deepEqual(
    left.filter((name) => name.endsWith(".spool")),
    [],
  );

  // Its lock: a second gateway of the name is told what to do.
  const second = spawn(process.execPath, [program, "gateway"], {
    env: system.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  second.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(second, "exit")) as [number];
  assert.equal(code, 78);
  assert.match(said, /MILLRACE_GATEWAY/);
});

async function acceptedLines(system: System): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${system.httpPort}/metrics`)).text();
  return [...text.matchAll(/^gateway_lines_accepted_total\{door="tcp".*\} (\d+)$/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test("NATS away for some seconds under load on TCP: all lines arrive once, the spool is drained", {
  timeout: 180_000,
}, async (t) => {
  const server = await startNatsServer();
  t.after(() => server.close());
  const system = await System.start({ env: { MILLRACE_NATS_URL: server.url } });
  t.after(() => system.close());
  const tenant = system.demo;
  const socket = await dial(system);
  let sent = 0;
  const load = async (ms: number) => {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) {
      await written(socket, lines(tenant, "load", 200));
      sent += 200;
    }
  };
  await load(500);
  await server.kill9();
  await load(2500);
  assert((await health(system)).spool.bytes > 0);
  assert.equal((await system.sink(tenant.writeKey, "asked 1\n")).status, 503);
  const back = server.restart();
  await load(800);
  await back;
  await allThereOnce(system, tenant, "load", sent);
  await eventually("an empty spool", async () => (await metric(system, "bytes")) === 0);
  socket.destroy();
  const said = system.log.filter(
    ({ msg }) => msg === "spool: in use" || msg === "spool: empty, all forwarded",
  );
  assert(said.length >= 2 && said.length <= 6, JSON.stringify(said));
});

test("one shard's stream is full: a connection for all shards flows for the others, its lines come later", {
  timeout: 180_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => process.kill(system.pid("coordinator"), "SIGCONT"));
  t.after(() => system.close());
  const [a, b] = await tenantOfEach(system);
  const nats = await connectNats({ servers: `127.0.0.1:${system.natsPort}` });
  t.after(() => nats.close());
  const streams = (await jetstreamManager(nats)).streams;
  const { config } = await streams.info(streamName(0));
  // It brings the caps of the streams up to date every so often.
  process.kill(system.pid("coordinator"), "SIGSTOP");
  await streams.update(streamName(0), { ...config, max_bytes: 1 });
  const socket = await dial(system);
  for (let i = 0; i < 100; i++) await written(socket, lines(a, "mix", 10) + lines(b, "mix", 10));
  await allThereOnce(system, b, "mix", 1000);
  // What is on its way is handed over once the stream has said no to it.
  await eventually("shard 0's lines in the spool", async () => {
    const { spool } = await health(system);
    return spool.shards.length === 1 && spool.shards[0]?.shard === 0;
  });
  assert.equal((await system.sink(a.writeKey, "asked 1\n")).status, 503);
  assert.equal((await system.sink(b.writeKey, "asked 1\n")).status, 202);
  await streams.update(streamName(0), config);
  process.kill(system.pid("coordinator"), "SIGCONT");
  await allThereOnce(system, a, "mix", 1000);
  await eventually("an empty spool", async () => (await metric(system, "bytes")) === 0);
  const text = await (await fetch(`http://127.0.0.1:${system.httpPort}/metrics`)).text();
  assert.doesNotMatch(text, /refused_total.*shard-full/);
  socket.destroy();
});

test("the spool's disk is full: said and counted, the gateway lives, and all that was taken arrives", {
  timeout: 180_000,
}, async (t) => {
  const server = await startNatsServer();
  t.after(() => server.close());
  const home = temporaryHome();
  const options = { home, env: { MILLRACE_NATS_URL: server.url, MILLRACE_DISK_BUDGET: "400MB" } };
  const system = new System(options, await freePorts(systemPorts));
  t.after(() => system.close());
  const disk = smallDisk(t, join(home, "spool"), 4);
  t.after(() => rmSync(home, { recursive: true }));
  if (disk === undefined) return;
  await system.up();
  const tenant = system.demo;
  const socket = await dial(system);
  await server.kill9();
  await eventually("the gateway's notice", async () => !(await health(system)).record);
  const failed = system.nextLog(({ msg }) => msg === "spool: the disk fails", "a word about the disk");
  const stopped = new AbortController();
  let sent = 0;
  const sending = (async () => {
    while (!stopped.signal.aborted) {
      await written(socket, lines(tenant, "disk", 1000, `.${"x".repeat(100)}`));
      sent += 1000;
    }
  })();
  assert.match(String((await failed)["why"]), /ENOSPC/);
  await eventually("errors are counted", async () => (await metric(system, "errors_total")) > 0);
  assert(statSync(join(home, "spool")).isDirectory());
  stopped.abort();
  await server.restart();
  await sending;
  await allThereOnce(system, tenant, "disk.*", sent);
  await eventually("an empty spool", async () => (await metric(system, "bytes")) === 0);
  socket.destroy();
});
