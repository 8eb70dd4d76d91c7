// What the stories of backup and restore share: senders that know what was acknowledged, systems, commands that fail.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addTenant } from "../../src/tenant/admin.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import { natsUrlOf } from "../../src/config/places.ts";
import { readSettings, type Settings } from "../../src/config/settings.ts";
import type { Manifest } from "../../bin/backup-files.ts";
import { eventually, freePorts, System, systemPorts, temporaryHome, type Keys } from "../harness/system.ts";

const shards = 3;
const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

/** By series: how many points, and their sum. */
type Ledger = Map<string, { count: number; sum: number }>;

export class Sender {
  readonly ledger: Ledger = new Map();
  readonly tenant: Keys;
  batches = 0;

  constructor(tenant: Keys) {
    this.tenant = tenant;
  }

  /** A batch under a key, sent until it is acknowledged. */
  async batch(system: System): Promise<void> {
    const batch = this.batches++;
    await this.send(system, batch);
    for (let i = 0; i < 20; i++) {
      const name = `kept.s${i % 5}`;
      const entry = this.ledger.get(name) ?? { count: 0, sum: 0 };
      this.ledger.set(name, { count: entry.count + 1, sum: entry.sum + batch + i });
    }
  }

  /** The same batch always has the same points: at one time, so that late ones meet buckets that are there. */
  async send(system: System, batch: number): Promise<void> {
    const lines = Array.from({ length: 20 }, (_, i) => `kept.s${i % 5} ${batch + i} ${began}\n`);
    for (;;) {
      const headers = { "Idempotency-Key": `${this.tenant.id}-${batch}` };
      const response = await system.sink(this.tenant.writeKey, lines.join(""), headers);
      await response.arrayBuffer();
      if (response.status === 202) return;
      assert.equal(response.status, 503);
      await systemClock.sleep(50);
    }
  }
}

const began = Math.floor(Date.now() / 1000) - 60;

export async function sent(system: System, senders: readonly Sender[], batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) await Promise.all(senders.map((sender) => sender.batch(system)));
}

/** Every acknowledged point is there exactly once. */
export async function checkExact(system: System, senders: readonly Sender[]): Promise<void> {
  for (const { tenant, ledger } of senders)
    for (const field of ["count", "sum"] as const) {
      const wanted = new Map([...ledger].map(([name, entry]) => [`${name}:${field}`, entry[field]]));
      const read = () => system.sums(tenant.readKey, `kept.*:${field}`);
      await eventually(`the ${field}s of ${tenant.name}`, async () => {
        const got = await read();
        return [...wanted].every(([name, value]) => (got.get(name) ?? 0) >= value);
      });
      assert.deepEqual(await read(), wanted, `${field}s of ${tenant.name}`);
    }
}

export async function start(
  t: TestContext,
  natsUrl = "",
): Promise<{ system: System; senders: Sender[]; dir: string }> {
  const home = temporaryHome();
  const dir = `${home}.backup`;
  const env = { MILLRACE_COMMIT_MS: "20", MILLRACE_NATS_URL: natsUrl };
  const system = new System({ home, shards, env }, await freePorts(systemPorts));
  t.after(() => system.close());
  t.after(() => {
    for (const path of [home, dir]) rmSync(path, { recursive: true, force: true });
  });
  await system.up();
  const tenants = await tenantOfEachShard(system);
  for (const tenant of tenants) await system.knows(tenant);
  return { system, senders: tenants.map((tenant) => new Sender(tenant)), dir };
}

const parts = { clock: systemClock, random: systemRandom };

export function connect(url: string): Promise<Bus> {
  return connectNats({ url, name: "test", ...parts, log: makeLog("test", "error") });
}

async function tenantOfEachShard(system: System): Promise<Keys[]> {
  const bus = await connect(natsUrlOf(settingsOf(system)));
  const kv = await bus.kv(tenantsBucket);
  const found: Keys[] = [];
  for (let i = 0; found.filter(Boolean).length < shards; i++) {
    const added = await addTenant(kv, `tenant${i}`, parts);
    assert(added.kind === "added");
    const { tenant, writeKey, readKey } = added;
    found[homeOf(tenant, shards)] ??= { id: tenant.id, name: tenant.name, writeKey, readKey };
  }
  await bus.close();
  return found;
}

export async function backup(system: System, dir: string): Promise<Manifest> {
  return JSON.parse(await system.millrace("backup", dir, "--json")) as Manifest;
}

export const quiet = { say: () => {} };
export const replace = { replace: true, freshRecord: false };

export function settingsOf(system: System, more: Record<string, string> = {}): Settings {
  return readSettings({ ...system.env, ...more });
}

/** Where each shard's actor began to read since `from`, an index of the log. */
export function readFrom(system: System, from: number): unknown[] {
  const lines = system.log.slice(from).filter((line) => line.msg === "shard reads");
  return Array.from(
    { length: shards },
    (_, shard) => lines.find((line) => line["shard"] === shard)?.["offset"],
  );
}

/** A system in a home of its own, with the same settings but no record. */
export async function elsewhere(t: TestContext): Promise<System> {
  const home = temporaryHome();
  const system = new System(
    { home, shards, env: { MILLRACE_COMMIT_MS: "20" } },
    await freePorts(systemPorts),
  );
  t.after(() => system.close());
  t.after(() => rmSync(home, { recursive: true, force: true }));
  return system;
}

export function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).toSorted() : [];
}

/** What a command that must fail says. */
export async function failure(run: Promise<string>): Promise<string> {
  const error: unknown = await run.then(
    (said) => new Error(`it did not fail: ${said}`),
    (thrown: unknown) => thrown,
  );
  const { stderr } = error as { stderr?: string };
  if (stderr === undefined) throw error;
  return stderr;
}

/** Runs a command and kills it when it says a line. */
export async function killedAt(system: System, line: RegExp, ...words: string[]): Promise<void> {
  const child = spawn(process.execPath, [program, ...words], {
    env: system.env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once("exit", (_, signal) => resolve(signal));
  });
  createInterface(child.stderr).on("line", (said) => {
    if (line.test(said)) child.kill("SIGKILL");
  });
  assert.equal(await exited, "SIGKILL", `killed at ${line}`);
}
