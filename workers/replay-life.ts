// One life of the job that rebuilds a tenant's time (replay.ts): from what the store says of it to the swap, or to the
// first thing that is not well.
import type { RecordedFrame } from "../src/bus/bus.ts";
import { Outage } from "../src/base/errors.ts";
import { decodeFrame, type Frame } from "../src/metric/frame.ts";
import type { Interval, Replay, ShardReader, ShardState, ShardStore, Snapshot } from "../src/store/store.ts";
import { Batch } from "./batch.ts";
import { BuriedLines } from "./buried-lines.ts";
import type { JobPace } from "./job-pace.ts";
import { JobRates } from "./job-rates.ts";
import { confirmMissing, RecordReader } from "./record-reader.ts";
import type { ReplayEnded, ReplayProgress } from "./messages.ts";
import type { ReplayJobOptions } from "./replay.ts";
import { linesOf } from "./replay-lines.ts";
import { countOf, rangesToRead } from "./replay-ranges.ts";
import { ReplaySeen } from "./replay-seen.ts";
import { SeriesRoom } from "./series-room.ts";
import { withinRange } from "./within-range.ts";

/** A piece is staged when it has so much; its rows are a blob. */
const pieceRowsMostDefault = 50_000;
/** Of frames that were read, whoever's: so much is read again at most. */
const pieceBytesMost = 64 << 20;
const seriesCachedMax = 1_000_000;
/** How often is looked whether live is behind, and by how much it must be. */
const lookEveryMs = 1000;
const behindMs = 3000;
/** A reader that gives nothing for so long may miss frames at the record's end. */
const silentMs = 10_000;
const swapAgainMs = 500;

/** Ours, not a gateway's: who a frame was is known before its lines come here. */
const boot = new Uint8Array(16);

export class ReplayLife {
  readonly #options: ReplayJobOptions;
  readonly #store: ShardStore;
  readonly #reader: ShardReader;
  readonly #pace: JobPace;
  readonly #stopping: AbortSignal;
  readonly #report: (progress: ReplayProgress) => void;
  readonly #seen = new ReplaySeen();
  readonly #rates: JobRates;
  #progress!: ReplayProgress;
  #replay!: Replay;
  #state!: ShardState;
  #batch!: Batch;
  #buried!: BuriedLines;
  /** Frames that had lines for us: the number that the next one gets. */
  #taken = 0;
  /** Read since the last piece. */
  #bytes = 0;
  #lookMs = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => {};

  constructor(
    options: ReplayJobOptions,
    store: ShardStore,
    reader: ShardReader,
    pace: JobPace,
    stopping: AbortSignal,
    report: (progress: ReplayProgress) => void,
  ) {
    this.#options = options;
    this.#store = store;
    this.#reader = reader;
    this.#pace = pace;
    this.#stopping = stopping;
    this.#report = report;
    this.#rates = new JobRates(options.clock);
  }

