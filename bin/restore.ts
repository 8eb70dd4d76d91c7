// `millrace restore DIR`: puts a backup's stores into a home on which nothing runs.
//
// R1. Nothing of the home changes before every file of the backup has been copied beside it, checked against the
//     manifest, and opened. Then a marker is written, folders are renamed, and the marker goes: while it is there,
//     nothing starts on the home. So a restore that is killed leaves the old state, or one that says what it is; the
//     same restore can simply be run again.
// R2. Nothing is deleted but what an earlier restore left half copied: what is replaced is moved aside.
// R3. Where the home has its record, the stores go on in it from their offsets, and it brings what came later, once.
// R4. Where it has none, each stream will begin right behind the copy's offset, under an incarnation that is written
//     into the copy here and given to the stream by the coordinator (cluster/restored.ts): a stream that was made by
//     anybody else does not fit, and the shard says so instead of reading it.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { isOutage } from "../src/base/errors.ts";
import { systemRandom } from "../src/base/random.ts";
import type { Bus, StreamBegin, StreamState } from "../src/bus/bus.ts";
import { nodesBucket } from "../src/bus/subjects.ts";
import { splitBudget } from "../src/config/limits.ts";
import {
  natsFolder,
  restoredFile,
  restoringFile,
  storeFolder,
  withoutSecrets,
} from "../src/config/places.ts";
import { readSettings, type Settings } from "../src/config/settings.ts";
import { encodeRestored } from "../cluster/restored.ts";
import { beatTtlMs } from "../cluster/coordinator.ts";
import { beginAnew, dataFile, headOfCopy, headOfStore, shardFolder } from "../src/store/copy.ts";
import { decodeDump, dumpBucket, type DumpRow } from "../src/tenant/dump.ts";
import {
  checkFile,
  checkRoom,
  digest,
  digestOf,
  megabytes,
  readManifest,
  syncFolder,
  tenantsName,
  writeDurably,
  type Manifest,
  type StoreFacts,
} from "./backup-files.ts";
import { withNats } from "./backup.ts";
import { Refusal, runCommand, type Say } from "./command.ts";
import { lockHome } from "./home.ts";
import { endLeftover } from "./nats-server.ts";
import { clock } from "./process.ts";
import type { Flags, Output } from "./directory.ts";
import { countText } from "./words.ts";

export interface RestoreOptions {
  replace: boolean;
  freshRecord: boolean;
}

export interface RestoreHooks {
  say: Say;
  /** Before each change of the home from the marker on: tests stop there. */
  beforeStep?: (step: number) => void;
}

export interface RestoreResult {
  dir: string;
  home: string;
  shards: number;
  /** kept: the stores go on in the record that is there. fresh: in a new one. */
  record: "kept" | "fresh";
  /** Where what was there lies now. */
  movedAside: string[];
}

export async function restoreCommand(
  folder: string,
  options: RestoreOptions,
  output: Output,
  flags: Flags,
): Promise<void> {
  await runCommand(output, async (say) => {
    const settings = readSettings(process.env, flags);
    const result = await restore(settings, resolve(folder), options, { say });
    const { home, shards, record, movedAside } = result;
    const next =
      record === "kept"
        ? "the record that is there brings what came after the backup, as far as it still holds it"
        : "the next start begins a new record and puts the tenants in";
    const aside = movedAside.map((path) => `what was there lies in ${path}`);
    return { json: result, lines: [`restored ${countText(shards, "shard")} to ${home}: ${next}`, ...aside] };
  });
}

