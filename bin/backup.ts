// `millrace backup DIR`: a consistent copy of every shard's store and of the tenants, while the system runs.
//
// B1. Each shard is one state of it, between two commits, and the manifest says the copy's own offset: from there the
//     record goes on. The shards are copied one after another: each is a unit of its own, so they need no common time.
// B2. The tenants come after the stores: who has points in a copy is among them.
// B3. Whatever fails fails the backup, and there is no manifest then (backup-files.ts, F1).
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isOutage, messageOf } from "../src/base/errors.ts";
import { makeFolder } from "../src/base/folder.ts";
import { makeLog } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import type { Bus } from "../src/bus/bus.ts";
import { tenantsBucket } from "../src/bus/subjects.ts";
import { directoryFile, natsUrlOf, storeFolder } from "../src/config/places.ts";
import { readSettings, type Settings } from "../src/config/settings.ts";
import { copyStore, headOfCopy, shardFolder, spaceOf } from "../src/store/copy.ts";
import { loadCopy } from "../src/tenant/directory-file.ts";
import { dumpBucket, dumpTenants, encodeDump, type DumpRow } from "../src/tenant/dump.ts";
import {
  checkRoom,
  digest,
  digestOf,
  encodeManifest,
  manifestName,
  megabytes,
  storeFile,
  syncFolder,
  tenantsName,
  writeDurably,
  type Manifest,
  type StoreFacts,
} from "./backup-files.ts";
import { Refusal, runCommand, type Say } from "./command.ts";
import { refuseHalfRestored } from "./home.ts";
import { clock } from "./process.ts";
import { projectVersion } from "./project.ts";
import type { Flags, Output } from "./directory.ts";
import { countText } from "./words.ts";

const natsMsMax = 5000;
const dumpMsMax = 60_000;
const sayEveryMs = 2000;

export async function backupCommand(folder: string, output: Output, flags: Flags): Promise<void> {
  await runCommand(output, async (say) => {
    const settings = readSettings(process.env, flags);
    const dir = resolve(folder);
    const started = clock.monotonicMs();
    const manifest = await backup(settings, dir, say);
    const bytes = manifest.stores.reduce((sum, store) => sum + store.bytes, manifest.tenants.bytes);
    const seconds = Math.round((clock.monotonicMs() - started) / 100) / 10;
    const lines = [
      `backed up ${countText(manifest.shards, "shard")} and the tenants to ${dir}: ${megabytes(bytes)}, ${seconds} s`,
    ];
    return { json: { dir, bytes, seconds, ...manifest }, lines };
  });
}

export async function backup(settings: Settings, dir: string, say: Say): Promise<Manifest> {
  const startedAt = new Date(clock.nowMs()).toISOString();
  const { shards } = settings;
  refuseHalfRestored(settings);
  checkStores(settings);
  const spaces: number[] = [];
  for (let shard = 0; shard < shards; shard++)
    spaces.push((await spaceOf(shardFolder(storeFolder(settings), shard), clock)).usedBytes);
  prepareFolder(dir);
  checkRoom(
    dir,
    spaces.reduce((sum, bytes) => sum + bytes, 0),
  );
  const written: string[] = [];
  const stores: StoreFacts[] = [];
  try {
    for (let shard = 0; shard < shards; shard++) {
      stores.push(await copyShard(settings, dir, shard, spaces[shard] ?? 0, say));
      written.push(`shard-${shard}`);
    }
    const { rows, from } = await tenantRows(settings, say);
    const dump = encodeDump(rows);
    writeDurably(join(dir, tenantsName), dump);
    written.push(tenantsName);
    say(`tenants: ${countText(rows.length, "row")} from ${from}`);
    const tenants = { file: tenantsName, ...digestOf(dump), from, rows: rows.length };
    const at = new Date(clock.nowMs()).toISOString();
    const manifest = { version: projectVersion(), startedAt, at, shards, stores, tenants };
    const text = encodeManifest(manifest);
    writeDurably(join(dir, manifestName), text); // F1
    return JSON.parse(text) as Manifest;
  } catch (error) {
    const what = written.length === 0 ? "nothing complete" : written.join(", ");
    throw new Refusal(
      `${messageOf(error)}\nThere is no backup: ${dir} holds ${what} and no ${manifestName}. Remove it and try again.`,
      { cause: error },
    );
  }
}

