// Copies of whole environments, for backups: a store is copied while its shard runs, a copy is looked at and made to
// go on in a new record while nothing runs on it.
//
// K1. A copy is one state of the shard, between two commits, however long it takes: LMDB copies in a read transaction.
//     That is no lock, commits go on; but the pages that they replace meanwhile can't be used again before the copy is
//     done, so the store grows by what is written during it. A process that dies while it copies leaves its place in
//     the table of readers, which the shard's next claim, or one of its next 256 commits, frees.
// K2. The copy is on disk when `copyStore` settles. It holds no free pages: the walk over the tree leaves them out, and
//     fails where the tree does not add up. Memory: two buffers of 1 MB, whatever the size.
// K3. Looking at a copy changes nothing in its file.
import { closeSync, fsyncSync, openSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import { Environment, type SpaceUsed } from "./environment.ts";
import { prepareFiles } from "./files.ts";
import type { ShardHead } from "./head.ts";
import { adoptedHead } from "./lane-changes.ts";

/** What is needed beyond the file's own pages to rewrite one row. */
const spareBytes = 16 << 20;

export function shardFolder(store: string, shard: number): string {
  return join(store, `shard-${shard}`);
}

/** The only file of an environment that holds anything. */
export function dataFile(folder: string): string {
  return join(folder, "data.mdb");
}

/** Of a store that may be in use. store-unavailable where there is none. */
export async function spaceOf(folder: string, clock: Clock): Promise<SpaceUsed> {
  return await withStore(folder, clock, (environment) => Promise.resolve(environment.space()));
}

/** Copies the store in `folder`, in use or not, to the folder `to`, which is there and empty (K1, K2). */
export async function copyStore(folder: string, to: string, clock: Clock): Promise<void> {
  await withStore(folder, clock, (environment) => environment.copyTo(to));
  const file = openSync(dataFile(to), "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Of a store that may be in use. Rejects with an Outage where there is none that can be read. */
export async function headOfStore(folder: string, clock: Clock): Promise<ShardHead> {
  return await withStore(folder, clock, (environment) =>
    Promise.resolve(environment.look(({ head }) => head)),
  );
}

/** The head of a copy that nobody uses (K3). */
export async function headOfCopy(folder: string, clock: Clock): Promise<ShardHead> {
  return await alone(folder, () => headOfStore(folder, clock));
}

/**
 * Makes a copy that nobody uses go on in a new record whose stream has this incarnation. Its offset stays, so the
 * new stream has to begin behind it. What was set aside is not in the new record: gaps are holes now. What was applied
 * stays, boots and keyed ids. The last owner goes: a new record counts the versions of its map from 1, and a claim of a
 * lower version than the last one's would be refused for ever.
 */
export async function beginAnew(folder: string, incarnation: string, clock: Clock): Promise<ShardHead> {
  const mapBytes = statSync(dataFile(folder)).size + spareBytes;
  return await alone(folder, async () => {
    const environment = await Environment.open({ path: folder, mapBytes, readOnly: false, clock });
    try {
      const { head, version } = environment.look((state) => ({ head: state.head, version: state.version }));
      const adopted = adoptedHead(head, {
        incarnation,
        offset: head.offset,
        frameTimeMs: 0,
        hole: undefined,
      });
      const next: ShardHead = { ...adopted, owner: undefined };
      if (await environment.change(version, next, { puts: [], removes: [] }, false)) return next;
      throw new Outage("store-unavailable", `${folder}: somebody else writes to it`);
    } finally {
      await environment.close();
    }
  });
}

async function withStore<T>(
  path: string,
  clock: Clock,
  use: (environment: Environment) => Promise<T>,
): Promise<T> {
  const environment = await Environment.open({ path, mapBytes: 0, readOnly: true, clock });
  try {
    return await use(environment);
  } finally {
    await environment.close();
  }
}

/** With a lock file for as long as it is needed: in a copy it would be what another machine's processes left. */
async function alone<T>(folder: string, use: () => Promise<T>): Promise<T> {
  prepareFiles(folder);
  try {
    return await use();
  } finally {
    rmSync(join(folder, "lock.mdb"), { force: true });
  }
}
