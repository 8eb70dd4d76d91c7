// A shard's upkeep on LMDB: which slice of work is next, planned on a snapshot, written as one batch on condition that
// the upkeep's row is as it was.
//
// K1. Commits and upkeep write under different conditions and never change the same rows, so neither makes the other
//     look again; they only wait for each other's batch, and slices are small.
// K2. What is kept between slices is a cache. It is dropped whenever a slice was not written: the next step starts from
//     what the store says.
// K3. What makes room comes first, and is written also in a store that has none. What time it is there, record-time.ts
//     says.
// K4. Nothing that keeps coming holds up retention: a rung waits for the rows that were there when it was due.
// K5. A clock that is put back holds up nothing: what was to wait for its earlier time does not.
// K6. Of the head upkeep changes one thing, rarely: it takes out a replay that is over. On condition that the head is as it
//     was, as everybody does who changes it.
import type { Environment, View } from "./environment.ts";
import type { ShardHead } from "./head.ts";
import { seriesPerBlock } from "./keys.ts";
import { LadderPlans } from "./ladder-plans.ts";
import { MergeWork, pickMerge } from "./merge.ts";
import type { RecordTime } from "./record-time.ts";
import { isOver, ReplayUpkeep, roundLimit } from "./replay-upkeep.ts";
import { barrierOf, replayOf } from "./replays.ts";
import { advanceKept, passedSpan, planPassed, Purge } from "./retention.ts";
import { RoundWork, storedBlob, type SliceBounds } from "./round.ts";
import { pickRun, planRun } from "./runs.ts";
import { Slice } from "./slice.ts";
import type { ShardUpkeep, UpkeepStep, UpkeepTask, upkeepWorks } from "./store.ts";
import { BlobLists, lastOfRound, upTo, type WaitingBlobs } from "./waiting-blobs.ts";
import type { ReplayWork, Round, ShardWork } from "./work.ts";

export interface UpkeepOptions extends SliceBounds {
  /** Blobs of so many bytes are worth a round; a round takes up twice as many at most. */
  roundBytes: number;
  /** So are the blobs of so many seconds. */
  roundSeconds: number;
  /** So many pieces of a level are worth a merge. */
  mergePieces: number;
}

export const upkeepDefaults: Omit<UpkeepOptions, "roundBytes"> = {
  roundSeconds: 600,
  mergePieces: 8,
  sliceBytes: 1 << 20,
  slicePuts: 3000,
  sliceRows: 200_000,
};

/**
 * A read copies each blob that it looks into, so what waits for a round should be little; but a round writes a piece
 * for each block, so there should be some rows of each series. About two dozen, within bounds.
 */
const roundBytesPerSeries = 320;
const roundBytesLeast = 16 << 20;
const roundBytesMost = 64 << 20;

/** A store this full is in need of room: what lies in blobs is smaller in pieces. */
const nearlyFull = 0.8;
/** Of the map: bytes of blobs that are worth a round there. Turning each commit into pieces gains nothing. */
const roundShareWhenFull = 1 / 64;
/** How often spans are looked at for merges when nothing else happens. */
const mergeLookSeconds = 60;

type Blobs = ReturnType<BlobLists["of"]>;

type Work = (typeof upkeepWorks)[number];

interface Plan {
  kind: Work;
  slice: Slice;
  /** Once it is written. */
  written?: () => void;
}

export class LmdbUpkeep implements ShardUpkeep {
  readonly #environment: Environment;
  readonly #options: Omit<UpkeepOptions, "roundBytes"> & { readonly roundBytes: number | undefined };
  readonly #mapBytes: number;
  readonly #time: RecordTime;
  readonly #plans = new LadderPlans();
  readonly #merging = new MergeWork();
  #round: RoundWork | undefined;
  #purge: Purge | undefined;
  readonly #lists = new BlobLists();
  readonly #replay = new ReplayUpkeep();
  /** When the oldest blob that waits for a round was first seen, epoch seconds. */
  #waitingSince: number | undefined;
  #nextMergeLook = Number.NEGATIVE_INFINITY;
  /** K4: rungs that are due wait for blobs up to this number. */
  #dueBlob: number | undefined;

  /** `time` outlives this upkeep: what could not be written in a full store closes it. */
  constructor(environment: Environment, mapBytes: number, time: RecordTime, options: Partial<UpkeepOptions>) {
    this.#environment = environment;
    this.#mapBytes = mapBytes;
    this.#time = time;
    this.#options = { ...upkeepDefaults, ...options, roundBytes: options.roundBytes };
  }

