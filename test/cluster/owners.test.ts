// Who owns a shard, and what the record is: a zombie is fenced, a record that was wiped or set back is noticed.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { systemClock } from "../../src/base/clock.ts";
import { streamName } from "../../src/bus/subjects.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import { eventually, freePorts, System, type Keys, type LogLine } from "../harness/system.ts";

const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

/** Sends one point of value 1 and wants it recorded. */
async function send(system: System, tenant: Keys, name: string): Promise<void> {
  const response = await system.sink(tenant.writeKey, `${name} 1 ${Math.floor(Date.now() / 1000)}\n`);
  assert.equal(response.status, 202, await response.text());
}

async function total(system: System, tenant: Keys, name: string): Promise<number> {
  return (await system.sums(tenant.readKey, `${name}:sum`)).get(`${name}:sum`) ?? 0;
}

test("a zombie node, stopped and continued, is fenced; every point counts once", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start({ shards: 2, env: { MILLRACE_COMMIT_MS: "50" } });
  const atEnd: (() => unknown)[] = [() => system.close()];
  // The last one started is the first one ended: both nodes write below the system's home.
  t.after(async () => {
    for (const end of atEnd.toReversed()) await end();
  });
  const tenant = system.demo;
  const zombie = system.pid("node");
  let sent = 0;
  for (; sent < 20; sent++) await send(system, tenant, "zombie.count");

  process.kill(zombie, "SIGSTOP");
  atEnd.push(() => {
    try {
      process.kill(zombie, "SIGCONT");
    } catch {}
  });
  const [port] = await freePorts(1);
  const successor = spawn(process.execPath, ["--enable-source-maps", program, "node"], {
    env: { ...system.env, MILLRACE_NODE_LISTEN: `127.0.0.1:${port}` },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  atEnd.push(async () => {
    if (successor.exitCode !== null) return;
    successor.kill("SIGTERM");
    await once(successor, "exit");
  });
  const reads = new Promise<void>((resolve) => {
    const shards = new Set<unknown>();
    createInterface({ input: successor.stdout as Readable }).on("line", (line) => {
      const { msg, shard } = JSON.parse(line) as LogLine;
      if (msg === "shard reads" && shards.add(shard).size === 2) resolve();
    });
  });
  // Stopped in the middle of a commit it holds the store's lock: then nobody can have the shard yet, and it is
  // continued for a moment.
  for (let owned = false; !owned; ) {
    owned = await Promise.race([reads.then(() => true), systemClock.sleep(3000).then(() => false)]);
    if (owned) break;
    process.kill(zombie, "SIGCONT");
    await systemClock.sleep(20);
    process.kill(zombie, "SIGSTOP");
  }
  for (; sent < 40; sent++) await send(system, tenant, "zombie.count");

  process.kill(zombie, "SIGCONT");
  for (; sent < 60; sent++) await send(system, tenant, "zombie.count");
  const isFenced = (line: LogLine) => line.msg === "shard is fenced: waiting for a newer map";
  await system.until(() => system.log.some(isFenced), "a fenced zombie");
  await eventually("all points", async () => (await total(system, tenant, "zombie.count")) >= sent);
  assert.equal(await total(system, tenant, "zombie.count"), sent);
});

test("a stream that was wiped under the offset fails its shard alone, with record-rewound", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start({ shards: 4 });
  t.after(() => system.close());
  const tenants = await Promise.all(
    ["a", "b", "c", "d", "e", "f", "g", "h"].map((name) => system.addTenant(name)),
  );
  const home = (tenant: Keys) =>
    homeOf({ id: tenant.id, name: "", state: "active", createdMs: 0, keys: [], homes: [] }, 4);
  const victim = tenants[0] as Keys;
  const sibling = tenants.find((tenant) => home(tenant) !== home(victim));
  assert(sibling !== undefined, "eight tenants do not all share one of four shards");
  for (const tenant of [victim, sibling]) {
    await send(system, tenant, "before.wipe");
    await eventually("the first point", async () => (await total(system, tenant, "before.wipe")) === 1);
  }

  const failed = system.nextLog((line) => line.msg === "shard has failed", "the failed shard");
  const nats = await connect({ servers: `127.0.0.1:${system.natsPort}` });
  t.after(() => nats.close());
  const manager = await jetstreamManager(nats);
  await manager.streams.delete(streamName(home(victim)));
  const line = await failed;
  assert.equal(line["shard"], home(victim));
  assert.equal(line["code"], "record-rewound");

  const health = await system.nodeHealth();
  assert.deepEqual(
    health.shards.map((shard) => shard.state),
    [0, 1, 2, 3].map((shard) => (shard === home(victim) ? "failed" : "running")),
  );
  await send(system, sibling, "before.wipe");
  await eventually(
    "the sibling's second point",
    async () => (await total(system, sibling, "before.wipe")) === 2,
  );
  // What was committed before is still there to read.
  assert.equal(await total(system, victim, "before.wipe"), 1);
});
