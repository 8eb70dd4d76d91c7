// The two files of an environment, looked at and made ready before LMDB opens them: lmdb-js crashes the whole process
// when opening fails (a file that is no LMDB file, a disk without room), so nothing may reach it that can fail.
//
// The lock file is written in full, not left sparse: a reader that takes a place in it while the disk is full would be
// killed by the kernel (SIGBUS), with its process.
//
// The lock file is never opened here, only asked about: LMDB's locks on it are the process's, and closing any file
// handle of it lets go of all of them. Others would then take our readers for dead, and a process that opens the store
// would set the table of locks back under us: pages in use are written over.
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { Outage } from "../base/errors.ts";

/** Room that opening for writing needs, generously. */
const roomBytes = 1 << 20;
/** At least what LMDB asks for `readersMax` places of 64 bytes and its head. */
export const readersMax = 1024;
const lockBytes = 72 << 10;

/** Makes folder and lock file, and proves that both files can be written. Errors are those of node:fs, or an Outage. */
export function prepareFiles(path: string): void {
  mkdirSync(path, { recursive: true });
  const data = join(path, "data.mdb");
  const lock = join(path, "lock.mdb");
  if ((!existsSync(data) || !existsSync(lock)) && freeBytes(path) < roomBytes)
    throw new Outage("store-full", `${path}: less than ${roomBytes} bytes are free on its disk`);
  if (!existsSync(lock)) {
    // Whole or not at all, so that no other process finds half of it; threads of this one have drafts of their own.
    const draft = `${lock}.${process.pid}.${threadId}`;
    writeFileSync(draft, Buffer.alloc(lockBytes));
    try {
      linkSync(draft, lock);
    } catch (error) {
      if (!existsSync(lock)) throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  accessSync(lock, constants.R_OK | constants.W_OK);
  checkData(data, "a+");
}

/** Answers false where there is no store yet. */
export function filesReady(path: string): boolean {
  const data = join(path, "data.mdb");
  const lock = join(path, "lock.mdb");
  if (!existsSync(data) || !existsSync(lock)) return false;
  accessSync(lock, constants.R_OK | constants.W_OK);
  return checkData(data, "r");
}

export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

const headBytes = 32;
const metaPageFlag = 8;
const magic = 0xbeefc0de;
const dataVersion = 2;

/** Of LMDB's data file as lmdb-js 3 writes it: page head (24 bytes), magic, version. False: empty, to be made. */
function checkData(path: string, flags: string): boolean {
  const file = openSync(path, flags);
  try {
    const head = Buffer.alloc(headBytes);
    const { size } = fstatSync(file);
    if (size === 0) return false;
    readSync(file, head, 0, headBytes, 0);
    const isMeta = (head.readUInt16LE(18) & metaPageFlag) !== 0;
    if (size < 8192 || !isMeta || head.readUInt32LE(24) !== magic)
      throw new Outage("store-corrupt", `${path} is not an LMDB file`);
    if (head.readUInt16LE(28) !== dataVersion)
      throw new Outage("store-corrupt", `${path} is of another version of LMDB: ${head.readUInt16LE(28)}`);
    return true;
  } finally {
    closeSync(file);
  }
}
