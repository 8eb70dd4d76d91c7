// One life of an actor: from a claim to the first thing that is not ok. S1 to S7 are shard-actor.ts's.
import { Outage } from "../src/base/errors.ts";
import { isAnotherRecord } from "../src/store/record.ts";
import type { Interval, ShardState, ShardStore } from "../src/store/store.ts";
import { Batch, type BatchCounts } from "./batch.ts";
import { CommitPace } from "./commit-pace.ts";
import { doChore, type Chores } from "./chores.ts";
import { FrameLane, type LaneEnded } from "./lane.ts";
import type { ShardProgress } from "./messages.ts";
import { poisonLettersOf } from "./poison.ts";
import { confirmMissing, RecordReader } from "./record-reader.ts";
import { SeriesRoom } from "./series-room.ts";
import type { Ended, ShardActorOptions } from "./shard-actor.ts";
import { trimRecord, type TrimOptions } from "./trim.ts";

/** Each takes 120 bytes of the kernel's memory, which never shrinks. */
const uncommittedRowsMax = 400_000;
const uncommittedBytesMax = 128 << 20;
/** Dead letters of one commit: beyond some more, those of single lines are counted only. */
const uncommittedLettersMax = 5000;
/** New names of one commit: they and their tree entries lie in memory together, and other commits wait for them. */
const unnamedSeriesMax = 20_000;
/** Far enough below the aggregator's own bound for the new series of one commit. */
const seriesCachedMaxDefault = 4_000_000;
const trimEveryMs = 10_000;
const forgetEveryMs = 600_000;
const retireEveryMs = 3_600_000;
/** More series than this without an id, and the cache is made anew: most of them are gone for good. */
const droppedSeriesMax = 100_000;
/** The store forgets and retires a bounded part at a time: while there was something, it is asked again this soon. */
const forgetAgainMs = 1000;

/** From one claim to the first thing that is not ok. */
export class Life {
  readonly #options: ShardActorOptions;
  readonly #store: ShardStore;
  readonly #stopping: AbortSignal;
  readonly #wakers: Set<() => void>;
  readonly #chores: Chores;
  readonly #report: (change: Partial<ShardProgress>, force?: boolean) => void;
  readonly #lane: FrameLane;
  readonly #reader: RecordReader;
  readonly #epoch: number;
  #offset = 0;
  #incarnation: string;
  /** The broker's time at the offset. */
  #frameTimeMs = 0;
  readonly #state: ShardState;
  /** Where reading stood when the last look found the record ahead of it. */
  #silentAt: number | undefined;
  #wake: () => void = () => {};
  /** When the next commit is due, monotonic ms; undefined while there is nothing to commit. */
  #dueMs: number | undefined;
  readonly #pace: CommitPace;
  #committedMs: number;
  #committedPoints = 0;
  #nextTrimMs: number;
  /** Committed since the trimmer last looked, and after how much it should look again; bytes. */
  #untrimmedBytes = 0;
  #trimAfterBytes = 0;
  #nextForgetMs: number;
  #nextRetireMs: number;
  #counts = { commits: 0, rows: 0, trimmed: 0 };

