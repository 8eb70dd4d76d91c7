// One LMDB environment, as much of it as a shard needs: two tables, reads in a snapshot, and one way to write.
//
// L1. No JavaScript runs while LMDB's write lock is held: a change is put together before, against a snapshot, and then
//     handed over as one batch that LMDB's own thread applies on condition that the head's version is still the one of
//     that snapshot. (A worker thread that is terminated inside transactionSync never ends and keeps the lock: the
//     shard would hang until the whole process is killed. Measured; a batch in flight survives or vanishes whole.) For
//     the same reason a writing side calls few of lmdb-js's object methods: one that is called just when its thread is
//     being terminated aborts the process, so `look` has no transaction object and `space` is asked only near the limit.
// L2. A batch is one transaction with one fdatasync: when `change` settles with true, it is on disk.
// L3. The map's size is a budget, and ours to keep: lmdb-js would enlarge the map silently. A change that is subject to
//     the budget is refused as store-full when used pages and its own bytes pass nine tenths of it; the last tenth is
//     for changes that make room.
// L4. Every failure is an Outage that names the folder.
// L5. At most one batch is with LMDB's thread: each one takes a thread of the process's pool while it waits for the
//     disk, or for another process that holds the lock and does not run.
//
// Batches of one event turn are not gathered (eventTurnBatching): the promise of such a gathering has no owner, and
// rejects unhandled when the disk is full.
import { open, type Database, type RootDatabase } from "lmdb";
import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import { isOutage, messageOf, Outage } from "../base/errors.ts";
import { filesReady, freeBytes, prepareFiles, readersMax } from "./files.ts";
import { decodeHead, encodeHead, freshHead, storeFormat, type ShardHead } from "./head.ts";
import { deadListedKey } from "./keys.ts";
import type { Rows } from "./names.ts";
import type { PackedRows } from "./packed-rows.ts";
import { count, pack, unpack } from "./rows.ts";
import { decodeWork, encodeWork, freshWork, type ShardWork } from "./work.ts";

/** lmdb's own limit. */
export const keyBytesMax = 1978;
/** A disk that does not answer for so long is an outage; what was written meanwhile counts if it gets there. */
const answerMs = 60_000;

/** Of the map: commits stop at the first, upkeep, which needs room to make room, at the second (L3). */
const commitShare = 0.9;
const upkeepShare = 0.98;

const headKey = Buffer.from("head");
const workKey = Buffer.from("work");
const formatKey = Buffer.from("format");

export interface Writes {
  puts: { key: Buffer; value: Buffer }[];
  removes: Buffer[];
  /** More to put. */
  packed?: PackedRows;
}

/**
 * Entries of the list of free pages that LMDB holds in memory. Its cost per page grows with it: with lmdb-js's own
 * numbers (50,000 and 75,000) upkeep spent most of its time there. Not in the library's types.
 */
const freeList = { maxFreeSpaceToLoad: 8000, maxFreeSpaceToRetain: 12_000 };

type Transaction = ReturnType<Database["useReadTransaction"]>;

/** lmdb-js takes a transaction here too; its types don't say so. */
interface FastTable {
  getBinaryFast(key: Buffer, options: { transaction?: Transaction }): Buffer | undefined;
}

/** One state of the shard. */
export interface State extends Rows {
  readonly head: ShardHead;
  /** Counts the changes of the head: what `change` is conditional on. */
  readonly version: number;
  /** The upkeep's row, and the version that `changeWork` is conditional on. */
  work(): { work: ShardWork; version: number };
  keys(start: Buffer, end: Buffer, most: number): Buffer[];
  /** Without a copy: valid until the next call of anything. */
  peek(key: Buffer): Uint8Array | undefined;
}

/** A state that stays. Close it: it keeps old pages alive. */
export interface View extends State {
  close(): void;
}

export interface SpaceUsed {
  /** Pages that hold something, in bytes. */
  usedBytes: number;
  /** Size of the file: it does not shrink; pages given back are used again. */
  fileBytes: number;
}

