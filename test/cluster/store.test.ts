// The store of a shard fails while the record goes on: its folder can't be written, its budget is used up, or the
// record was set back under it. Whatever was acknowledged is there once when it can be.
import { strict as assert } from "node:assert";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { homeOf } from "../../src/tenant/routing.ts";
import { readOnly } from "../harness/disk.ts";
import { eventually, freePorts, System, systemPorts, temporaryHome, type Keys } from "../harness/system.ts";

function shardOf(tenant: Keys, shards: number): number {
  return homeOf({ id: tenant.id, name: "", state: "active", createdMs: 0, keys: [], homes: [] }, shards);
}

/** Two tenants of different shards. */
async function neighbours(system: System, shards: number): Promise<[Keys, Keys]> {
  const tenants: Keys[] = [];
  for (let i = 0; ; i++) {
    tenants.push(await system.addTenant(`tenant${i}`));
    const [first, ...others] = tenants as [Keys, ...Keys[]];
    const other = others.find((tenant) => shardOf(tenant, shards) !== shardOf(first, shards));
    if (other !== undefined) return [first, other];
  }
}

async function send(system: System, tenant: Keys, name: string): Promise<void> {
  const response = await system.sink(tenant.writeKey, `${name} 1\n`);
  assert.equal(response.status, 202, await response.text());
}

async function total(system: System, tenant: Keys, name: string): Promise<number> {
  return (await system.sums(tenant.readKey, `${name}:count`)).get(`${name}:count`) ?? 0;
}

async function renderStatus(system: System, tenant: Keys, name: string): Promise<number> {
  const url = `http://127.0.0.1:${system.apiPort}/t/${tenant.readKey}/render?target=${name}`;
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.status;
}

test("a file lies where the stores should: the shards say so, the doors go on; later all is there once", async (t) => {
  const home = temporaryHome();
  const system = new System({ home }, await freePorts(systemPorts));
  t.after(() => system.close());
  t.after(() => rmSync(home, { recursive: true }));
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "store"), "not a folder");
  system.launch();
  const said = await system.nextLog((line) => line.msg === "shard waits", "a waiting shard");
  assert.equal(said["code"], "store-unavailable");
  assert(String(said["why"]).includes(join(home, "store", "shard-")), "with the path");
  await system.until(() => system.text.includes("Millrace runs."), "the greeting");
  for (let i = 0; i < 5; i++) await send(system, system.demo, "store.missing");
  assert.equal(await renderStatus(system, system.demo, "store.missing"), 503);
  const health = await system.nodeHealth();
  assert(!health.ok);
  for (const { why } of health.shards) assert.match(why, /^store-unavailable: .*shard-/);
  rmSync(join(home, "store"));
  await eventually(
    "the points",
    async () => (await total(system, system.demo, "store.missing").catch(() => 0)) >= 5,
  );
  assert.equal(await total(system, system.demo, "store.missing"), 5);
});

test("the stores are read-only: the doors go on, queries see what there was; later all is there once", async (t) => {
  const home = temporaryHome();
  const system = new System({ home }, await freePorts(systemPorts));
  t.after(() => system.close());
  await system.up();
  await send(system, system.demo, "store.locked");
  await eventually("the first point", async () => (await total(system, system.demo, "store.locked")) === 1);
  await system.stop();
  const writable = readOnly(t, join(home, "store"));
  t.after(() => rmSync(home, { recursive: true }));
  if (writable === undefined) return;
  await system.up();
  await eventually("shards that say so", async () => {
    const { ok, shards } = await system.nodeHealth();
    return !ok && shards.length > 0 && shards.every(({ why }) => why.includes(join(home, "store", "shard-")));
  });
  for (let i = 0; i < 5; i++) await send(system, system.demo, "store.locked");
  const status = await renderStatus(system, system.demo, "store.locked");
  assert([200, 503].includes(status), `HTTP ${status}`);
  if (status === 200) assert.equal(await total(system, system.demo, "store.locked"), 1);
  writable();
  await eventually(
    "the points",
    async () => (await total(system, system.demo, "store.locked").catch(() => 0)) >= 6,
  );
  assert.equal(await total(system, system.demo, "store.locked"), 6);
});

