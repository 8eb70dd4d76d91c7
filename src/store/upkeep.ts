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
import type { Environment, View } from "./environment.ts";
import { blobKey, blobPlace, seriesPerBlock, tableRange, type BlobPlace } from "./keys.ts";
import { LadderPlans } from "./ladder-plans.ts";
import { MergeWork, pickMerge } from "./merge.ts";
import type { RecordTime } from "./record-time.ts";
import { advanceKept, passedSpan, planPassed, Purge } from "./retention.ts";
import { RoundWork, storedBlob, type SliceBounds } from "./round.ts";
import { pickRun, planRun } from "./runs.ts";
import { Slice } from "./slice.ts";
import type { ShardUpkeep, UpkeepStep, UpkeepTask, upkeepWorks } from "./store.ts";
import type { ShardWork } from "./work.ts";

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

interface Blobs {
  places: BlobPlace[];
  bytes: number[];
  /** Of all. */
  total: number;
}

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
  /** Bytes of blobs by key. */
  #sizes = new Map<string, number>();
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
    try {
      const now = view.work();
      ({ version } = now);
      const blobs = this.#blobs(view);
      backlogBytes = blobs.total;
      plan = this.#plan(view, now.work, blobs, task);
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      view.close();
    }
    if (plan === undefined) return { kind: "idle", backlogBytes };
    const { slice, kind } = plan;
    const makesRoom = kind === "retention" || kind === "purge"; // K3
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

  async close(): Promise<void> {
    this.#drop();
    await this.#environment.close();
  }

  /** K2. */
  #drop(): void {
    this.#round = undefined;
    this.#purge = undefined;
    this.#sizes.clear();
    this.#nextMergeLook = Number.NEGATIVE_INFINITY;
  }

  #plan(view: View, work: ShardWork, blobs: Blobs, task: UpkeepTask): Plan | undefined {
    const slice = new Slice(view, work);
    const { blobs: newest, receivedAtMs } = view.head;
    const nowSeconds = this.#time.nowSeconds(task.nowSeconds, receivedAtMs, () => this.#isNearlyFull());
    const dueBlob = this.#dueBlob ?? newest;
    const awaited = blobs.places.filter(({ number }) => number <= dueBlob);
    let advance = advanceKept(work, awaited, nowSeconds);
    // In a store without room there may be none for a round: nothing holds up what makes some.
    if (advance === "round-first" && this.#isNearlyFull()) advance = advanceKept(work, [], nowSeconds);
    this.#dueBlob = advance === "nothing" ? undefined : dueBlob; // K4
    const passed = passedSpan(view, work);
    if (passed !== undefined) planPassed(slice, passed);
    if (passed !== undefined || advance === "advanced") return finish("retention", slice);
    return (
      this.#planRun(slice, blobs) ??
      this.#planRound(slice, blobs, task, nowSeconds, advance === "round-first") ??
      this.#planPurge(slice, blobs) ??
      this.#planMerge(slice, task, nowSeconds)
    );
  }

  #isNearlyFull(): boolean {
    return this.#environment.space().usedBytes >= nearlyFull * this.#mapBytes;
  }

  /** Small blobs become larger ones: a read looks into each. A round's own are left alone. */
  #planRun(slice: Slice, blobs: Blobs): Plan | undefined {
    const { view, work } = slice;
    const sized = blobs.places.map(({ number }, at) => ({ number, bytes: blobs.bytes[at] ?? 0 }));
    const chosen = pickRun(sized, work.round?.until);
    // What spares reads some looks must not hold up, for want of room, what makes room.
    if (chosen === undefined || this.#isNearlyFull()) return undefined;
    const places = blobs.places.slice(chosen.first, chosen.end);
    const run = planRun(
      places.map(blobKey),
      places.map((place) => storedBlob(view, place)),
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
    if (work.round === undefined) {
      const roundBytes = this.#options.roundBytes ?? this.#roundBytesFor(view);
      if (!forced && !this.#roundPays(blobs, task, roundBytes)) return undefined;
      const until = lastOfRound(blobs, roundBytes);
      if (until === undefined) return undefined;
      work.round = { until, nextSeries: 0, piece: work.nextPiece++ };
    }
    const { round } = work;
    if (this.#round?.piece !== round.piece) {
      const places = blobs.places.filter(({ number }) => number <= round.until);
      this.#round = new RoundWork(view, round, places);
    }
    this.#round.plan(slice, task.ladders, nowSeconds, this.#plans, this.#options);
    return finish("fragments", slice, () => {
      if (work.round !== undefined) return;
      this.#round = undefined;
      this.#waitingSince = undefined;
      this.#nextMergeLook = Number.NEGATIVE_INFINITY;
    });
  }

  #roundBytesFor(view: View): number {
    const series = view.head.nextBlock * seriesPerBlock;
    const bytes = Math.min(roundBytesMost, Math.max(roundBytesLeast, series * roundBytesPerSeries));
    // In a small store the blobs of a round must not be most of it.
    return Math.min(bytes, Math.floor(this.#mapBytes / 16));
  }

  #roundPays(blobs: Blobs, task: UpkeepTask, roundBytes: number): boolean {
    if (blobs.places.length === 0) {
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

  #planPurge(slice: Slice, blobs: Blobs): Plan | undefined {
    this.#purge ??= Purge.due(slice.view, slice.work, blobs.places);
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

  #blobs(view: View): Blobs {
    const { start, end } = tableRange("blob");
    const blobs: Blobs = { places: [], bytes: [], total: 0 };
    const sizes = new Map<string, number>();
    for (const key of view.keys(start, end, Number.MAX_SAFE_INTEGER)) {
      const at = key.toString("latin1");
      const bytes = this.#sizes.get(at) ?? view.peek(key)?.length ?? 0;
      sizes.set(at, bytes);
      blobs.places.push(blobPlace(key));
      blobs.bytes.push(bytes);
      blobs.total += bytes;
    }
    this.#sizes = sizes;
    return blobs;
  }
}

/** Number of the last blob that a round takes up: its memory is bounded. */
function lastOfRound({ places, bytes }: Blobs, roundBytes: number): number | undefined {
  let sum = 0;
  let until: number | undefined;
  for (const [at, place] of places.entries()) {
    sum += bytes[at] ?? 0;
    if (until !== undefined && sum > 2 * roundBytes) break;
    until = place.number;
  }
  return until;
}

function finish(kind: Work, slice: Slice, written?: () => void): Plan {
  slice.finish();
  return { kind, slice, ...(written === undefined ? {} : { written }) };
}
