// One life of an actor: from a claim to the first thing that is not ok. S1 to S6 are shard-actor.ts's.
import { ActorCell } from "../src/base/actor-cell.ts";
import { messageOf, Outage } from "../src/base/errors.ts";
import type { Reader, RecordedFrame } from "../src/bus/bus.ts";
import { isAnotherRecord } from "../src/store/record.ts";
import type { ShardState, ShardStore } from "../src/store/store.ts";
import { Batch } from "./batch.ts";
import { CommitPace } from "./commit-pace.ts";
import type { Deletions } from "./deletions.ts";
import type { ShardProgress } from "./messages.ts";
import { SeriesRoom } from "./series-room.ts";
import type { Ended, ShardActorOptions } from "./shard-actor.ts";
import { trimRecord, type TrimOptions } from "./trim.ts";

/** S6. Frames queued behind a commit; beyond it the reader, which is told, is closed until they are worked off. */
const queueBytesMax = 32 << 20;
/** Each takes 120 bytes of the kernel's memory, which never shrinks. */
const uncommittedRowsMax = 400_000;
const uncommittedBytesMax = 128 << 20;
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
  readonly #deletions: Deletions;
  readonly #report: (change: Partial<ShardProgress>, force?: boolean) => void;
  readonly #batch: Batch;
  readonly #cell: ActorCell;
  readonly #epoch: number;
  #offset: number;
  #incarnation: string;
  /** The broker's time at the offset. */
  #frameTimeMs: number;
  readonly #state: ShardState;
  #reader: Reader | undefined;
  /** Where reading stood when the last look found the record ahead of it. */
  #silentAt: number | undefined;
  /** Which reader may speak. */
  #opening = 0;
  #queue: RecordedFrame[] = [];
  #queueBytes = 0;
  #ended: Error | undefined;
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
    deletions: Deletions,
    report: (change: Partial<ShardProgress>, force?: boolean) => void,
  ) {
    this.#options = options;
    this.#cell = options.cell ?? new ActorCell();
    this.#store = store;
    this.#state = state;
    this.#stopping = stopping;
    this.#wakers = wakers;
    this.#deletions = deletions;
    this.#report = report;
    const { refusedNames, seriesLimits } = options;
    this.#batch = new Batch(
      options.newAggregator(),
      state,
      seriesLimits && refusedNames && new SeriesRoom(seriesLimits, store, refusedNames),
      options.refusedLines,
    );
    this.#pace = new CommitPace(options.commitMs);
    this.#committedMs = options.clock.monotonicMs();
    this.#epoch = state.epoch;
    this.#offset = state.offset;
    this.#incarnation = state.incarnation;
    this.#frameTimeMs = state.frameTimeMs;
    this.#nextTrimMs = options.clock.monotonicMs() + trimEveryMs;
    this.#nextForgetMs = options.clock.monotonicMs() + forgetEveryMs;
    // Not an hour: a shard that is restarted often retires too.
    this.#nextRetireMs = options.clock.monotonicMs() + forgetEveryMs;
    wakers.add(this.#onWake);
  }

  readonly #onWake = (): void => this.#wake();

  async live(): Promise<Ended> {
    const { log, shard } = this.#options;
    this.#cell.bus();
    await this.#checkRecord();
    await this.#openReader();
    this.#cell.idle();
    log.info({ shard, epoch: this.#epoch, offset: this.#offset }, "shard reads");
    this.#report(
      {
        doing: "ingesting",
        waitsFor: "",
        epoch: this.#epoch,
        offset: this.#offset,
        read: this.#offset,
        // A new life counts from 0: who adds up what lives said sees where one begins.
        ...this.#batch.counts,
        ...this.#counts,
      },
      true,
    );
    this.#options.onReady();
    for (;;) {
      await this.#ingestQueued();
      if (this.#ended !== undefined && this.#queue.length === 0) throw this.#ended;
      if (this.#isDue()) {
        const ended = await this.#commit();
        if (ended !== undefined) return ended;
      }
      if (this.#stopping.aborted) {
        if (!this.#batch.isEmpty(this.#offset)) {
          const ended = await this.#commit();
          if (ended !== undefined) return ended;
        }
        return { kind: "stopped", offset: this.#offset };
      }
      if (this.#reader === undefined && this.#queue.length === 0) await this.#openReader();
      const ended = await this.#deleteAsked();
      if (ended !== undefined) return ended;
      await this.#housekeeping();
      await this.#untilSomething();
    }
  }

  close(): void {
    this.#wakers.delete(this.#onWake);
    this.#closeReader();
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

  async #openReader(): Promise<void> {
    const { bus, shard } = this.#options;
    const opening = ++this.#opening;
    const reader = await bus.read(shard, this.#batch.read + 1, {
      onFrame: (frame) => {
        // A closed reader may still hand over what was on its way: the next one brings it again.
        if (opening !== this.#opening) return;
        this.#queue.push(frame);
        this.#queueBytes += frame.data.length;
        if (this.#queueBytes > queueBytesMax) this.#closeReader();
        this.#wake();
      },
      waitingBytes: () => this.#queueBytes,
      onEnd: (error) => {
        if (opening !== this.#opening) return;
        this.#ended ??= error instanceof Outage ? error : new Outage("bus-unavailable", messageOf(error));
        this.#wake();
      },
    });
    // It may have filled the queue before it was even in our hands.
    if (opening === this.#opening) this.#reader = reader;
    else this.#close(reader);
    await this.#checkSame();
  }

  /**
   * With the reader open: the record is still the one that was checked. A stream made anew between the check and the
   * reader would give nothing up to our place, and then go on as if it were the same.
   */
  async #checkSame(): Promise<void> {
    const { bus, shard } = this.#options;
    const { incarnation, lastSequence } = await bus.streamState(shard);
    if (incarnation !== this.#incarnation || lastSequence < this.#batch.read)
      throw new Outage(
        "bus-unavailable",
        `the record of shard ${shard} changed meanwhile: looking at it again`,
      );
  }

  #closeReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#opening++;
    if (reader !== undefined) this.#close(reader);
  }

  /** Nobody waits for it: nothing depends on when, or whether, the other side hears of it. */
  #close(reader: Reader): void {
    const { log, shard } = this.#options;
    reader
      .close()
      .catch((error: unknown) => log.warn({ shard, why: messageOf(error) }, "closing a reader failed"));
  }

  async #ingestQueued(): Promise<void> {
    const { bus, clock } = this.#options;
    let taken = 0;
    for (const recorded of this.#queue) {
      if (recorded.sequence > this.#batch.read) {
        if (recorded.sequence !== this.#batch.read + 1) await this.#confirmHole(recorded.sequence);
        this.#cell.ingesting(recorded.sequence);
        const decoded = this.#batch.decode(recorded);
        const keyed = this.#batch.keyedIdOf(decoded);
        const stored = keyed !== undefined && (await this.#wasApplied(keyed, recorded));
        this.#batch.apply(recorded, decoded, stored);
        this.#cell.store();
        if (this.#batch.isUndecided) await this.#batch.decide();
        this.#dueMs ??= clock.monotonicMs() + this.#pace.intervalMs;
      }
      taken++;
      this.#queueBytes -= recorded.data.length;
      bus.release(recorded.data);
      if (this.#isDue()) break;
    }
    this.#cell.idle();
    if (taken > 0) {
      this.#queue = this.#queue.slice(taken);
      this.#reader?.more?.();
      this.#report({ read: this.#batch.read, ...this.#batch.counts, series: this.#batch.seriesCount });
    }
  }

  async #wasApplied(keyed: Uint8Array, { sequence, timeMs }: RecordedFrame): Promise<boolean> {
    this.#cell.store();
    const [applied] = await this.#store.keyedApplied([keyed], timeMs);
    this.#cell.ingesting(sequence);
    return applied === true;
  }

  /** S2: the reader jumped over frames. If the record still has one of them, reading starts over. */
  async #confirmHole(sequence: number): Promise<void> {
    const { bus, shard } = this.#options;
    const first = this.#batch.read + 1;
    this.#cell.bus();
    // What lies before the record's first frame is gone at once, however many that are: only the rest is asked for.
    const { firstSequence } = await bus.streamState(shard);
    for (let missing = Math.max(first, firstSequence); missing < sequence; missing++)
      if ((await bus.frameAt(shard, missing)) !== undefined)
        throw new Outage("bus-unavailable", `the reader passed over frame ${missing}, which the record has`);
    this.#hole(first, sequence - 1);
  }

  /**
   * S2 where no jump can show it: frames gone from the record's very end, or a reader that gives nothing. When nothing
   * came between two looks although the record goes on, what is missing is asked for one by one.
   */
  async #checkSilence(): Promise<void> {
    const { bus, shard } = this.#options;
    const { lastSequence } = await bus.streamState(shard);
    const silent = this.#queue.length === 0 && lastSequence > this.#batch.read;
    const again = silent && this.#silentAt === this.#batch.read;
    this.#silentAt = silent ? this.#batch.read : undefined;
    if (again) await this.#confirmHole(lastSequence + 1);
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
      this.#batch.bytes >= uncommittedBytesMax
    );
  }

  async #commit(): Promise<Ended | undefined> {
    const { clock, log, shard } = this.#options;
    const started = clock.monotonicMs();
    const waitingBytes = this.#queueBytes;
    const { bytes } = this.#batch;
    const commit = this.#batch.commit(this.#epoch, this.#offset, this.#incarnation);
    this.#cell.store();
    const result = await this.#store.commit(commit);
    this.#cell.idle();
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
        keep: this.#state.gaps,
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
      const { keyed, boots, ledger, dead } = await this.#store.forget(this.#epoch, this.#frameTimeMs);
      this.#nextForgetMs = now + (keyed + boots + ledger + dead > 0 ? forgetAgainMs : forgetEveryMs);
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

  /** One request at a time, so that commits have their turn. */
  async #deleteAsked(): Promise<Ended | undefined> {
    const asked = this.#deletions.take();
    if (asked === undefined) return undefined;
    const { tenant, pattern, most } = asked;
    try {
      const { ids, names } = await this.#store.deleteSeries(this.#epoch, tenant, pattern, most);
      this.#batch.drop(ids);
      // "These are all" is also what the store answers to an old epoch: a commit tells.
      const ended = names.length < most ? await this.#commit() : undefined;
      if (ended === undefined) asked.done(names);
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
      this.#queue.length > 0 ||
      this.#ended !== undefined ||
      this.#stopping.aborted ||
      this.#deletions.count > 0
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
