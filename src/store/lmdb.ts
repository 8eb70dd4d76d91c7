// The embedded engine: one LMDB environment per shard, in `<folder>/shard-<n>`. A commit appends one blob beside the
// offset. Files: keys.ts is the layout, environment.ts the way to write, changes.ts what a commit writes, snapshot.ts
// and find.ts what is read; retire.ts and unnaming.ts take names away, forget.ts what nobody will ask for again.
//
// Every method looks at a state, decides, and writes on condition that nobody changed the shard meanwhile; if somebody
// did, it looks again. So a zombie owner and the present one can both try, in any number of threads and processes.
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import { planCommit } from "./changes.ts";
import {
  decideBurial,
  decideDeletion,
  decideDrop,
  decideLetterPurge,
  decideListing,
  decideRelease,
  type Decision,
} from "./decisions.ts";
import { Environment, type SpaceUsed, type State } from "./environment.ts";
import { withNamedLetters } from "./eras.ts";
import type { ShardHead } from "./head.ts";
import { findStored } from "./find.ts";
import { planForget, type ForgetPlace } from "./forget.ts";
import {
  adoptedHead,
  attemptedHead,
  claimedBefore,
  claimedHead,
  commitRefused,
  fillStartedHead,
  seenByStarter,
  settledHead,
  skippedHead,
} from "./lane-changes.ts";
import { areNamed, livingSeries } from "./names.ts";
import { areOpen } from "./letters.ts";
import { KeptBlobs, type BlobsOfReader } from "./kept-blobs.ts";
import { bootKey, keyedKey } from "./keys.ts";
import { RecordTime } from "./record-time.ts";
import {
  decideAbandon,
  decideBegin,
  decideStage,
  decideSwap,
  type ReplayAsked,
  type ReplayBegun,
  type StagedPart,
  type Swapped,
} from "./replay-changes.ts";
import { planRetire } from "./retire.ts";
import { decodeBoot, decodeNumber } from "./rows.ts";
import { readState, turn, ViewSnapshot } from "./snapshot.ts";
import { LmdbUpkeep, type UpkeepOptions } from "./upkeep.ts";
import {
  keyedKeptMs,
  type Changed,
  type Interval,
  type Lane,
  type LetterPlace,
  type TrialRange,
  type ClaimResult,
  type Commit,
  type CommitResult,
  type Deleted,
  type Forgotten,
  type Owner,
  type Retired,
  type ShardReader,
  type ShardStore,
  type Snapshot,
  type StoreEngine,
} from "./store.ts";
import { deletedOf, hasTombstone, shownName, someSeries } from "./tombstones.ts";
import { isAppliedTwice, type AppliedBefore } from "./twice.ts";

/** Others change a shard a few times a second at most: more than this many in a row is no race but a fault. */
const triesMax = 100;
/** Commits between two looks for readers of killed processes. */
const commitsPerReaderCheck = 256;
/** Names that are deleted in one change. */
const deletedAtOnce = 1000;
/** Each open snapshot keeps old pages alive and takes a place in LMDB's table of readers. */
export const snapshotsMax = 512;

export interface LmdbEngineOptions {
  /** Holds a folder per shard. */
  folder: string;
  /** Budget of each shard's store. */
  mapBytes: number;
  /** Other bounds than the usual ones: tests make them small. */
  upkeep?: Partial<UpkeepOptions>;
  /** Only readers are opened, in any thread: for processes that must never write. */
  readOnly?: boolean;
  clock: Clock;
}

export interface LmdbShardStore extends ShardStore {
  /** For gauges. */
  space(): SpaceUsed;
}

export interface LmdbShardReader extends ShardReader {
  space(): Promise<SpaceUsed>;
}

export interface LmdbEngine extends StoreEngine {
  openShard(shard: number): Promise<LmdbShardStore>;
  openReader(shard: number): Promise<LmdbShardReader>;
}

/**
 * Opening rejects with store-unavailable where the folder can't be made or written (with its path), store-full where
 * the disk is full, store-corrupt where what lies there is not ours.
 */