  constructor(
    options: ShardActorOptions,
    store: ShardStore,
    state: ShardState,
    stopping: AbortSignal,
    wakers: Set<() => void>,
    chores: Chores,
    report: (change: Partial<ShardProgress>, force?: boolean) => void,
  ) {
    this.#options = options;
    this.#store = store;
    this.#state = state;
    this.#stopping = stopping;
    this.#wakers = wakers;
    this.#chores = chores;
    this.#report = report;
    const { bus, clock, lastDeath, log, shard } = options;
    this.#reader = new RecordReader({ shard, bus, log, onNews: () => this.#wake() });
    this.#lane = new FrameLane(
      {
        shard,
        lane: "live",
        store,
        clock,
        log,
        lastDeath: lastDeath ?? "",
        newBatch: (now, counts) => this.#newBatch(now, counts),
        commit: () => this.#commit(),
        poisonLetters: poisonLettersOf(() => options.openReader()),
        onTrial: (trial) => report({ trial, isolated: this.#lane.isIsolated }, true),
      },
      state,
    );
    this.#pace = new CommitPace(options.commitMs);
    this.#committedMs = options.clock.monotonicMs();
    this.#epoch = state.epoch;
    this.#incarnation = state.incarnation;
    this.#nextTrimMs = options.clock.monotonicMs() + trimEveryMs;
    this.#nextForgetMs = options.clock.monotonicMs() + forgetEveryMs;
    // Not an hour: a shard that is restarted often retires too.
    this.#nextRetireMs = options.clock.monotonicMs() + forgetEveryMs;
    wakers.add(this.#onWake);
  }

  readonly #onWake = (): void => this.#wake();

  get #batch(): Batch {
    return this.#lane.batch;
  }

  /** From what the store holds: at the beginning, and where everything in memory was thrown away. */
  #newBatch(state: ShardState, counts: BatchCounts | undefined): Batch {
    const { refusedLines, refusedNames, seriesLimits } = this.#options;
    this.#offset = state.offset;
    this.#frameTimeMs = state.frameTimeMs;
    return new Batch({
      aggregator: this.#options.newAggregator(),
      state,
      room: seriesLimits && refusedNames && new SeriesRoom(seriesLimits, this.#store, refusedNames),
      samples: refusedLines,
      ...(counts && { counts }),
    });
  }

  async live(): Promise<Ended> {
    const { log, shard } = this.#options;
    await this.#checkRecord();
    const settled = await this.#openReader();
    if (settled !== undefined) return settled;
    const isolated = this.#lane.isIsolated;
    log.info({ shard, epoch: this.#epoch, offset: this.#offset, isolated }, "shard reads");
    this.#report(
      {
        doing: "ingesting",
        waitsFor: "",
        epoch: this.#epoch,
        offset: this.#offset,
        read: this.#offset,
        isolated,
        trial: undefined,
        // A new life counts from 0: who adds up what lives said sees where one begins.
        ...this.#batch.counts,
        ...this.#counts,
      },
      true,
    );
    this.#options.onReady();
    for (;;) {
      const ended =
        (await this.#ingestQueued()) ??
        (this.#isDue() ? await this.#commit() : undefined) ??
        (this.#stopping.aborted ? await this.#stopped() : undefined);
      if (ended !== undefined) return ended;
      const isWorkedOff = !this.#reader.isOpen && this.#reader.queue.length === 0;
      const over = (isWorkedOff ? await this.#openReader() : undefined) ?? (await this.#doAsked());
      if (over !== undefined) return over;
      await this.#housekeeping();
      await this.#untilSomething();
    }
  }

  async #stopped(): Promise<Ended> {
    const ended = this.#batch.isEmpty ? undefined : await this.#commit();
    return ended ?? { kind: "stopped", offset: this.#offset };
  }

  close(): void {
    this.#wakers.delete(this.#onWake);
    this.#reader.close();
  }

  /** The record must be the one that the offset counts, and must still hold what comes next. */
  async #checkRecord(): Promise<void> {
    const { bus, shard } = this.#options;
    const stream = await bus.streamState(shard);
    const why = await isAnotherRecord(bus, shard, this.#state, stream);
    if (why !== undefined)
      throw new Outage(
        "record-rewound",
        `the record of shard ${shard} is not the one the store has read: ${why}`,
      );
    this.#incarnation = stream.incarnation;
    if (stream.firstSequence > this.#offset + 1) this.#hole(this.#offset + 1, stream.firstSequence - 1);
  }

  /** Where nothing is to be read, the lane is well: then its starts are forgotten. */
  async #openReader(): Promise<Ended | undefined> {
    await this.#reader.open(this.#batch.read + 1);
    const last = await this.#checkSame();
    return last === this.#offset && this.#batch.isEmpty ? await this.#lane.settled() : undefined;
  }

  /**
   * With the reader open: the record is still the one that was checked. A stream made anew between the check and the
   * reader would give nothing up to our place, and then go on as if it were the same. Answers its last sequence.
   */
  async #checkSame(): Promise<number> {
    const { bus, shard } = this.#options;
    const { incarnation, lastSequence } = await bus.streamState(shard);
    if (incarnation !== this.#incarnation || lastSequence < this.#batch.read)
      throw new Outage(
        "bus-unavailable",
        `the record of shard ${shard} changed meanwhile: looking at it again`,
      );
    return lastSequence;
  }

  async #ingestQueued(): Promise<Ended | undefined> {
    const { clock } = this.#options;
    const { queue } = this.#reader;
    let taken = 0;
    let ended: Ended | undefined;
    for (const recorded of queue) {
      if (recorded.sequence > this.#batch.read) {
        if (recorded.sequence !== this.#batch.read + 1) await this.#confirmHole(recorded.sequence - 1);
        this.#options.cell?.ingesting(recorded.sequence);
        ended = await this.#lane.apply(recorded);
        this.#options.cell?.idle();
        if (!this.#batch.isEmpty) this.#dueMs ??= clock.monotonicMs() + this.#pace.intervalMs;
      }
      taken++;
      this.#reader.release(recorded);
      // Isolated, each frame is a commit: others have their turn behind it.
      if (ended !== undefined || this.#isDue() || this.#lane.isIsolated) break;
    }
    if (taken > 0) {
      this.#reader.taken(taken);
      this.#report({ read: this.#batch.read, ...this.#batch.counts, series: this.#batch.seriesCount });
    }
    if (ended === undefined && this.#reader.ended !== undefined && this.#reader.queue.length === 0)
      throw this.#reader.ended;
    return ended;
  }

  /** S2: the reader jumped over frames up to this one. */
  async #confirmHole(to: number): Promise<void> {
    const { bus, shard } = this.#options;
    const from = this.#batch.read + 1;
    await confirmMissing(bus, shard, from, to);
    this.#hole(from, to);
  }

  /**
   * S2 where no jump can show it: frames gone from the record's very end, or a reader that gives nothing. When nothing
   * came between two looks although the record goes on, what is missing is asked for one by one.
   */
  async #checkSilence(): Promise<void> {
    const { bus, shard } = this.#options;
    const { lastSequence } = await bus.streamState(shard);
    const silent = this.#reader.queue.length === 0 && lastSequence > this.#batch.read;
    const again = silent && this.#silentAt === this.#batch.read;
    this.#silentAt = silent ? this.#batch.read : undefined;
    if (again) await this.#confirmHole(lastSequence);
  }

  #hole(from: number, to: number): void {
    const { log, shard } = this.#options;
    log.error({ shard, from, to, page: true }, "the record has a hole: these frames are gone");
    this.#batch.hole(from, to);
    this.#dueMs ??= this.#options.clock.monotonicMs();
  }

  #isDue(): boolean {
    if (this.#dueMs === undefined) return false;
    return (
      this.#options.clock.monotonicMs() >= this.#dueMs ||
      this.#batch.openRows >= uncommittedRowsMax ||
      this.#batch.unnamedSeries >= unnamedSeriesMax ||
      this.#batch.letters >= uncommittedLettersMax ||
      this.#batch.bytes >= uncommittedBytesMax
    );
  }

  async #commit(): Promise<LaneEnded | undefined> {
    const { clock, log, shard } = this.#options;
    const started = clock.monotonicMs();
    const waitingBytes = this.#reader.queueBytes;
    const { bytes } = this.#batch;
    const commit = this.#batch.commit(this.#epoch, this.#offset, this.#incarnation);
    const result = await this.#store.commit(commit);
    if (result.kind === "fenced") {
      log.warn({ shard, epoch: this.#epoch, newer: result.epoch }, "fenced: another owner has the shard");
      return { kind: "fenced", epoch: result.epoch };
    }
    if (result.kind === "at")
      throw new Outage(
        "store-unavailable",
        `the store's offset is ${result.offset}, expected ${this.#offset}`,
      );
    this.#batch.committed(result.ids);
    if (
      this.#batch.seriesCount >= (this.#options.seriesCachedMax ?? seriesCachedMaxDefault) ||
      this.#batch.droppedSeries >= droppedSeriesMax ||
      this.#batch.isCrowded
    )
      this.#batch.renew(this.#options.newAggregator());
    this.#offset = commit.to;
    this.#frameTimeMs = commit.frameTimeMs;
    this.#untrimmedBytes += bytes;
    this.#dueMs = undefined;
    const now = clock.monotonicMs();
    const { points } = this.#batch.counts;
    this.#pace.committed({
      tookMs: now - started,
      sinceMs: now - this.#committedMs,
      points: points - this.#committedPoints,
      rows: commit.deltas.count,
      waitingBytes,
    });
    this.#committedMs = now;
    this.#committedPoints = points;
    this.#counts.commits++;
    this.#counts.rows += commit.deltas.count;
    this.#report(
      {
        doing: "ingesting",
        offset: this.#offset,
        receivedAtMs: commit.receivedAtMs,
        commitMs: now - started,
        isolated: this.#lane.isIsolated,
        ...this.#batch.counts,
        ...this.#counts,
      },
      true,
    );
    return undefined;
  }

  async #housekeeping(): Promise<void> {
    const { bus, clock, log, shard, replayWindowMs } = this.#options;
    const now = clock.monotonicMs();
    if (now >= this.#nextTrimMs || this.#untrimmedBytes > this.#trimAfterBytes) {
      this.#nextTrimMs = now + trimEveryMs;
      this.#untrimmedBytes = 0;
      const options: TrimOptions = {
        shard,
        incarnation: this.#incarnation,
        committed: this.#offset,
        keep: await this.#kept(),
        replayWindowMs,
      };
      const trimmed = await trimRecord(bus, clock, log, options);
      this.#counts.trimmed += trimmed.frames;
      this.#trimAfterBytes = trimmed.lookAfterBytes;
      await this.#checkSilence();
      // A shard that has nothing to do says so too (P7).
      this.#report({ ...this.#counts }, true);
    }
    if (now >= this.#nextForgetMs) {
      const { keyed, boots, ledger, dead, closed } = await this.#store.forget(this.#epoch, this.#frameTimeMs);
      this.#nextForgetMs = now + (keyed + boots + ledger + dead + closed > 0 ? forgetAgainMs : forgetEveryMs);
    }
    if (now >= this.#nextRetireMs) {
      // The record's time (S5), the earlier of two: a gateway's clock that is years ahead retires nothing.
      const seconds = Math.floor(Math.min(this.#frameTimeMs, this.#batch.receivedAtMs) / 1000);
      const { ids, more } = await this.#store.retire(this.#epoch, seconds);
      this.#batch.drop(ids);
      if (ids.length > 0) log.info({ shard, series: ids.length }, "series were retired");
      this.#nextRetireMs = now + (more ? forgetAgainMs : retireEveryMs);
    }
  }

  /** What must stay in the record behind the offset: gaps as they are now, and what a replay still has to read. */
  async #kept(): Promise<Interval[]> {
    const reader = await this.#options.openReader();
    try {
      const snapshot = await reader.snapshot();
      try {
        const { gaps, offset, replays } = await snapshot.progress();
        const building = replays.filter(({ state }) => state === "building");
        return [...gaps, ...building.map(({ done }): Interval => [done + 1, Math.max(done + 1, offset)])];
      } finally {
        snapshot.close();
      }
    } finally {
      await reader.close();
    }
  }

  /** One request at a time, so that commits have their turn. */
  async #doAsked(): Promise<Ended | undefined> {
    const asked = this.#chores.take();
    if (asked === undefined) return undefined;
    try {
      const where = { store: this.#store, epoch: this.#epoch, batch: this.#batch };
      const { done, isSure } = await doChore(asked.chore, where);
      const ended = isSure ? undefined : await this.#commit();
      if (ended === undefined) asked.done(done);
      else asked.failed(new Outage("store-unavailable", "another owner has the shard"));
      return ended;
    } catch (error) {
      asked.failed(error);
      throw error;
    }
  }

  /** A frame, the end of the reader, a stop, or the time of the next commit or housekeeping. */
  #untilSomething(): Promise<void> {
    if (
      this.#reader.queue.length > 0 ||
      this.#reader.ended !== undefined ||
      this.#stopping.aborted ||
      this.#chores.count > 0
    )
      return Promise.resolve();
    const { clock } = this.#options;
    const until = Math.min(
      this.#dueMs ?? Number.POSITIVE_INFINITY,
      this.#nextTrimMs,
      this.#nextForgetMs,
      this.#nextRetireMs,
    );
    return new Promise((resolve) => {
      const cancel = clock.after(Math.max(0, until - clock.monotonicMs()), () => this.#wake());
      this.#wake = () => {
        this.#wake = () => {};
        cancel();
        resolve();
      };
    });
  }
}