  async live(): Promise<ReplayEnded> {
    this.#state = await this.#look((snapshot) => snapshot.state());
    const [replay] = this.#state.replays;
    if (this.#state.epoch !== this.#options.epoch) return { kind: "fenced" };
    if (replay === undefined) return { kind: "over" };
    if (replay.state === "swapped") return { kind: "swapped", id: replay.id };
    this.#replay = replay;
    if (this.#state.purging.includes(replay.tenant)) return await this.#giveUp("the tenant is deleted");
    const ranges = rangesToRead(replay);
    this.#progress = {
      replay,
      frames: countOf(ranges),
      framesDone: countOf(ranges, replay.done),
      points: 0,
      framesPerSecond: 0,
      pointsPerSecond: 0,
      waitsFor: "",
    };
    this.#say({});
    if (replay.state === "building") {
      const ended = await this.#build(ranges);
      if (ended !== undefined) return ended;
    }
    return await this.#swap();
  }

  async #build(ranges: readonly Interval[]): Promise<ReplayEnded | undefined> {
    const { bus, log, shard } = this.#options;
    const { id, tenant, done, offset } = this.#replay;
    await this.#checkRecord();
    log.info({ shard, replay: id, tenant, done, barrier: offset }, "replay reads");
    this.#batch = this.#newBatch();
    this.#buried = new BuriedLines(this.#reader, this.#state.era, ranges[0]?.[0] ?? 1);
    for (const [from, to] of ranges) {
      const reader = new RecordReader({ shard, bus, log, onNews: () => this.#wake() });
      try {
        const ended = await this.#read(reader, from, to);
        if (ended !== undefined) return ended;
      } finally {
        reader.close();
      }
    }
    return this.#replay.done < offset ? await this.#stage(offset) : undefined;
  }

  /** The record must be the one that the barrier counts. */
  async #checkRecord(): Promise<void> {
    const { bus, shard } = this.#options;
    const { incarnation } = await bus.streamState(shard);
    if (incarnation !== this.#state.incarnation)
      throw new Outage(
        "bus-unavailable",
        `the record of shard ${shard} is another one: waiting for its actor`,
      );
  }

  #newBatch(): Batch {
    const { newAggregator, seriesLimits, refusedNames } = this.#options;
    return new Batch({
      aggregator: withinRange(newAggregator(), this.#replay),
      // Who is quarantined now was not when these lines were taken, or they are among the buried ones.
      state: { ...this.#state, boots: [], parts: [], quarantined: [], purging: [] },
      from: this.#replay.done,
      room: seriesLimits && refusedNames && new SeriesRoom(seriesLimits, this.#store, refusedNames),
    });
  }

  /** All frames from..to. */
  async #read(reader: RecordReader, from: number, to: number): Promise<ReplayEnded | undefined> {
    const { clock } = this.#options;
    let next = from;
    let newsMs = clock.monotonicMs();
    while (next <= to) {
      if (this.#stopping.aborted) return { kind: "stopped" };
      if (reader.queue.length === 0) {
        if (reader.ended !== undefined) throw reader.ended;
        if (!reader.isOpen) await reader.open(next);
        const silent = clock.monotonicMs() - newsMs >= silentMs;
        if (!silent) await this.#untilNews(reader);
        else if (await this.#isLost(next, to)) return await this.#giveUp(lost(next, to));
        else next = to + 1;
        continue;
      }
      newsMs = clock.monotonicMs();
      let taken = 0;
      for (const recorded of reader.queue) {
        if (recorded.sequence > next) {
          const last = Math.min(to, recorded.sequence - 1);
          if (await this.#isLost(next, last)) return await this.#giveUp(lost(next, last));
          next = last + 1;
        }
        if (recorded.sequence === next) {
          await this.#frame(recorded);
          next++;
        }
        taken++;
        reader.release(recorded);
        if (next > to || this.#isDue() || this.#stopping.aborted) break;
      }
      this.#options.cell?.idle();
      reader.taken(taken);
      const ended = this.#isDue() ? await this.#stage(next - 1) : undefined;
      if (ended !== undefined) return ended;
      await this.#yieldToLive();
    }
    return undefined;
  }

  /** R4: these frames did not come. False: live did not have them either. */
  async #isLost(from: number, to: number): Promise<boolean> {
    const { bus, shard } = this.#options;
    await confirmMissing(bus, shard, from, to);
    return !this.#state.holes.some(([first, last]) => first <= from && last >= to);
  }

  async #frame(recorded: RecordedFrame): Promise<void> {
    this.#options.cell?.ingesting(recorded.sequence);
    this.#bytes += recorded.data.length;
    const decoded = decodeFrame(recorded.data);
    if (decoded.kind === "corrupt") return;
    const { frame } = decoded;
    const buried = await this.#buried.of(recorded.sequence);
    // Buried whole: nobody knows whose lines it has. Nothing of it was applied, so a copy of it may have been.
    if (buried.some((letter) => letter.tenant === "")) return;
    const isNew = this.#seen.isNew(frame.identity, recorded.timeMs);
    if (recorded.sequence <= this.#replay.done) return; // R5
    if (!isNew || !(await this.#counts(frame))) return;
    const sections = linesOf(frame, this.#replay.tenant, buried);
    if (sections.length === 0) return;
    const taken: Frame = {
      ...frame,
      identity: { kind: "boot", boot, n: this.#taken++ },
      sections,
      refusals: [],
    };
    this.#batch.apply(recorded, { kind: "frame", frame: taken }, false);
    if (this.#batch.isUndecided) await this.#batch.decide();
  }

  /** R2. A retry whose letter was not open any more brought nothing. */
  async #counts({ identity, sections }: Frame): Promise<boolean> {
    if (identity.kind !== "retry" || sections[0]?.tenant !== this.#replay.tenant) return true;
    return await this.#buried.wasRetried(identity.letter);
  }

  #isDue(): boolean {
    return (
      this.#batch.openRows >= (this.#options.pieceRowsMost ?? pieceRowsMostDefault) ||
      this.#bytes >= pieceBytesMost
    );
  }

  async #stage(to: number): Promise<ReplayEnded | undefined> {
    const { clock, epoch, newAggregator } = this.#options;
    const { id, done } = this.#replay;
    if (to <= done) return undefined;
    const points = this.#batch.counts.points - this.#progress.points;
    const { newSeries, deltas } = this.#batch.commit(epoch, done, "");
    const started = clock.monotonicMs();
    const result = await this.#store.stage(epoch, id, { from: done, to, newSeries, deltas });
    const now = clock.monotonicMs();
    if (result.kind === "fenced") return { kind: "fenced" };
    if (result.kind === "at") {
      if (result.offset < 0) return { kind: "over" };
      throw new Outage("store-unavailable", `the replay is at frame ${result.offset}, expected ${done}`);
    }
    this.#batch.committed(result.ids);
    if (this.#batch.isCrowded || this.#batch.seriesCount >= seriesCachedMax)
      this.#batch.renew(withinRange(newAggregator(), this.#replay));
    this.#replay = { ...this.#replay, done: to, state: to === this.#replay.offset ? "staged" : "building" };
    const framesDone = countOf(rangesToRead(this.#replay), to);
    this.#bytes = 0;
    this.#say({ replay: this.#replay, framesDone, points: this.#batch.counts.points });
    await clock.sleep(this.#pace.rest(points, now - started, now), this.#stopping);
    return undefined;
  }

  async #swap(): Promise<ReplayEnded> {
    const { clock, epoch, log, shard } = this.#options;
    const { id, tenant } = this.#replay;
    while (!this.#stopping.aborted) {
      switch (await this.#store.swap(epoch, id)) {
        case "swapped":
          log.info({ shard, replay: id, tenant }, "replay swapped: readers see what was rebuilt");
          return { kind: "swapped", id };
        case "gone":
          return { kind: "over" };
        case "fenced":
          return { kind: "fenced" };
        case "waiting":
          this.#say({ waitsFor: "upkeep, which brings what was there before into its place" });
          await clock.sleep(swapAgainMs, this.#stopping);
      }
    }
    return { kind: "stopped" };
  }

  async #giveUp(why: string): Promise<ReplayEnded> {
    const { epoch, log, shard } = this.#options;
    const { id, tenant } = this.#replay;
    if ((await this.#store.abandonReplay(epoch, id)) === "fenced") return { kind: "fenced" };
    log.error({ shard, replay: id, tenant, why, page: true }, "replay was given up");
    return { kind: "given-up", id, why };
  }

  /** R6. Looks now and then; says so while it waits. */
  async #yieldToLive(): Promise<void> {
    const { clock } = this.#options;
    while (clock.monotonicMs() - this.#lookMs >= lookEveryMs && !this.#stopping.aborted) {
      this.#lookMs = clock.monotonicMs();
      const behind = await this.#isLiveBehind();
      this.#say({ waitsFor: behind ? "live data, which is behind" : "" });
      if (behind) await clock.sleep(lookEveryMs, this.#stopping);
    }
  }

  async #isLiveBehind(): Promise<boolean> {
    const { bus, clock, shard } = this.#options;
    const [{ lastSequence }, { offset, frameTimeMs }] = [
      await bus.streamState(shard),
      await this.#look((snapshot) => snapshot.state()),
    ];
    return lastSequence > offset && clock.nowMs() - frameTimeMs > behindMs;
  }

  async #look<T>(use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const snapshot = await this.#reader.snapshot();
    try {
      return await use(snapshot);
    } finally {
      snapshot.close();
    }
  }

  #say(change: Partial<ReplayProgress>): void {
    const next = { ...this.#progress, ...change };
    const { framesPerSecond, pointsPerSecond } = this.#rates.of(next.framesDone, next.points);
    this.#progress = { ...next, framesPerSecond, pointsPerSecond };
    this.#report(this.#progress);
  }

  #untilNews(reader: RecordReader): Promise<void> {
    const { clock } = this.#options;
    if (reader.queue.length > 0 || reader.ended !== undefined || this.#stopping.aborted)
      return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = () => {};
        cancel();
        this.#stopping.removeEventListener("abort", done);
        resolve();
      };
      const cancel = clock.after(lookEveryMs, done);
      this.#stopping.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
  }
}

function lost(from: number, to: number): string {
  return `the record does not hold frames ${from} to ${to} any more`;
}