export interface EnvironmentOptions {
  /** The shard's own folder. */
  path: string;
  mapBytes: number;
  readOnly: boolean;
  /**
   * For a reader: this process may open the same store for writing, too. LMDB has one environment for all who open a
   * file in a process, and the first one decides: a writing side that came after a read-only one could never write.
   */
  besideWriter?: boolean;
  clock: Clock;
}

export class Environment {
  readonly #options: EnvironmentOptions;
  readonly #data: RootDatabase<Buffer, Buffer>;
  readonly #head: Database<Buffer, Buffer>;
  /** A write that gave no answer in time and is still under way. */
  #late = false;
  /** Used bytes when they were last looked at, and what was written since. */
  #measured = Number.POSITIVE_INFINITY;
  #sinceMeasured = 0;

  private constructor(
    options: EnvironmentOptions,
    data: RootDatabase<Buffer, Buffer>,
    head: Database<Buffer, Buffer>,
  ) {
    this.#options = options;
    this.#data = data;
    this.#head = head;
  }

  /** A writing side makes the folder and the tables; for a reading one they are store-unavailable until then. */
  static async open(options: EnvironmentOptions): Promise<Environment> {
    const { path, mapBytes, readOnly, besideWriter = false } = options;
    try {
      if (!readOnly) prepareFiles(path);
      else if (!filesReady(path)) throw notYet(path);
      const table = { encoding: "binary", keyEncoding: "binary" } as const;
      const root = {
        ...table,
        name: "data",
        path,
        noSubdir: false,
        readOnly: readOnly && !besideWriter,
        // A reader of another process takes the size that the writing side gave.
        ...(readOnly && !besideWriter ? {} : { mapSize: mapBytes }),
        maxReaders: readersMax,
        ...freeList,
        overlappingSync: false,
        eventTurnBatching: false,
        // Never hand over half a batch (L1). Not in the library's types.
        batchStartThreshold: Number.MAX_SAFE_INTEGER,
      };
      let data: RootDatabase<Buffer, Buffer>;
      try {
        data = open<Buffer, Buffer>(root);
      } catch (error) {
        // The table is not there yet: the writing side is just making it.
        if (readOnly && messageOf(error) === "Database not found") throw notYet(path);
        throw error;
      }
      const head = data.openDB<Buffer, Buffer>({ ...table, name: "head", useVersions: true });
      // lmdb-js answers undefined for a table that a reader does not find; its types don't say so.
      if ((head as unknown) === undefined) {
        await data.close();
        throw notYet(path);
      }
      const environment = new Environment(options, data, head);
      await environment.#begin();
      return environment;
    } catch (error) {
      throw toOutage(error, path);
    }
  }

