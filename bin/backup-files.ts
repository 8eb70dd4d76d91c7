// A backup on disk: a folder with a file per shard, the tenants, and a manifest that says what the others must be.
//
// F1. The manifest is written last, and everything that it names is on disk by then: a folder without one is no backup.
// F2. What is read back is believed only where bytes and SHA-256 are those of the manifest.
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Refusal } from "./command.ts";

export const manifestName = "manifest.json";
export const tenantsName = "tenants.json";
const manifestFormat = 1;
const chunkBytes = 1 << 20;

export interface FileFacts {
  /** Below the backup's folder, with slashes. */
  file: string;
  bytes: number;
  sha256: string;
}

/** Read from the copy itself. */
export interface StoreFacts extends FileFacts {
  shard: number;
  offset: number;
  epoch: number;
  incarnation: string;
  frameTimeMs: number;
}

export interface Manifest {
  format: number;
  /** Of the program that made it. */
  version: string;
  /** When it was begun and when it was complete. */
  startedAt: string;
  at: string;
  shards: number;
  stores: StoreFacts[];
  /** `from`: NATS, or which local copy and of when. */
  tenants: FileFacts & { from: string; rows: number };
}

export function storeFile(shard: number): string {
  return `shard-${shard}/data.mdb`;
}

export function encodeManifest(manifest: Omit<Manifest, "format">): string {
  return `${JSON.stringify({ format: manifestFormat, ...manifest }, null, 2)}\n`;
}

/** Throws a Refusal that says what is wrong with the folder. */
export function readManifest(dir: string): Manifest {
  const path = join(dir, manifestName);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Refusal(`${dir} is no backup: it has no ${manifestName}. A backup that did not end has none.`);
  }
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {}
  const { format } = (said ?? {}) as Partial<Manifest>;
  if (typeof format === "number" && format !== manifestFormat)
    throw new Refusal(`${path} has format ${format}; this version reads ${manifestFormat}`);
  if (!isManifest(said)) throw new Refusal(`${path} is not what a backup wrote`);
  return said;
}

function isManifest(said: unknown): said is Manifest {
  if (!isObject(said)) return false;
  const { shards, stores, tenants, at } = said;
  return (
    Number.isSafeInteger(shards) &&
    typeof at === "string" &&
    Array.isArray(stores) &&
    stores.length === shards &&
    stores.every((store, shard) => isStore(store) && store.shard === shard) &&
    isFile(tenants)
  );
}

function isStore(said: unknown): said is StoreFacts {
  if (!isFile(said)) return false;
  const { shard, offset, epoch, incarnation, frameTimeMs, file } = said as Partial<StoreFacts>;
  const numbers = [shard, offset, epoch, frameTimeMs];
  return (
    numbers.every((number) => Number.isSafeInteger(number)) &&
    typeof incarnation === "string" &&
    // It says where a file is read: only there.
    file === storeFile(shard ?? -1)
  );
}

function isFile(said: unknown): said is FileFacts {
  if (!isObject(said)) return false;
  const { file, bytes, sha256 } = said;
  return (
    typeof file === "string" &&
    Number.isSafeInteger(bytes) &&
    typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256)
  );
}

function isObject(said: unknown): said is Record<string, unknown> {
  return typeof said === "object" && said !== null;
}

/** Bytes and SHA-256 of a file; with `to`, also a copy of it that is on disk when this settles. Memory: a chunk. */
export async function digest(
  path: string,
  options: { to?: string; onBytes?: (bytes: number) => void } = {},
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  const from = await open(path, "r");
  try {
    const to = options.to === undefined ? undefined : await open(options.to, "wx");
    try {
      const buffer = Buffer.alloc(chunkBytes);
      let bytes = 0;
      for (;;) {
        const { bytesRead } = await from.read(buffer, 0, chunkBytes, bytes);
        if (bytesRead === 0) break;
        const chunk = buffer.subarray(0, bytesRead);
        hash.update(chunk);
        for (let at = 0; to !== undefined && at < bytesRead; )
          at += (await to.write(chunk, at, bytesRead - at, bytes + at)).bytesWritten;
        bytes += bytesRead;
        options.onBytes?.(bytes);
      }
      await to?.sync();
      return { bytes, sha256: hash.digest("hex") };
    } finally {
      await to?.close();
    }
  } finally {
    await from.close();
  }
}

export function digestOf(content: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

/** F2. Throws a Refusal that names the file. */
export function checkFile(dir: string, said: FileFacts, found: { bytes: number; sha256: string }): void {
  if (found.bytes === said.bytes && found.sha256 === said.sha256) return;
  const how =
    found.bytes === said.bytes
      ? `its SHA-256 is ${found.sha256}, not ${said.sha256}`
      : `it has ${found.bytes} bytes, not ${said.bytes}`;
  throw new Refusal(`${join(dir, said.file)} is not the file that was backed up: ${how}`);
}

/** Whole or not at all, and on disk when this returns. For its owner alone: hashes of keys may lie in it. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const draft = `${path}.new`;
  writeFileSync(draft, content, { mode: 0o600, flush: true });
  renameSync(draft, path);
  syncFolder(dirname(path));
}

export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Throws a Refusal where less than `bytes` and a little more are free. */
export function checkRoom(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const needed = Math.ceil(bytes * 1.02) + (16 << 20);
  if (free < needed)
    throw new Refusal(`${folder} has ${megabytes(free)} free on its disk; ${megabytes(needed)} are needed`);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
