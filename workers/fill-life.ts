// One life of a shard's fill lane: from a start to the first thing that is not ok, or until no gap is left.
//
// F1. Gaps are filled in their order, each from its beginning, in commits that shrink it: so each frame of it counts
//     once, through whatever ends this life.
// F2. Live first (P6): commits are small enough that those of the live lane never wait long behind one, and a rate that
//     was asked for is kept over each second.
// F3. It never goes beyond a gap's end: what comes behind it is the live lane's.
// F4. What the record has lost of a gap becomes a hole, confirmed and paged, as in the live lane.
// F5. Of series and tenants that go it hears by a commit that is refused: what it had read is read again, as it is now.
import { Outage } from "../src/base/errors.ts";
import type { Interval, ShardState, ShardStore } from "../src/store/store.ts";
import { Batch, type BatchCounts } from "./batch.ts";
import type { FillActorOptions, FillEnded } from "./fill-actor.ts";
import { FrameLane, type LaneEnded } from "./lane.ts";
import type { FillProgress, FillRate } from "./messages.ts";
import { poisonLettersOf } from "./poison.ts";
import { confirmMissing, RecordReader } from "./record-reader.ts";
import { SeriesRoom } from "./series-room.ts";

/** F2. */
const uncommittedRowsMax = 50_000;
const uncommittedBytesMax = 16 << 20;
const unnamedSeriesMax = 5000;
const uncommittedLettersMax = 2000;
const commitMs = 500;
/** More than this is not saved up while nothing was to be read. */
const rateBurstMs = 1000;
/** While a rate is waited for: it may be another one by then. */
const lookAtRateMs = 1000;
/** Where nothing came for so long although the gap is not filled, the record is asked. */
const silentMsMax = 5000;

export class FillLife {
  readonly #options: FillActorOptions;
  readonly #store: ShardStore;
  readonly #stopping: AbortSignal;
  readonly #report: (change: Partial<FillProgress>) => void;
  readonly #gap: Interval;
  readonly #epoch: number;
  readonly #incarnation: string;
  readonly #gaps: readonly Interval[];
  readonly #lane: FrameLane;
  readonly #reader: RecordReader;
  /** What was gone when the batch began. */
  #removals = 0;
  /** The frame behind which the gap begins now. */
  #from = 0;
  #dueMs: number | undefined;
  /** Of the rate. */
  #spentPoints: number;
  /** F2: the next points may be read from then on, monotonic ms, as long as the rate is this. */
  #readyMs: number;
  #readyRate: FillRate = "full";
  #silentSinceMs: number;
  #wake: () => void = () => {};

  /** The state has a gap. `counts` go on. */
  constructor(
    options: FillActorOptions,
    store: ShardStore,
    state: ShardState,
    stopping: AbortSignal,
    counts: BatchCounts,
    report: (change: Partial<FillProgress>) => void,
  ) {
    this.#options = options;
    this.#store = store;
    this.#stopping = stopping;
    this.#report = report;
    this.#epoch = state.epoch;
    this.#incarnation = state.incarnation;
    this.#gaps = state.gaps;
    this.#gap = state.gaps[0] as Interval;
    const { bus, clock, lastDeath, log, shard } = options;
    this.#reader = new RecordReader({ shard, bus, log, onNews: () => this.#wake() });
    this.#lane = new FrameLane(
      {
        shard,
        lane: "fill",
        store,
        clock,
        log,
        lastDeath,
        newBatch: (now, before) => this.#newBatch(now, before ?? counts),
        commit: () => this.#commit(),
        poisonLetters: poisonLettersOf(() => options.openReader()),
        onTrial: (trial) => report({ trial, isolated: this.#lane.isIsolated }),
      },
      state,
    );
    this.#spentPoints = counts.points;
    this.#readyMs = clock.monotonicMs();
    this.#silentSinceMs = this.#readyMs;
  }

  get counts(): BatchCounts {
    return this.#lane.batch.committedCounts;
  }

  get #batch(): Batch {
    return this.#lane.batch;
  }

