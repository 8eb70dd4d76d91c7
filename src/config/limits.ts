// What follows from the settings: bounds and budgets. Relations that must hold are asserted here, each with its
// reason, so that a later change of one number can't silently break another.
import { readdir, lstat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import { frameBytesMax } from "../metric/frame.ts";
import { lineBytesMax } from "../metric/line.ts";

/** A frame is closed at this size, or after frameAgeMsMax. */
export const frameBytesTarget = 256 << 10;
/** Under load frames grow up to this: fewer, larger publishes cost the server less. */
export const frameBytesLoaded = 1 << 20;
export const frameAgeMsMax = 50;
/** Frames that only carry refusals may wait longer: nobody waits for them. */
export const refusalAgeMsMax = 1000;
/** Bytes that a shard's lines may take in the gateway, from the socket until the record has them. */
export const shardInFlightBytesMax = 16 << 20;
export const shardInFlightFramesMax = 1024;
/** A shard that has answered nothing for this long: raw doors' frames go to the disk. */
export const spoolStuckMs = 1000;

assert(
  frameBytesLoaded + lineBytesMax < frameBytesMax,
  "a frame closed under load, plus one line, is readable",
);
assert(shardInFlightBytesMax >= 8 * frameBytesLoaded, "eight large frames can be on their way per shard");

export interface Budget {
  totalBytes: number;
  streamBytesPerShard: number;
  storeBytesPerShard: number;
  spoolBytes: number;
  /** For the server: the streams' reservation and room for the key buckets and the audit log. */
  jetStreamBytes: number;
}

const streamBytesLeast = 4 << 20;
const storeBytesLeast = 4 << 20;
const autoBytesMost = 64e9;
const kvBytes = 64 << 20;
/** What the audit log reserves of the server's space (bin/admin/audit.ts). */
export const auditBytesMax = 64 << 20;

/** Half for the record, four tenths for the stores, a tenth for the spools. */
export function splitBudget(totalBytes: number, shards: number): Budget {
  const streamBytesPerShard = Math.floor((totalBytes * 0.5) / shards);
  // LMDB wants whole pages.
  const storeBytesPerShard = Math.floor((totalBytes * 0.4) / shards / 4096) * 4096;
  if (streamBytesPerShard < streamBytesLeast || storeBytesPerShard < storeBytesLeast) {
    const least = Math.ceil((shards * Math.max(streamBytesLeast / 0.5, storeBytesLeast / 0.4)) / 1e6) + 1;
    throw new Outage(
      "settings-invalid",
      `MILLRACE_DISK_BUDGET comes to ${megabytes(totalBytes)}, too little for ${shards} shards: ` +
        `give at least ${least}MB, or set MILLRACE_SHARDS lower.`,
    );
  }
  return {
    totalBytes,
    streamBytesPerShard,
    storeBytesPerShard,
    spoolBytes: Math.floor(totalBytes * 0.1),
    jetStreamBytes: streamBytesPerShard * shards + kvBytes + auditBytesMax,
  };
}

/**
 * The budget in bytes: as set, or for "auto" half of what is free and ours. A set budget must fit the disk with a
 * tenth to spare, or the disk fills before a cap says no.
 */
export async function diskBudget(wanted: number | "auto", home: string): Promise<number> {
  const disk = await statfs(home);
  const ours = await folderBytes(home);
  const available = disk.bavail * disk.bsize + ours;
  if (wanted === "auto") return Math.min(autoBytesMost, Math.floor(available / 2));
  if (wanted * 1.1 > available) {
    throw new Outage(
      "settings-invalid",
      `MILLRACE_DISK_BUDGET is ${megabytes(wanted)}, but the disk of ${home} has only ${megabytes(available)} for it: ` +
        "the budget must fit with a tenth to spare.",
    );
  }
  return wanted;
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / 1e6)}MB`;
}

/** What the folder takes on the disk now, sparse files by their blocks; files that vanish meanwhile count nothing. */
async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await folderBytes(path);
    else if (entry.isFile()) bytes += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512;
  }
  return bytes;
}