export function createLmdbEngine(options: LmdbEngineOptions): LmdbEngine {
  const { mapBytes, clock } = options;
  const kept = new KeptBlobs();
  const times = new Map<number, RecordTime>();
  const pathOf = (shard: number) => join(options.folder, `shard-${shard}`);
  return {
    async openShard(shard) {
      assert(options.readOnly !== true, "an engine that may write");
      return new Shard(
        await Environment.open({ path: pathOf(shard), mapBytes, readOnly: false, clock }),
        pathOf(shard),
      );
    },
    async openUpkeep(shard) {
      assert(options.readOnly !== true, "an engine that may write");
      const environment = await Environment.open({ path: pathOf(shard), mapBytes, readOnly: false, clock });
      const time = times.get(shard) ?? new RecordTime(clock);
      times.set(shard, time);
      return new LmdbUpkeep(environment, mapBytes, time, options.upkeep ?? {});
    },
    async openReader(shard) {
      const besideWriter = options.readOnly !== true;
      const open = () =>
        Environment.open({ path: pathOf(shard), mapBytes, readOnly: true, besideWriter, clock });
      return new Reader(open, kept.ofReader());
    },
  };
}

class Shard implements LmdbShardStore {
  readonly #environment: Environment;
  readonly #path: string;
  #commits = 0;
  #forgetFrom: ForgetPlace = { boots: undefined, ledger: undefined };
  #retireFrom = 0;

  constructor(environment: Environment, path: string) {
    this.#environment = environment;
    this.#path = path;
    environment.readerCheck();
  }

