import { strict as assert } from "node:assert";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { nodesBucket } from "../../src/bus/subjects.ts";
import { decodeDump } from "../../src/tenant/dump.ts";
import { Environment } from "../../src/store/environment.ts";
import { backup as saveBackup } from "../../bin/backup.ts";
import type { Manifest } from "../../bin/backup-files.ts";
import { restore, type RestoreOptions } from "../../bin/restore.ts";
import { beatTtlMs } from "../../cluster/coordinator.ts";
import { encodeJson, nodeKey } from "../../cluster/shard-map.ts";
import type { System } from "../harness/system.ts";
import { startNatsServer } from "../harness/nats-server.ts";

import {
  backup,
  checkExact,
  connect,
  elsewhere,
  failure,
  killedAt,
  names,
  quiet,
  readFrom,
  replace,
  type Sender,
  sent,
  settingsOf,
  start,
} from "./backup-world.ts";

test("a backup under load, a lost store, a restore: every acknowledged point is there once", async (t) => {
  const { system, senders, dir } = await start(t);
  await sent(system, senders, 10);
  // Acknowledged is recorded, not stored yet: a backup that begins sooner than a shard's first commit has none of it.
  await checkExact(system, senders);
  const stop = new AbortController();
  const load = (async () => {
    while (!stop.signal.aborted) await sent(system, senders, 1);
  })();
  const manifest = await backup(system, dir);
  stop.abort();
  await load;
  await sent(system, senders, 10);
  await checkExact(system, senders);
  assert.equal(manifest.tenants.from, "NATS");
  assert.deepEqual(names(dir), ["manifest.json", "shard-0", "shard-1", "shard-2", "tenants.json"]);
  for (const { shard, offset } of manifest.stores) {
    assert(offset > 0, `shard ${shard} had points`);
    assert.deepEqual(names(join(dir, `shard-${shard}`)), ["data.mdb"]);
  }
  assert.match(await failure(system.millrace("restore", dir)), /another system \(pid \d+\) runs on/);
  await system.stop();

  rmSync(join(system.home, "store"), { recursive: true });
  const result = JSON.parse(await system.millrace("restore", dir, "--json")) as Record<string, unknown>;
  assert.equal(result["record"], "kept");
  const from = system.log.length;
  await system.up();
  await checkExact(system, senders);
  const offsets = manifest.stores.map((store) => store.offset);
  assert.deepEqual(readFrom(system, from), offsets, "from the copies' offsets on");
  await sent(system, senders, 3);
  await checkExact(system, senders);

  await t.test("what can't be restored, or saved, is said, and the home stays as it was", () =>
    refusals(t, system, dir, senders),
  );
  await system.up();
  await checkExact(system, senders);
});