export async function restore(
  settings: Settings,
  dir: string,
  options: RestoreOptions,
  hooks: RestoreHooks,
): Promise<RestoreResult> {
  const { home, shards } = settings;
  const manifest = readManifest(dir);
  if (manifest.shards !== shards)
    throw new Refusal(
      `${dir} holds ${countText(manifest.shards, "shard")}, but MILLRACE_SHARDS is ${shards}: tenants are spread over them. ` +
        `Set MILLRACE_SHARDS=${manifest.shards}.`,
    );
  const lock = lockHome(home);
  try {
    checkHome(settings, options);
    const tenants = readTenants(dir, manifest);
    const fresh = await isFresh(settings, manifest, options, hooks.say);
    const scratch = `${storeFolder(settings)}.restoring`;
    rmSync(scratch, { recursive: true, force: true });
    checkRoom(
      home,
      manifest.stores.reduce((sum, store) => sum + store.bytes, 0),
    );
    const streams = await prepare(dir, scratch, manifest, fresh, hooks.say);
    sayIfTight(settings, manifest, hooks.say);
    if (fresh && settings.natsUrl === "") await endLeftover(natsFolder(settings));
    const restored = fresh ? encodeRestored({ streams, tenants }) : undefined;
    const movedAside = switchOver(settings, dir, scratch, restored, hooks);
    return { dir, home, shards, record: fresh ? "fresh" : "kept", movedAside };
  } finally {
    lock.release();
  }
}

function checkHome(settings: Settings, options: RestoreOptions): void {
  const store = storeFolder(settings);
  if (options.replace || !existsSync(store) || readdirSync(store).length === 0) return;
  const again = existsSync(restoringFile(settings)) ? " An earlier restore of it did not end." : "";
  throw new Refusal(
    `${store} holds stores.${again} With --replace they are moved aside to ${store}.before-restore-TIME.`,
  );
}

function readTenants(dir: string, manifest: Manifest): DumpRow[] {
  const bytes = readFileSync(join(dir, tenantsName));
  checkFile(dir, { ...manifest.tenants, file: tenantsName }, digestOf(bytes));
  const rows = decodeDump(bytes);
  if (rows === undefined) throw new Refusal(`${join(dir, tenantsName)} is not what a backup wrote`);
  return rows;
}

/** Does the next start begin a new record? */
async function isFresh(
  settings: Settings,
  manifest: Manifest,
  options: RestoreOptions,
  say: Say,
): Promise<boolean> {
  if (settings.natsUrl === "") {
    if (options.freshRecord) return true;
    const there = existsSync(join(natsFolder(settings), "jetstream"));
    if (there) await refuseOtherRecord(settings, manifest);
    else say(`${settings.home} has no record: the next start begins a new one`);
    return !there;
  }
  const where = `NATS at ${withoutSecrets(settings.natsUrl)}`;
  const streams = await withNats(settings, async (bus) => {
    await refuseIfNodeRuns(bus, settings.node, where);
    return Promise.all(manifest.stores.map(({ shard }) => stateOf(bus, shard)));
  }).catch((error: unknown) => {
    throw isOutage(error) ? new Refusal(`${where} can't be asked for its record: ${error.message}`) : error;
  });
  const there = streams.filter((stream) => stream !== undefined).length;
  if (there === 0) {
    say(`${where} has no record: the next start begins a new one`);
    return true;
  }
  if (options.freshRecord)
    throw new Refusal(
      `${where} has streams of a record: delete them first, or restore without --fresh-record`,
    );
  for (const { shard, offset, incarnation } of manifest.stores) {
    const stream = streams[shard];
    if (offset > 0 && stream?.incarnation !== incarnation)
      throw new Refusal(
        `${where} has another record than the one that shard-${shard} of the backup goes on in: ` +
          "delete its streams, and a new record begins",
      );
  }
  return false;
}

/** What the present stores have read tells which record lies in the home: its server does not run. */
async function refuseOtherRecord(settings: Settings, manifest: Manifest): Promise<void> {
  for (const { shard, incarnation } of manifest.stores) {
    const folder = shardFolder(storeFolder(settings), shard);
    // A store that is not there, or can't be read, is what a restore is for: it tells nothing.
    const present = await headOfStore(folder, clock).catch((error: unknown) => {
      if (isOutage(error)) return undefined;
      throw error;
    });
    if (present === undefined || present.incarnation === "" || incarnation === "") continue;
    if (present.incarnation !== incarnation)
      throw new Refusal(
        `the record in ${settings.home} is not the one that shard-${shard} of the backup goes on in. ` +
          "With --fresh-record it is moved aside, and what only it holds is not replayed.",
      );
  }
}