  async claim(owner: Owner): Promise<ClaimResult> {
    await this.#listLetters();
    return await this.#decide<ClaimResult>((now) => {
      const other = claimedBefore(now.head.owner, owner);
      if (other !== undefined)
        return { answer: { kind: "refused", owner: other.node, mapVersion: other.mapVersion } };
      return started(now, claimedHead(now.head, owner), "live");
    });
  }

  /** Of a store that an earlier version wrote. */
  async #listLetters(): Promise<void> {
    let from: Buffer | undefined;
    do from = await this.#decide((now) => decideListing(now, from));
    while (from !== undefined);
  }

  async resume(epoch: number): Promise<ClaimResult> {
    return this.#environment.look((now) =>
      now.head.epoch === epoch ? { kind: "claimed", state: readState(now) } : refused(now),
    );
  }

  async startFill(epoch: number, instance: string): Promise<ClaimResult> {
    return await this.#decide<ClaimResult>((now) =>
      now.head.epoch === epoch
        ? started(now, fillStartedHead(now.head, instance), "fill")
        : { answer: refused(now) },
    );
  }

  async attempt(epoch: number, lane: Lane, trial: TrialRange | undefined): Promise<Changed> {
    return await this.#changeHead(epoch, (head) => attemptedHead(head, lane, trial));
  }

  async settled(epoch: number, lane: Lane): Promise<Changed> {
    return await this.#changeHead(epoch, (head) => settledHead(head, lane));
  }

  async skip(
    epoch: number,
    to: number,
    at: { incarnation: string; frameTimeMs: number; receivedAtMs: number },
  ): Promise<Changed> {
    return await this.#changeHead(epoch, (head) => skippedHead(head, to, at));
  }

  async adopt(
    epoch: number,
    to: { incarnation: string; offset: number; frameTimeMs: number; hole: Interval | undefined },
  ): Promise<Changed> {
    return await this.#changeHead(epoch, (head) => adoptedHead(head, to));
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const result = await this.#decide<CommitResult>((now) => {
      if (commit.epoch !== now.head.epoch) return { answer: { kind: "fenced", epoch: now.head.epoch } };
      const refused = commitRefused(now.head, commit);
      if (refused !== undefined) return { answer: refused };
      if (isAppliedTwice(appliedBefore(now), commit)) return { answer: { kind: "at", offset: commit.from } };
      const { ids, head, writes } = planCommit(now, withNamedLetters(now.head.era, commit));
      return { answer: { kind: "ok", ids }, change: { head, writes, budgeted: true } };
    });
    if (++this.#commits % commitsPerReaderCheck === 0) this.#environment.readerCheck();
    return result;
  }

  /** A change of the head alone: it needs no room, so a store that is full bears it. */
  async #changeHead(epoch: number, change: (head: ShardHead) => ShardHead): Promise<Changed> {
    return await this.#decide<Changed>((now) =>
      now.head.epoch === epoch
        ? {
            answer: "ok",
            change: { head: change(now.head), writes: { puts: [], removes: [] }, budgeted: false },
          }
        : { answer: "fenced" },
    );
  }

  async keyedApplied(ids: readonly Uint8Array[], nowMs: number): Promise<boolean[]> {
    return this.#environment.look((state) =>
      ids.map((id) => {
        const stored = state.get(keyedKey(id));
        return stored !== undefined && decodeNumber(stored) >= nowMs - keyedKeptMs;
      }),
    );
  }

  async tenantSeries(tenant: string): Promise<number> {
    return this.#environment.look((state) => livingSeries(state, tenant));
  }

  async named(tenant: string, names: readonly Uint8Array[]): Promise<boolean[]> {
    return this.#environment.look((state) => areNamed(state, tenant, names));
  }

  async forget(epoch: number, nowMs: number): Promise<Forgotten> {
    let from = this.#forgetFrom;
    const result = await this.#decide((now) => {
      if (now.head.epoch !== epoch) return { answer: { keyed: 0, boots: 0, ledger: 0, dead: 0, closed: 0 } };
      const { writes, forgotten, next } = planForget(now, nowMs, this.#forgetFrom);
      from = next;
      if (writes.removes.length === 0) return { answer: forgotten };
      return { answer: forgotten, change: { head: now.head, writes, budgeted: false } };
    });
    this.#forgetFrom = from;
    return result;
  }

  async retire(epoch: number, nowSeconds: number): Promise<Retired> {
    let from = this.#retireFrom;
    const result = await this.#decide<Retired>((now) => {
      if (now.head.epoch !== epoch) return { answer: { ids: new Uint32Array(0), more: false } };
      const { ids, more, next, writes } = planRetire(now, nowSeconds, this.#retireFrom);
      from = next;
      const answer = { ids: Uint32Array.from(ids), more };
      if (writes.removes.length === 0) return { answer };
      const head = { ...now.head, removals: now.head.removals + ids.length };
      return { answer, change: { head, writes, budgeted: false } };
    });
    this.#retireFrom = from;
    return result;
  }

  /**
   * Finding takes page after page and lets others run in between, each page from the newest state. What was found is
   * looked at again in the state that the change is made from.
   */
  async deleteSeries(epoch: number, tenant: string, pattern: string, most: number): Promise<Deleted> {
    const found = await findStored(this.#environment.newest(), tenant, pattern, most, turn);
    const ids = found.map(({ id }) => id);
    const gone = await this.#delete(epoch, ids, false);
    const deleted = found.filter(({ id }) => gone.has(id));
    return { ids: Uint32Array.from(deleted, ({ id }) => id), names: deleted.map(({ name }) => name) };
  }

  /** Answers the stored names of those that went. */
  async #delete(epoch: number, ids: readonly number[], isBuried: boolean): Promise<Map<number, Buffer>> {
    const gone = new Map<number, Buffer>();
    for (let from = 0; from < ids.length; from += deletedAtOnce) {
      const part = ids.slice(from, from + deletedAtOnce);
      for (const [id, name] of await this.#decide((now) => decideDeletion(now, epoch, part, isBuried)))
        gone.set(id, name);
    }
    return gone;
  }

  async lettersOpen(places: readonly LetterPlace[]): Promise<boolean[]> {
    return this.#environment.look((state) => areOpen(state, places));
  }

  async dropLetters(epoch: number, places: readonly LetterPlace[]): Promise<number> {
    let dropped = 0;
    for (let from = 0; from < places.length; from += deletedAtOnce) {
      const part = places.slice(from, from + deletedAtOnce);
      dropped += await this.#decide((now) => decideDrop(now, epoch, part));
    }
    return dropped;
  }

  async release(epoch: number, tenant: string): Promise<Changed> {
    return await this.#decide((now) => decideRelease(now, epoch, tenant));
  }

  async bury(epoch: number, tenant: string): Promise<Changed> {
    return await this.#decide((now) => decideBurial(now, epoch, tenant));
  }

  async purge(epoch: number, tenant: string, most: number): Promise<Deleted> {
    if (!this.#environment.look((state) => hasTombstone(state, tenant))) return deletedOf([]);
    const ids = await someSeries(this.#environment.newest(), tenant, most, turn);
    const gone = await this.#delete(epoch, ids, true);
    return deletedOf(Array.from(gone, ([id, name]) => ({ id, name: shownName(name.toString()) })));
  }

  async purgeLetters(epoch: number, tenant: string, most: number): Promise<number> {
    return await this.#decide((now) => decideLetterPurge(now, epoch, tenant, most));
  }

  async beginReplay(epoch: number, asked: ReplayAsked): Promise<ReplayBegun> {
    return await this.#decide((now) => decideBegin(now, epoch, asked));
  }

  async stage(epoch: number, id: number, part: StagedPart): Promise<CommitResult> {
    return await this.#decide((now) => decideStage(now, epoch, id, part));
  }

  async swap(epoch: number, id: number): Promise<Swapped> {
    return await this.#decide((now) => decideSwap(now, epoch, id));
  }

  async abandonReplay(epoch: number, id: number): Promise<Changed> {
    return await this.#decide((now) => decideAbandon(now, epoch, id));
  }

  space(): SpaceUsed {
    return this.#environment.space();
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }

  async #decide<T>(decide: (state: State) => Decision<T>): Promise<T> {
    for (let tries = 0; tries < triesMax; tries++) {
      const { answer, change, version } = this.#environment.look((state) => ({
        ...decide(state),
        version: state.version,
      }));
      if (change === undefined) return answer;
      if (await this.#environment.change(version, change.head, change.writes, change.budgeted)) return answer;
    }
    throw new Outage("store-unavailable", `${this.#path}: others changed it ${triesMax} times in a row`);
  }
}