  async #begin(): Promise<void> {
    const { path, readOnly } = this.#options;
    const stored = this.#head.get(formatKey);
    if (stored !== undefined) {
      const format = count(unpack(stored, 1, "the format")[0], "the format");
      if (format === storeFormat) return;
      await this.#data.close();
      const whose = format > storeFormat ? "a newer" : "an older";
      throw new Outage(
        "store-corrupt",
        `${path} was written by ${whose} version (format ${format}, not ${storeFormat})`,
      );
    }
    if (readOnly) {
      await this.#data.close();
      throw notYet(path);
    }
    await this.#answered(
      this.#head.ifNoExists(formatKey, () => {
        void this.#head.put(formatKey, pack([storeFormat]), 1);
        void this.#head.put(headKey, encodeHead(freshHead()), 1);
        void this.#head.put(workKey, encodeWork(freshWork()), 1);
        void this.#data.put(deadListedKey, Buffer.of(0));
      }),
      0,
    );
  }

  /** The newest state there is, to be held. */
  view(): View {
    return this.#outages(() => {
      this.#data.resetReadTxn();
      const transaction = this.#data.useReadTransaction();
      try {
        return this.#viewOf(transaction);
      } catch (error) {
        transaction.done();
        throw error;
      }
    });
  }

  /** The newest state there is, for this turn of the event loop only: nothing may be awaited while it is used. */
  look<T>(use: (state: State) => T): T {
    return this.#outages(() => {
      this.#data.resetReadTxn();
      return use(this.#stateOf({}));
    });
  }

  /** Rows of the newest state there is, in each turn of the event loop anew: for who needs no single state. */
  newest(): Rows {
    this.#data.resetReadTxn();
    const rows = rowsOf(this.#data, {});
    return {
      get: (key) => this.#outages(() => rows.get(key)),
      range: (...asked) => this.#outages(() => rows.range(...asked)),
    };
  }

  #viewOf(transaction: Transaction): View {
    return { ...this.#stateOf({ transaction }), close: () => transaction.done() };
  }

  #stateOf(options: { transaction?: Transaction }): State {
    const data = this.#data;
    const fast = data as unknown as FastTable;
    return {
      ...this.#headOf(options),
      ...rowsOf(data, options),
      work: () => this.#workOf(options),
      peek: (key) => fast.getBinaryFast(key, options),
      keys: (start, end, most) => Array.from(data.getKeys({ start, end, limit: most, ...options })),
    };
  }

  #headOf(options: { transaction?: Transaction }): { head: ShardHead; version: number } {
    const entry = this.#head.getEntry(headKey, options);
    if (entry?.version === undefined) throw new Outage("store-corrupt", "the shard's head is missing");
    return { head: decodeHead(entry.value), version: entry.version };
  }

  #workOf(options: { transaction?: Transaction }): { work: ShardWork; version: number } {
    const entry = this.#head.getEntry(workKey, options);
    if (entry?.version === undefined) throw new Outage("store-corrupt", "the row of the upkeep is missing");
    return { work: decodeWork(entry.value), version: entry.version };
  }

  #outages<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw toOutage(error, this.#options.path);
    }
  }

  /**
   * Writes all of it, or nothing. false: the head changed since `view`; look again. Rejects with an Outage; of
   * store-unavailable it is not known whether it was written.
   */
  async change(version: number, head: ShardHead, writes: Writes, budgeted: boolean): Promise<boolean> {
    return await this.#write(headKey, version, encodeHead(head), writes, budgeted ? commitShare : undefined);
  }

  /** The same for upkeep: on condition that its row is as it was; the head, and so the commits, don't mind. */
  async changeWork(version: number, work: ShardWork, writes: Writes, budgeted: boolean): Promise<boolean> {
    const share = budgeted ? upkeepShare : undefined;
    return await this.#write(workKey, version, encodeWork(work), writes, share);
  }

  async #write(
    key: Buffer,
    version: number,
    row: Buffer,
    writes: Writes,
    share: number | undefined,
  ): Promise<boolean> {
    const { path } = this.#options;
    let bytes = writes.packed?.bytes ?? 0;
    for (const put of writes.puts) {
      // Once the batch has begun, nothing may throw.
      assert(put.key.length <= keyBytesMax, `keys of at most ${keyBytesMax} bytes, got ${put.key.length}`);
      bytes += put.key.length + put.value.length;
    }
    if (this.#late) throw new Outage("store-unavailable", `${path}: an earlier write is still under way`);
    if (share !== undefined) this.#refuseIfFull(bytes, share);
    const written = this.#head.ifVersion(key, version, () => {
      writes.packed?.each((key, value) => void this.#data.put(key, value));
      for (const put of writes.puts) void this.#data.put(put.key, put.value);
      for (const remove of writes.removes) void this.#data.remove(remove);
      void this.#head.put(key, row, version + 1);
    });
    return await this.#answered(written, bytes);
  }

  #refuseIfFull(bytes: number, share: number): void {
    const { path, mapBytes } = this.#options;
    const most = mapBytes * share;
    this.#sinceMeasured += bytes;
    // Far from the limit, also if small rows take several times their size in half-filled pages.
    if (this.#measured + 4 * this.#sinceMeasured + (1 << 20) < most) return;
    const { usedBytes } = this.space();
    this.#measured = usedBytes;
    this.#sinceMeasured = bytes;
    if (usedBytes + bytes > most)
      throw new Outage(
        "store-full",
        `${path} holds ${usedBytes} bytes; ${bytes} more would pass ${100 * share} % of its ${mapBytes}`,
      );
  }

  space(): SpaceUsed {
    const data = this.#data.getStats() as TableStats & { root: TableStats; free: TableStats } & {
      lastPageNumber: number;
    };
    const head = this.#head.getStats() as TableStats;
    const twoHeads = 2;
    const pages = [data, head, data.root, data.free].reduce(
      (sum, table) => sum + table.treeBranchPageCount + table.treeLeafPageCount + table.overflowPages,
      twoHeads,
    );
    return { usedBytes: pages * data.pageSize, fileBytes: (data.lastPageNumber + 1) * data.pageSize };
  }

  /** One state of it as an environment in an empty folder, without the pages that hold nothing (copy.ts). */
  async copyTo(folder: string): Promise<void> {
    try {
      await this.#data.backup(folder, true);
    } catch (error) {
      throw toOutage(error, folder);
    }
  }

  /** Frees what readers of killed processes still hold. */
  readerCheck(): number {
    return this.#data.readerCheck();
  }

  async close(): Promise<void> {
    await this.#data.close();
  }

  /** Turns what lmdb-js promises into yes, no, or an Outage within a bounded time. */
  async #answered(written: Promise<boolean>, bytes: number): Promise<boolean> {
    const { clock, path } = this.#options;
    return await new Promise<boolean>((resolve, reject) => {
      const cancel = clock.after(answerMs, () => {
        this.#late = true;
        reject(new Outage("store-unavailable", `${path}: the disk gave no answer in ${answerMs} ms`));
      });
      written
        .then(resolve, async (error: unknown) => {
          reject(toOutage(await causeOf(error), path, bytes));
        })
        .finally(() => {
          this.#late = false;
          cancel();
        });
    });
  }
}