async function refusals(
  t: TestContext,
  system: System,
  dir: string,
  senders: readonly Sender[],
): Promise<void> {
  const refused = async (run: Promise<unknown>, pattern: RegExp) => {
    const before = names(system.home).filter((name) => name !== "lock");
    await assert.rejects(run, pattern);
    assert.deepEqual(
      names(system.home).filter((name) => name !== "lock"),
      before,
    );
  };
  const save = (to: string, more: Record<string, string> = {}) =>
    saveBackup(settingsOf(system, more), to, quiet.say);
  const x = `${dir}.x`;
  await refused(save(dir), /is a backup already/);
  await refused(save(system.home), /is not empty/);
  await refused(save(x, { MILLRACE_SHARDS: "2" }), /holds shard-2, but MILLRACE_SHARDS is 2/);
  await refused(save(x, { MILLRACE_SHARDS: "4" }), /shard-3 is not there yet/);
  await refused(save(x, { MILLRACE_HOME: `${x}.home` }), /holds no stores: is MILLRACE_HOME right\?/);
  assert(!existsSync(x), "nothing was begun");
  await system.stop();

  const broken = `${dir}.broken`;
  t.after(() => rmSync(broken, { recursive: true, force: true }));
  const damage = async (change: () => void, pattern: RegExp) => {
    rmSync(broken, { recursive: true, force: true });
    cpSync(dir, broken, { recursive: true });
    change();
    await refused(restore(settingsOf(system), broken, replace, quiet), pattern);
  };
  const data = join(broken, "shard-1", "data.mdb");
  const list = join(broken, "manifest.json");
  await damage(() => {
    const bytes = readFileSync(data);
    bytes[bytes.length - 5000] = (bytes[bytes.length - 5000] ?? 0) ^ 1;
    writeFileSync(data, bytes);
  }, /shard-1\/data\.mdb is not the file that was backed up: its SHA-256/);
  await damage(
    () => writeFileSync(data, readFileSync(data).subarray(0, -4096)),
    /shard-1\/data\.mdb is not the file that was backed up: it has \d+ bytes/,
  );
  await damage(() => rmSync(data), /ENOENT.*shard-1/);
  await damage(() => writeFileSync(join(broken, "tenants.json"), "{}"), /tenants\.json is not the file/);
  await damage(() => rmSync(list), /is no backup: it has no manifest\.json/);
  await damage(() => writeFileSync(list, "{}"), /is not what a backup wrote/);
  await damage(() => writeFileSync(list, '{"format":9}'), /has format 9/);
  await damage(() => {
    const said = JSON.parse(readFileSync(list, "utf8")) as Manifest;
    for (const store of said.stores) store.offset -= 1;
    writeFileSync(list, JSON.stringify(said));
  }, /shard-0\/data\.mdb is at offset \d+, but the manifest says \d+/);

  const plain = { replace: false, freshRecord: false };
  await refused(
    restore(settingsOf(system), dir, plain, quiet),
    /holds stores\. With --replace they are moved aside/,
  );
  await refused(
    restore(settingsOf(system, { MILLRACE_SHARDS: "4" }), dir, replace, quiet),
    /holds 3 shards, but MILLRACE_SHARDS is 4.*Set MILLRACE_SHARDS=3/,
  );

  // Without NATS the tenants come from a local copy, and the backup says so.
  const manifest = await saveBackup(settingsOf(system), x, quiet.say);
  t.after(() => rmSync(x, { recursive: true }));
  assert.match(manifest.tenants.from, /^the (gateway|api)'s local copy of /);
  const rows = decodeDump(readFileSync(join(x, "tenants.json")));
  for (const { tenant } of senders)
    for (const key of [`tenant.${tenant.id}`, `name.${tenant.name}`])
      assert(
        rows?.some((row) => row.key === key),
        key,
      );
}

test("a restore on another machine: what was saved is there, keys open, points go on, resends count once", async (t) => {
  const { system, senders, dir } = await start(t);
  await sent(system, senders, 10);
  await checkExact(system, senders);
  const manifest = await backup(system, dir);
  await system.stop();

  const other = await elsewhere(t);
  const said = await other.millrace("restore", dir);
  assert.match(said, /begins a new record/);
  await other.up();
  assert.deepEqual(
    names(other.home).filter((name) => name.startsWith("restored")),
    ["restored.json.done"],
  );
  await checkExact(other, senders);
  // A retry of a request that is in the copy, and points for the very buckets that are in it.
  for (const sender of senders) await sender.send(other, 0);
  await sent(other, senders, 5);
  await checkExact(other, senders);

  // A record that has hardly begun survives a kill, and what it has goes on behind the copy's offset.
  const up = other.nextLog((line) => line.process === "nats" && line.msg === "ready", "nats again");
  process.kill(other.pid("nats-server"), "SIGKILL");
  await up;
  await sent(other, senders, 2);
  await checkExact(other, senders);
  const { shards: statuses } = await other.nodeHealth();
  for (const { shard, progress } of statuses)
    assert((progress?.offset ?? 0) > (manifest.stores[shard]?.offset ?? 0), `shard ${shard} went on`);
  await other.stop();
  await other.up();
  await checkExact(other, senders);
  const list = JSON.parse(await other.millrace("tenant", "list", "--json")) as { id: string; name: string }[];
  for (const { tenant } of senders)
    assert(list.some(({ id, name }) => id === tenant.id && name === tenant.name));
  assert.equal(list.filter(({ name }) => name === "demo").length, 1);
});

test("a backup or a restore that is killed says what it is, and can be done again", async (t) => {
  const { system, senders, dir } = await start(t);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await killedAt(system, /^shard-0: /, "backup", dir);
  assert(!names(dir).includes("manifest.json"));
  assert.match(await failure(system.millrace("restore", dir)), /is no backup/);
  assert.match(await failure(system.millrace("backup", dir)), /holds a backup that did not end/);
  rmSync(dir, { recursive: true });
  await backup(system, dir);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await system.stop();

  await killedAt(system, /^shard-1: /, "restore", dir, "--replace");
  assert(names(system.home).includes("store.restoring"));
  await system.up();
  await checkExact(system, senders);
  await system.stop();

  // Each moment between two changes of the home.
  const settings = settingsOf(system);
  let step = 0;
  for (let ended = false; !ended; step++) {
    const beforeStep = (at: number) => {
      if (at === step) throw new Error("killed");
    };
    const run = restore(settings, dir, replace, { ...quiet, beforeStep });
    ended = await run.then(
      () => true,
      (error: unknown) => {
        assert.match(String(error), /killed/);
        return false;
      },
    );
    const half = existsSync(join(system.home, "restoring.json"));
    assert.equal(half, !ended && step > 0);
    if (!half) continue;
    system.launch();
    await system.exited;
    assert.match(system.text, /a restore of .* did not end .*: run millrace restore again/);
    assert.match(await failure(system.millrace("backup", `${dir}.x`)), /a restore of .* did not end/);
  }
  assert(step > 3, `${step} steps were seen`);
  await system.up();
  await checkExact(system, senders);
});

test("--fresh-record moves record and stores aside; an offset that was tampered with is not read from", async (t) => {
  const { system, senders, dir } = await start(t);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await backup(system, dir);
  const saved = senders.map((sender) => new Map(sender.ledger));
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await system.stop();

  await system.millrace("restore", dir, "--replace");
  const path = join(system.home, "store", "shard-0");
  const environment = await Environment.open({
    path,
    mapBytes: 64 << 20,
    readOnly: false,
    clock: systemClock,
  });
  const { head, version } = environment.look((state) => ({ head: state.head, version: state.version }));
  const lower = { ...head, offset: head.offset - 1 };
  assert(await environment.change(version, lower, { puts: [], removes: [] }, false));
  await environment.close();
  system.launch();
  const failed = await system.nextLog((line) => line.msg === "shard has failed", "the failed shard");
  assert.deepEqual([failed["shard"], failed["code"]], [0, "record-rewound"]);
  await system.until(() => system.text.includes("Millrace runs."), "the greeting");
  await system.stop();

  const answer = await system.millrace("restore", dir, "--replace", "--fresh-record", "--json");
  const { record, movedAside } = JSON.parse(answer) as { record: string; movedAside: string[] };
  assert.equal(record, "fresh");
  assert.equal(movedAside.length, 2);
  for (const aside of movedAside) assert(existsSync(aside), aside);
  await system.up();
  for (const [i, sender] of senders.entries()) {
    sender.ledger.clear();
    for (const [name, entry] of saved[i] ?? []) sender.ledger.set(name, entry);
  }
  await checkExact(system, senders);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await system.stop();
  // The record that is there now is another one than the backup's.
  assert.match(
    await failure(system.millrace("restore", dir, "--replace")),
    /the record in .* is not the one that shard-\d of the backup goes on in\. With --fresh-record/,
  );
});

test("with a NATS of one's own: the record is looked at there, and nothing of it is moved", async (t) => {
  const nats = await startNatsServer();
  t.after(() => nats.close());
  const { system, senders, dir } = await start(t, nats.url);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await backup(system, dir);
  await sent(system, senders, 3);
  await checkExact(system, senders);
  await system.stop();
  const there = { replace: true, freshRecord: true };
  const run = (options: RestoreOptions, url: string) =>
    restore(settingsOf(system, { MILLRACE_NATS_URL: url }), dir, options, quiet);
  await assert.rejects(run(there, nats.url), /has streams of a record: delete them first/);
  await assert.rejects(run(replace, "nats://127.0.0.1:1"), /can't be asked for its record/);
  const bus = await connect(nats.url);
  const beats = await bus.kv(nodesBucket, { ttlMs: beatTtlMs });
  await beats.put(nodeKey("node"), encodeJson({ node: "node", instance: "x", startedMs: 1 }));
  await assert.rejects(run(replace, nats.url), /the node "node" runs/);
  await beats.delete(nodeKey("node"));
  await bus.close();
  assert.equal((await run(replace, nats.url)).record, "kept");
  await system.up();
  await checkExact(system, senders);
  await system.stop();

  const empty = await startNatsServer();
  t.after(() => empty.close());
  assert.equal((await run(replace, empty.url)).record, "fresh");
  // Not what was prepared for: no shard reads a record that its store does not go on in.
  system.launch();
  const failed = system.nextLog((line) => line.msg === "shard has failed", "a failed shard");
  const told = system.nextLog((line) => String(line.msg).includes("restore again"), "the coordinator's word");
  await told;
  assert.equal((await failed)["code"], "record-rewound");
  await system.stop();
});