/** The state as the starter of a lane sees it. */
function started(now: State, head: ShardHead, lane: Lane): Decision<ClaimResult> {
  const lanes = seenByStarter(head.lanes, lane, now.head.lanes[lane]);
  const state = { ...readState(now), epoch: head.epoch, lanes };
  const writes = { puts: [], removes: [] };
  return { answer: { kind: "claimed", state }, change: { head, writes, budgeted: false } };
}

function appliedBefore(now: State): AppliedBefore {
  return {
    boot(boot) {
      const stored = now.get(bootKey(boot));
      return stored === undefined ? undefined : decodeBoot(boot, stored).applied;
    },
    keyedAtMs(id) {
      const stored = now.get(keyedKey(id));
      return stored === undefined ? undefined : decodeNumber(stored);
    },
    isOpen: (place) => areOpen(now, [place])[0] === true,
  };
}

function refused({ head: { owner } }: State): ClaimResult {
  return { kind: "refused", owner: owner?.node ?? "", mapVersion: owner?.mapVersion ?? 0 };
}

class Reader implements LmdbShardReader {
  readonly #open: () => Promise<Environment>;
  readonly #blobs: BlobsOfReader;
  #environment: Promise<Environment> | undefined;
  readonly #snapshots = new Set<ViewSnapshot>();
  #closed = false;

  constructor(open: () => Promise<Environment>, blobs: BlobsOfReader) {
    this.#open = open;
    this.#blobs = blobs;
  }

  async space(): Promise<SpaceUsed> {
    return (await this.#opened()).space();
  }

  async #opened(): Promise<Environment> {
    assert(!this.#closed, "an open reader");
    this.#environment ??= this.#open();
    const environment = await this.#environment.catch((error: unknown) => {
      // The shard may be there at the next try.
      this.#environment = undefined;
      throw error;
    });
    assert(!this.#closed, "a reader that stays open while it is used");
    return environment;
  }

  async snapshot(): Promise<Snapshot> {
    const environment = await this.#opened();
    if (this.#snapshots.size >= snapshotsMax)
      throw new Outage("store-unavailable", `${snapshotsMax} snapshots of a shard are open already`);
    const closed = () => this.#snapshots.delete(snapshot);
    const snapshot = new ViewSnapshot(environment.view(), this.#blobs, closed);
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /** Closes its snapshots, and waits for answers that are under way. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const ended = Array.from(this.#snapshots, (snapshot) => snapshot.ended);
    for (const snapshot of this.#snapshots) snapshot.close();
    await Promise.all(ended);
    this.#blobs.close();
    const environment = await this.#environment?.catch(() => undefined);
    await environment?.close();
  }
}