/** The number of shards decides which stores there are: too few of them saved would be found out at a restore. */
function checkStores(settings: Settings): void {
  const folder = storeFolder(settings);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^shard-\d+$/.test(name)) : [];
  if (names.length === 0) throw new Refusal(`${folder} holds no stores: is MILLRACE_HOME right?`);
  const wrong = names.filter((name) => Number(name.slice(6)) >= settings.shards);
  if (wrong.length > 0)
    throw new Refusal(
      `${folder} holds ${wrong.join(", ")}, but MILLRACE_SHARDS is ${settings.shards}: set it to what the system has.`,
    );
}

function prepareFolder(dir: string): void {
  if (existsSync(join(dir, manifestName)))
    throw new Refusal(`${dir} is a backup already: name another folder`);
  makeFolder(dir);
  const names = readdirSync(dir);
  if (names.length > 0) {
    const unfinished = names.every((name) => name.startsWith("shard-") || name.startsWith(tenantsName));
    throw new Refusal(
      unfinished
        ? `${dir} holds a backup that did not end: remove it, or name another folder`
        : `${dir} is not empty: name another folder`,
    );
  }
  syncFolder(dirname(dir));
}

async function copyShard(
  settings: Settings,
  dir: string,
  shard: number,
  usedBytes: number,
  say: Say,
): Promise<StoreFacts> {
  const file = storeFile(shard);
  const to = join(dir, file);
  const folder = shardFolder(dir, shard);
  const timer = setInterval(() => {
    const bytes = statSync(to, { throwIfNoEntry: false })?.size ?? 0;
    say(`shard-${shard}: ${megabytes(bytes)} of about ${megabytes(usedBytes)}`);
  }, sayEveryMs);
  try {
    mkdirSync(folder);
    await copyStore(shardFolder(storeFolder(settings), shard), folder, clock);
    // Read back from the copy: what the manifest says of it is what it holds (B1).
    const { offset, epoch, incarnation, frameTimeMs } = await headOfCopy(folder, clock);
    const facts = await digest(to);
    syncFolder(folder);
    say(`shard-${shard}: ${megabytes(facts.bytes)}, offset ${offset}`);
    return { shard, offset, epoch, incarnation, frameTimeMs, file, ...facts };
  } catch (error) {
    throw new Refusal(`shard-${shard} can't be copied: ${messageOf(error)}`, { cause: error });
  } finally {
    clearInterval(timer);
  }
}

/** The bucket; without NATS, what a process last knew of it. */
async function tenantRows(settings: Settings, say: Say): Promise<{ rows: DumpRow[]; from: string }> {
  try {
    return {
      rows: await withNats(settings, async (bus) => dumpBucket(await bus.kv(tenantsBucket))),
      from: "NATS",
    };
  } catch (error) {
    if (!isOutage(error)) throw error;
    say(`tenants: NATS can't be asked (${error.message}): taking a local copy`);
  }
  const copies = ["gateway", "api"].map((name) => ({ name, file: directoryFile(settings, name) }));
  const dated = copies.map((copy) => ({ ...copy, stat: statSync(copy.file, { throwIfNoEntry: false }) }));
  for (const { name, file, stat } of dated.toSorted(
    (a, b) => (b.stat?.mtimeMs ?? 0) - (a.stat?.mtimeMs ?? 0),
  )) {
    const loaded = await loadCopy(file);
    if (loaded.kind !== "copy" || stat === undefined) continue;
    return {
      rows: dumpTenants(loaded.content.tenants),
      from: `the ${name}'s local copy of ${stat.mtime.toISOString()}`,
    };
  }
  throw new Refusal("the tenants can't be saved: NATS does not answer and there is no local copy of them");
}

/** Rejects with bus-unavailable when NATS, or what is asked of it, takes too long. */
export async function withNats<T>(settings: Settings, ask: (bus: Bus) => Promise<T>): Promise<T> {
  const waiting = new AbortController();
  const cancel = clock.after(natsMsMax, () => waiting.abort());
  const bus = await connectNats({
    url: natsUrlOf(settings),
    name: "millrace-cli",
    clock,
    random: systemRandom,
    log: makeLog("cli", "fatal"),
    signal: waiting.signal,
  }).finally(cancel);
  const late = clock.after(dumpMsMax, () => void bus.close());
  try {
    return await ask(bus);
  } finally {
    late();
    await bus.close();
  }
}