test("a shard's budget is used up: it waits and says so, the others go on; a larger budget brings all back", async (t) => {
  const system = await System.start({ shards: 2, env: { MILLRACE_DISK_BUDGET: "22MB" } });
  t.after(() => system.close());
  const [victim, sibling] = await neighbours(system, 2);
  const perBatch = 500;
  let batch = 0;
  let seconds = 0;
  /** A batch of series that nobody has seen yet, with long names. */
  const sendBatch = async (): Promise<number> => {
    seconds ||= Math.floor(Date.now() / 1000);
    const name = (i: number) => `full.b${batch}.s${i}.${"x".repeat(700)}`;
    const body = Array.from({ length: perBatch }, (_, i) => `${name(i)} 1 ${seconds}\n`).join("");
    const response = await system.sink(victim.writeKey, body, { "Idempotency-Key": `batch ${batch}` });
    await response.arrayBuffer();
    assert([202, 503].includes(response.status), `HTTP ${response.status}`);
    if (response.status === 202) {
      batch++;
      seconds = 0;
    }
    return response.status;
  };
  const waits = system.nextLog((line) => line["code"] === "store-full", "a word about the full store");
  await eventually("503 when the record is full, too", async () => (await sendBatch()) === 503);
  const said = await waits;
  assert.equal(said["shard"], shardOf(victim, 2));
  t.diagnostic(`${batch} batches of ${perBatch} series were taken`);
  await eventually("the full shard in /health", async () => {
    const { shards } = await system.nodeHealth();
    return shards.some(({ shard, why }) => shard === said["shard"] && why.startsWith("store-full: "));
  });
  assert.equal(await renderStatus(system, victim, "full.b0.s1.*"), 200);
  await send(system, sibling, "still.flows");
  await eventually("the sibling's point", async () => (await total(system, sibling, "still.flows")) === 1);

  await system.stop();
  system.env["MILLRACE_DISK_BUDGET"] = "200MB";
  await system.up();
  await eventually("the batch that was refused", async () => (await sendBatch()) === 202);
  for (let b = 0; b < batch; b++) {
    const counts = async () => [...(await system.sums(victim.readKey, `full.b${b}.*.*:count`)).values()];
    await eventually(`batch ${b}`, async () => (await counts()).length === perBatch);
    assert.deepEqual(new Set(await counts()), new Set([1]));
  }
});

test("a record that was set back fails the shards that have read beyond it, and no other", async (t) => {
  const system = await System.start({ shards: 2 });
  t.after(() => system.close());
  const [victim, sibling] = await neighbours(system, 2);
  for (const tenant of [victim, sibling]) {
    await send(system, tenant, "before.copy");
    await eventually("the first point", async () => (await total(system, tenant, "before.copy")) === 1);
  }
  await system.stop();
  const nats = join(system.home, "nats");
  cpSync(nats, `${nats}.older`, { recursive: true });
  await system.up();
  await send(system, victim, "behind.copy");
  await eventually("the second point", async () => (await total(system, victim, "behind.copy")) === 1);
  await system.stop();
  rmSync(nats, { recursive: true });
  cpSync(`${nats}.older`, nats, { recursive: true });

  system.launch();
  const failed = await system.nextLog((line) => line.msg === "shard has failed", "the failed shard");
  assert.equal(failed["shard"], shardOf(victim, 2));
  assert.equal(failed["code"], "record-rewound");
  await system.until(() => system.text.includes("Millrace runs."), "the greeting");
  await send(system, sibling, "behind.copy");
  await eventually("the sibling's point", async () => (await total(system, sibling, "behind.copy")) === 1);
  const { ok, shards } = await system.nodeHealth();
  assert(!ok);
  for (const { shard, state, why } of shards) {
    assert.equal(state, shard === shardOf(victim, 2) ? "failed" : "running");
    if (state === "failed") assert.match(why, /^record-rewound: /);
  }
  // What was committed stays readable, also what the record does not have any more.
  assert.equal(await total(system, victim, "behind.copy"), 1);
});