interface TableStats {
  pageSize: number;
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
}

function rowsOf(data: RootDatabase<Buffer, Buffer>, options: { transaction?: Transaction }): Rows {
  return {
    get: (key) => data.get(key, options),
    // Read to the end at once: no cursor outlives the call, so closing is safe at any time between calls.
    range: (start, end, most) =>
      Array.from(data.getRange({ start, end, limit: most, ...options }), ({ key, value }) => ({
        key,
        value,
      })),
  };
}

function notYet(path: string): Outage {
  return new Outage("store-unavailable", `${path} is not there yet`);
}

/** lmdb-js rejects with a stand-in, and the reason by a promise of its own. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
  } catch (cause) {
    return cause;
  }
  return error;
}

const mapFull = -30792;
const corruptCodes = new Set([-30797, -30796, -30794, -30793]); // page not found, corrupted, version, no LMDB file
const noSpace = 28;
const inputOutput = 5;

/** `bytes` is what was to be written: LMDB reports a disk that is full as a short write, which is just an I/O error. */
export function toOutage(error: unknown, path: string, bytes = 0): unknown {
  if (isOutage(error) || !(error instanceof Error) || error.name === "Bug") return error;
  const code = "code" in error ? error.code : undefined;
  const message = `${path}: ${error.message}`;
  if (
    code === mapFull ||
    code === noSpace ||
    code === "ENOSPC" ||
    (code === inputOutput && isFull(path, bytes))
  )
    return new Outage("store-full", message, { cause: error });
  if (typeof code === "number" && corruptCodes.has(code))
    return new Outage("store-corrupt", message, { cause: error });
  return new Outage("store-unavailable", message, { cause: error });
}

function isFull(path: string, bytes: number): boolean {
  try {
    return freeBytes(path) < bytes + 65_536;
  } catch {
    return false;
  }
}