async function stateOf(bus: Bus, shard: number): Promise<StreamState | undefined> {
  try {
    return await bus.streamState(shard);
  } catch (error) {
    if (isOutage(error, "stream-missing")) return undefined;
    throw error;
  }
}

/** A node that was started by itself holds no lock of the home. */
async function refuseIfNodeRuns(bus: Bus, node: string, where: string): Promise<void> {
  const beats = await dumpBucket(await bus.kv(nodesBucket, { ttlMs: beatTtlMs }));
  if (beats.some(({ key }) => key === `node.${node}`))
    throw new Refusal(`the node "${node}" runs, says ${where}: stop it first`);
}

/** R1: all shards copied, checked, opened. Answers how their streams begin in a new record. */
async function prepare(
  dir: string,
  scratch: string,
  manifest: Manifest,
  fresh: boolean,
  say: Say,
): Promise<(StreamBegin | undefined)[]> {
  try {
    mkdirSync(scratch);
    const streams: (StreamBegin | undefined)[] = [];
    for (const store of manifest.stores) streams.push(await prepareShard(dir, scratch, store, fresh, say));
    syncFolder(scratch);
    return streams;
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    throw error;
  }
}

async function prepareShard(
  dir: string,
  scratch: string,
  said: StoreFacts,
  fresh: boolean,
  say: Say,
): Promise<StreamBegin | undefined> {
  const { shard } = said;
  const folder = shardFolder(scratch, shard);
  mkdirSync(folder);
  const found = await digest(join(dir, said.file), { to: dataFile(folder) });
  checkFile(dir, said, found);
  const head = await headOfCopy(folder, clock);
  if (head.offset !== said.offset || head.incarnation !== said.incarnation)
    throw new Refusal(
      `${join(dir, said.file)} is at offset ${head.offset}, but the manifest says ${said.offset}: they are not of one backup`,
    );
  let begin: StreamBegin | undefined;
  if (fresh) {
    const incarnation = Buffer.from(systemRandom.bytes(16)).toString("hex");
    await beginAnew(folder, incarnation, clock);
    begin = { firstSequence: head.offset + 1, incarnation };
  }
  syncFolder(folder);
  say(`shard-${shard}: ${megabytes(found.bytes)}, offset ${head.offset}`);
  return begin;
}

/** The stores keep their bytes, whatever the budget says now: a full one waits until it is raised. */
function sayIfTight(settings: Settings, manifest: Manifest, say: Say): void {
  if (settings.diskBudget === "auto") return;
  const most = splitBudget(settings.diskBudget, settings.shards).storeBytesPerShard * 0.9;
  for (const { shard, bytes } of manifest.stores)
    if (bytes > most)
      say(
        `shard-${shard} holds ${megabytes(bytes)}, more than MILLRACE_DISK_BUDGET leaves it (${megabytes(most)}): ` +
          "it takes no points until the budget is raised",
      );
}

/** R1, R2. */
function switchOver(
  settings: Settings,
  dir: string,
  scratch: string,
  restored: string | undefined,
  { beforeStep }: RestoreHooks,
): string[] {
  const { home } = settings;
  const marker = restoringFile(settings);
  const time = new Date(clock.nowMs()).toISOString().replaceAll(":", "-");
  const movedAside: string[] = [];
  let step = 0;
  const change = (make: () => void) => {
    beforeStep?.(step++);
    make();
    syncFolder(home);
  };
  const aside = (path: string) => {
    if (!existsSync(path)) return;
    const to = `${path}.before-restore-${time}`;
    change(() => renameSync(path, to));
    movedAside.push(to);
  };
  change(() => writeDurably(marker, `${JSON.stringify({ backup: dir, since: time })}\n`));
  aside(storeFolder(settings));
  if (restored !== undefined && settings.natsUrl === "") aside(natsFolder(settings));
  // What an earlier restore left for a start that never came fits none of these stores.
  aside(restoredFile(settings));
  if (restored !== undefined) change(() => writeDurably(restoredFile(settings), restored));
  change(() => renameSync(scratch, storeFolder(settings)));
  change(() => rmSync(marker));
  return movedAside;
}