  get #last(): number {
    return this.#gap[1];
  }

  /** Undefined: the gap is filled. */
  async fill(): Promise<FillEnded | undefined> {
    await this.#checkRecord();
    await this.#reader.open(this.#batch.read + 1);
    const { cell } = this.#options;
    while (this.#from < this.#last) {
      const ended =
        (await this.#takeQueued()) ??
        (this.#isDue() ? await this.#commit() : undefined) ??
        (this.#stopping.aborted ? await this.#stopped() : undefined);
      if (ended !== undefined) return ended;
      if (this.#from >= this.#last) break;
      cell.idle();
      if (!this.#reader.isOpen && this.#reader.queue.length === 0)
        await this.#reader.open(this.#batch.read + 1);
      await this.#untilSomething();
    }
    return undefined;
  }

  close(): void {
    this.#reader.close();
  }

  #newBatch(state: ShardState, counts: BatchCounts): Batch {
    const { newAggregator, refusedNames, seriesLimits } = this.#options;
    this.#removals = state.removals;
    this.#from = (state.gaps[0]?.[0] ?? this.#last + 1) - 1;
    return new Batch({
      aggregator: newAggregator(),
      state,
      lane: "fill",
      from: this.#from,
      room: new SeriesRoom(seriesLimits, this.#store, refusedNames),
      counts,
    });
  }

  async #checkRecord(): Promise<void> {
    const { bus, shard } = this.#options;
    const { incarnation, firstSequence } = await bus.streamState(shard);
    // The live lane fails the shard for that; here nothing may be read.
    if (incarnation !== this.#incarnation)
      throw new Outage("bus-unavailable", `the record of shard ${shard} is another one by now`);
    if (firstSequence > this.#from + 1) this.#hole(Math.min(firstSequence - 1, this.#last));
  }

  async #takeQueued(): Promise<FillEnded | undefined> {
    const { bus, cell, clock, shard } = this.#options;
    let taken = 0;
    let ended: FillEnded | undefined;
    for (const recorded of this.#reader.queue) {
      if (!this.#isReady()) break;
      const { sequence } = recorded;
      if (sequence > this.#last) {
        await this.#missing(this.#last); // F3
        break;
      }
      if (sequence > this.#batch.read) {
        if (sequence !== this.#batch.read + 1) {
          await confirmMissing(bus, shard, this.#batch.read + 1, sequence - 1);
          this.#hole(sequence - 1);
        }
        cell.ingesting(sequence);
        ended = await this.#lane.apply(recorded);
        this.#spend();
        if (!this.#batch.isEmpty) this.#dueMs ??= clock.monotonicMs() + commitMs;
      }
      taken++;
      this.#silentSinceMs = clock.monotonicMs();
      this.#reader.release(recorded);
      if (ended !== undefined || this.#isDue() || this.#lane.isIsolated) break;
    }
    this.#reader.taken(taken);
    if (ended === undefined && this.#reader.queue.length === 0) {
      if (this.#reader.ended !== undefined) throw this.#reader.ended;
      if (clock.monotonicMs() - this.#silentSinceMs > silentMsMax) await this.#lookForTheRest();
    }
    return ended;
  }

  /** F2. What an earlier, lower rate has lent is not waited for. */
  #isReady(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#options.rate() !== this.#readyRate) this.#readyMs = nowMs;
    return nowMs >= this.#readyMs;
  }

  /** F2. */
  #spend(): void {
    const { clock, rate } = this.#options;
    const perSecond = rate();
    const { points } = this.#batch.counts;
    const spent = Math.max(0, points - this.#spentPoints);
    this.#spentPoints = points;
    this.#readyRate = perSecond;
    if (perSecond === "full") return;
    this.#readyMs = Math.max(this.#readyMs, clock.monotonicMs() - rateBurstMs) + (spent * 1000) / perSecond;
  }

  /** F4. A reader that gives nothing: frames may be gone from the record's very end. */
  async #lookForTheRest(): Promise<void> {
    this.#silentSinceMs = this.#options.clock.monotonicMs();
    await this.#missing(this.#last);
  }

  async #missing(to: number): Promise<void> {
    if (this.#batch.read >= to) return;
    const { bus, shard } = this.#options;
    await confirmMissing(bus, shard, this.#batch.read + 1, to);
    this.#hole(to);
  }

  #hole(to: number): void {
    const { clock, log, shard } = this.#options;
    const from = this.#batch.read + 1;
    log.error({ shard, from, to, page: true }, "the record has a hole in a gap: these frames are gone");
    this.#batch.hole(from, to);
    this.#dueMs = clock.monotonicMs();
  }

  #isDue(): boolean {
    if (this.#dueMs === undefined) return false;
    return (
      this.#batch.read >= this.#last ||
      this.#options.clock.monotonicMs() >= this.#dueMs ||
      this.#batch.openRows >= uncommittedRowsMax ||
      this.#batch.unnamedSeries >= unnamedSeriesMax ||
      this.#batch.letters >= uncommittedLettersMax ||
      this.#batch.bytes >= uncommittedBytesMax
    );
  }

  async #stopped(): Promise<FillEnded> {
    const ended = this.#batch.isEmpty ? undefined : await this.#commit();
    return ended ?? { kind: "stopped", offset: this.#from };
  }

  async #commit(): Promise<LaneEnded | undefined> {
    const { newAggregator, shard } = this.#options;
    const commit = this.#batch.commit(this.#epoch, this.#from, this.#incarnation);
    const result = await this.#store.commit({ ...commit, removals: this.#removals });
    if (result.kind === "fenced") return { kind: "fenced", epoch: result.epoch };
    if (result.kind === "at")
      throw new Outage("store-unavailable", `a gap of shard ${shard} is elsewhere: beginning again`);
    this.#batch.committed(result.ids);
    if (this.#batch.isCrowded) this.#batch.renew(newAggregator());
    this.#from = this.#batch.read;
    this.#dueMs = undefined;
    const { points } = this.#batch.counts;
    const frames = this.#gaps.slice(1).reduce((sum, [from, to]) => sum + to - from + 1, 0);
    this.#report({
      framesLeft: frames + this.#last - this.#from,
      points,
      isolated: this.#lane.isIsolated,
      trial: undefined,
    });
    return undefined;
  }

  #untilSomething(): Promise<void> {
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    const isReady = this.#isReady();
    if (this.#stopping.aborted || (this.#reader.queue.length > 0 && isReady)) return Promise.resolve();
    const until = Math.min(
      this.#dueMs ?? Number.POSITIVE_INFINITY,
      isReady ? now + silentMsMax : Math.min(this.#readyMs, now + lookAtRateMs),
    );
    return new Promise((resolve) => {
      const cancel = clock.after(Math.max(0, until - now), () => this.#wake());
      const onStop = () => this.#wake();
      this.#stopping.addEventListener("abort", onStop, { once: true });
      this.#wake = () => {
        this.#wake = () => {};
        this.#stopping.removeEventListener("abort", onStop);
        cancel();
        resolve();
      };
    });
  }
}