  async step(task: UpkeepTask): Promise<UpkeepStep> {
    const view = this.#environment.view();
    let plan: Plan | undefined;
    let version: number;
    let backlogBytes: number;
    let over: { head: ShardHead; version: number } | undefined;
    try {
      const now = view.work();
      ({ version } = now);
      const blobs = this.#lists.of(view, replayOf(view.head)?.id);
      backlogBytes = blobs.blobs.total + blobs.staged.total;
      if (isOver(view.head, now.work)) over = { head: view.head, version: view.version };
      else plan = this.#plan(view, now.work, blobs, task);
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      view.close();
    }
    if (over !== undefined) return await this.#forgetReplay(over, backlogBytes);
    if (plan === undefined) return { kind: "idle", backlogBytes };
    const { slice, kind } = plan;
    const makesRoom = kind === "retention" || kind === "purge" || kind === "replay"; // K3
    let written = false;
    try {
      written = await this.#environment.changeWork(version, slice.work, slice.writes, !makesRoom);
    } finally {
      if (!written) this.#drop();
    }
    if (!written) return { kind: "overtaken", backlogBytes };
    plan.written?.();
    return { kind: "worked", work: kind, rows: slice.rows, bytes: slice.bytes, backlogBytes };
  }

  /** K6 */
  async #forgetReplay(
    { head, version }: { head: ShardHead; version: number },
    backlogBytes: number,
  ): Promise<UpkeepStep> {
    const next = { ...head, replays: [] };
    const written = await this.#environment.change(version, next, { puts: [], removes: [] }, false);
    if (!written) return { kind: "overtaken", backlogBytes };
    return { kind: "worked", work: "replay", rows: 0, bytes: 0, backlogBytes };
  }

  async close(): Promise<void> {
    this.#drop();
    await this.#environment.close();
  }

  /** K2. */
  #drop(): void {
    this.#round = undefined;
    this.#purge = undefined;
    this.#replay.drop();
    this.#lists.clear();
    this.#nextMergeLook = Number.NEGATIVE_INFINITY;
  }

  #plan(view: View, work: ShardWork, blobs: Blobs, task: UpkeepTask): Plan | undefined {
    const slice = new Slice(view, work);
    const { blobs: newest, receivedAtMs } = view.head;
    const nowSeconds = this.#time.nowSeconds(task.nowSeconds, receivedAtMs, () => this.#isNearlyFull());
    const dueBlob = this.#dueBlob ?? newest;
    const awaited = blobs.blobs.list.filter(({ number }) => number <= dueBlob);
    let advance = advanceKept(work, awaited, nowSeconds);
    // In a store without room there may be none for a round: nothing holds up what makes some.
    if (advance === "round-first" && this.#isNearlyFull()) advance = advanceKept(work, [], nowSeconds);
    this.#dueBlob = advance === "nothing" ? undefined : dueBlob; // K4
    const passed = passedSpan(view, work);
    if (passed !== undefined) planPassed(slice, passed);
    if (passed !== undefined || advance === "advanced") return finish("retention", slice);
    return (
      this.#planReplay(slice, blobs) ??
      this.#planRun(slice, blobs.blobs) ??
      this.#planRound(slice, blobs, task, nowSeconds, advance === "round-first") ??
      this.#planPurge(slice, blobs.blobs) ??
      this.#planMerge(slice, task, nowSeconds)
    );
  }

  #isNearlyFull(): boolean {
    return this.#environment.space().usedBytes >= nearlyFull * this.#mapBytes;
  }

  #planReplay(slice: Slice, { blobs, orphans }: Blobs): Plan | undefined {
    if (!this.#replay.plan(slice, blobs, orphans, this.#options)) return undefined;
    this.#round = undefined;
    return finish("replay", slice);
  }

  /** Small blobs become larger ones: a read looks into each. A round's own are left alone, and those up to a barrier. */
  #planRun(slice: Slice, { list }: WaitingBlobs): Plan | undefined {
    const { view, work } = slice;
    const ofRound = work.round?.replay === undefined ? work.round?.until : undefined;
    const chosen = pickRun(list, Math.max(ofRound ?? 0, barrierOf(view.head)));
    // What spares reads some looks must not hold up, for want of room, what makes room.
    if (chosen === undefined || this.#isNearlyFull()) return undefined;
    const keys = list.slice(chosen.first, chosen.end).map(({ key }) => key);
    const run = planRun(
      keys,
      keys.map((key) => storedBlob(view, key)),
    );
    for (const { key, value } of run.puts) slice.put(key, value);
    for (const key of run.removes) slice.remove(key);
    slice.rows = run.rows;
    return finish("runs", slice);
  }

  #planRound(
    slice: Slice,
    blobs: Blobs,
    task: UpkeepTask,
    nowSeconds: number,
    forced: boolean,
  ): Plan | undefined {
    const { view, work } = slice;
    work.round ??= this.#nextRound(slice, blobs, task, forced);
    const { round } = work;
    if (round === undefined) return undefined;
    if (this.#round?.piece !== round.piece) {
      const { list } = upTo(round.replay === undefined ? blobs.blobs : blobs.staged, round.until);
      const keys = list.map(({ key }) => key);
      this.#round = new RoundWork(view, round, keys, round.replay === undefined ? undefined : work.replay);
    }
    this.#round.plan(slice, task.ladders, nowSeconds, this.#plans, this.#options);
    return finish("fragments", slice, () => {
      if (work.round !== undefined) return;
      this.#round = undefined;
      this.#waitingSince = undefined;
      this.#nextMergeLook = Number.NEGATIVE_INFINITY;
    });
  }

  /**
   * Of ordinary blobs when it pays, and at once of those up to a replay's barrier (Y2). Of staged ones when they are
   * many, and before all others when these are the last.
   */
  #nextRound(
    { view, work }: Slice,
    { blobs, staged }: Blobs,
    task: UpkeepTask,
    forced: boolean,
  ): Round | undefined {
    const roundBytes = this.#options.roundBytes ?? this.#roundBytesFor(view);
    const limit = roundLimit(view.head, work);
    if (limit !== undefined) return begun(work, upTo(blobs, limit), roundBytes, undefined);
    const isLast = replayOf(view.head)?.state === "staged" && staged.list.length > 0;
    if (!isLast && (forced || this.#roundPays(blobs, task, roundBytes)))
      return begun(work, blobs, roundBytes, undefined);
    return isLast || staged.total >= roundBytes ? begun(work, staged, roundBytes, work.replay) : undefined;
  }

  #roundBytesFor(view: View): number {
    const series = view.head.nextBlock * seriesPerBlock;
    const bytes = Math.min(roundBytesMost, Math.max(roundBytesLeast, series * roundBytesPerSeries));
    // In a small store the blobs of a round must not be most of it.
    return Math.min(bytes, Math.floor(this.#mapBytes / 16));
  }

  #roundPays(blobs: WaitingBlobs, task: UpkeepTask, roundBytes: number): boolean {
    if (blobs.list.length === 0) {
      this.#waitingSince = undefined;
      return false;
    }
    this.#waitingSince = Math.min(this.#waitingSince ?? task.nowSeconds, task.nowSeconds); // K5
    return (
      task.all ||
      blobs.total >= roundBytes ||
      task.nowSeconds - this.#waitingSince >= this.#options.roundSeconds ||
      (blobs.total >= roundShareWhenFull * this.#mapBytes && this.#isNearlyFull())
    );
  }

  #planPurge(slice: Slice, { list }: WaitingBlobs): Plan | undefined {
    this.#purge ??= Purge.due(slice.view, slice.work, list);
    if (this.#purge === undefined) return undefined;
    const done = this.#purge.plan(slice, this.#options);
    return finish("purge", slice, () => {
      if (done) this.#purge = undefined;
    });
  }

  #planMerge(slice: Slice, task: UpkeepTask, nowSeconds: number): Plan | undefined {
    const { view, work } = slice;
    if (work.merge === undefined) {
      const waitSeconds = this.#nextMergeLook - task.nowSeconds;
      if (!task.all && waitSeconds > 0 && waitSeconds <= mergeLookSeconds) return undefined; // K5
      const policy = { pieces: this.#options.mergePieces, all: task.all };
      work.merge = pickMerge(view, work, nowSeconds, policy);
      if (work.merge === undefined) {
        this.#nextMergeLook = task.nowSeconds + mergeLookSeconds;
        return undefined;
      }
      work.nextPiece++;
    }
    this.#merging.plan(slice, this.#options);
    return finish("merge", slice);
  }
}

function begun(
  work: ShardWork,
  blobs: WaitingBlobs,
  roundBytes: number,
  replay: ReplayWork | undefined,
): Round | undefined {
  const until = lastOfRound(blobs, roundBytes);
  if (until === undefined) return undefined;
  const piece = work.nextPiece++;
  replay?.pieces.push(piece);
  return { replay: replay?.id, until, nextSeries: 0, piece };
}

function finish(kind: Work, slice: Slice, written?: () => void): Plan {
  slice.finish();
  return { kind, slice, ...(written === undefined ? {} : { written }) };
}
