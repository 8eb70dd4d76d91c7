// How a lane gets over frames: many to a commit, or, isolated, one by one and by halves (isolation.ts decides). The live
// lane and the fill lane drive one each.
//
// N1. Before lines are tried apart, the store knows which: who starts next knows what the one before died of.
// N2. A throw within a trial costs the trial: everything in memory is thrown away, and the next step is taken at once. A
//     throw outside ends the thread, as it should: nobody knows what it came from.
// N3. An outage is nobody's death: what was tried when it came is not held against it.
// N4. A poison line is buried in a commit of its own, with the error's text; the tenant whose lines poison again and
//     again is quarantined in the same commit; where too many poison, nothing is buried any more: that is our own bug.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { RecordedFrame } from "../src/bus/bus.ts";
import type { DecodedFrame } from "../src/metric/frame.ts";
import type { Lane, ShardState, ShardStore, Trial, TrialRange } from "../src/store/store.ts";
import type { Batch, BatchCounts } from "./batch.ts";
import { FrameLines } from "../src/metric/frame-lines.ts";
import { Isolation, Trials, type Step } from "./isolation.ts";
import type { OpenFrame } from "./open-frame.ts";
import { countPoison, whyQuarantined, type PoisonLetters } from "./poison.ts";

/** Why a lane can't go on here. */
export type LaneEnded =
  | { kind: "fenced"; epoch: number }
  | { kind: "failed"; code: "poison-flood"; why: string };

export interface LaneOptions {
  shard: number;
  lane: Lane;
  store: ShardStore;
  clock: Clock;
  log: Log;
  /** What the life before died of; "" where nobody knows. */
  lastDeath: string;
  /** From what the store holds: `counts` go on. */
  newBatch: (state: ShardState, counts?: BatchCounts) => Batch;
  /** Commits the batch. */
  commit: () => Promise<LaneEnded | undefined>;
  /** For N4. */
  poisonLetters: PoisonLetters;
  /** A trial begins, or is over. */
  onTrial: (trial: TrialRange | undefined) => void;
}

type Tried = Extract<Step, { kind: "look" | "try" }>;

const detailLengthMax = 1000;

export class FrameLane {
  readonly #options: LaneOptions;
  readonly #epoch: number;
  readonly #isolation: Isolation;
  #state: ShardState;
  #batch: Batch;
  /** As the store has it. */
  #trial: (TrialRange & Pick<Trial, "isUnderWay">) | undefined;
  #lastWords: string;
  /** Its starts are counted, and no commit was made since. */
  #isUnsettled: boolean;

  constructor(options: LaneOptions, state: ShardState) {
    this.#options = options;
    this.#epoch = state.epoch;
    this.#state = state;
    this.#trial = state.lanes[options.lane].trial;
    this.#batch = options.newBatch(state);
    this.#isolation = new Isolation(state.lanes[options.lane], this.#batch.partLines > 0);
    this.#isUnsettled = state.lanes[options.lane].starts > 0;
    this.#lastWords = options.lastDeath === "" ? "its last words are not known" : options.lastDeath;
  }

  get batch(): Batch {
    return this.#batch;
  }

  get isIsolated(): boolean {
    return this.#isolation.isActive;
  }

  /** The lane has nothing to commit and is where the record ends: it is well. */
  async settled(): Promise<LaneEnded | undefined> {
    if (!this.#isUnsettled) return undefined;
    this.#isUnsettled = false;
    this.#isolation.settled();
    const { store, lane } = this.#options;
    return (await store.settled(this.#epoch, lane)) === "ok" ? undefined : this.#fenced();
  }

  /** The next frame. Where the lane is isolated it is committed afterwards. */
  async apply(recorded: RecordedFrame): Promise<LaneEnded | undefined> {
    const batch = this.#batch;
    // A part of it is committed: only trials know how to go on.
    const isWithin = batch.partOf(recorded.sequence) > 0;
    if (this.#isolation.isActive || isWithin) return await this.#applyApart(recorded);
    const decoded = batch.decode(recorded);
    batch.apply(recorded, decoded, await this.#isStored(decoded, recorded));
    if (batch.isUndecided) await batch.decide();
    return undefined;
  }

  async #applyApart(recorded: RecordedFrame): Promise<LaneEnded | undefined> {
    // Who dies now dies of this frame alone. A hole is all that can be open.
    if (!this.#batch.isEmpty) {
      const ended = await this.#options.commit();
      if (ended !== undefined) return ended;
    }
    const { sequence } = recorded;
    const { trial } = this.#state.lanes[this.#options.lane];
    const trials = new Trials(sequence, this.#batch.partOf(sequence), trial);
    const frame: Apart = { recorded, trials, decoded: undefined };
    while (this.#batch.read < sequence) {
      const step = trials.next();
      const ended =
        step.kind === "look" || step.kind === "try"
          ? await this.#tryStep(frame, step)
          : await this.#bury(frame, step);
      if (ended !== undefined) return ended;
    }
    this.#isolation.frameOver();
    return undefined;
  }

  async #tryStep(frame: Apart, step: Tried): Promise<LaneEnded | undefined> {
    const { from, to } = step.kind === "try" ? step : { from: 0, to: 0 };
    const { sequence } = frame.recorded;
    if (step.kind === "try" || !this.#wasLookedInto(sequence)) {
      const fenced = await this.#attempt({ sequence, from, to });
      if (fenced !== undefined) return fenced;
    }
    try {
      if (step.kind === "look") {
        this.#look(frame);
        return undefined;
      }
      return await this.#take(frame, from, to);
    } catch (error) {
      if (isOutage(error)) {
        await this.#forgive();
        throw error;
      }
      return await this.#afterThrow(frame, step, error);
    }
  }

  #look(frame: Apart): void {
    const decoded = this.#batch.decode(frame.recorded);
    frame.decoded = decoded;
    frame.trials.looked(decoded.kind === "frame" ? new FrameLines(decoded.frame).total : 0);
  }

  async #take(frame: Apart, from: number, to: number): Promise<LaneEnded | undefined> {
    const open = await this.#open(frame, from);
    if (open !== undefined) this.#batch.take(open, from, to);
    if (this.#batch.isUndecided) await this.#batch.decide();
    return await this.#commit(frame, to);
  }

  /** N4. */
  async #bury(
    frame: Apart,
    step: Extract<Step, { kind: "bury-line" | "bury-frame" }>,
  ): Promise<LaneEnded | undefined> {
    const { clock, log, shard, poisonLetters } = this.#options;
    const now = clock.nowMs();
    const { poison, why: flood } = countPoison(this.#state.poison, now);
    if (flood !== "") return { kind: "failed", code: "poison-flood", why: `${flood}: ${this.#lastWords}` };
    const detail = this.#lastWords.slice(0, detailLengthMax);
    const { sequence } = frame.recorded;
    if (step.kind === "bury-frame") this.#batch.buryWhole(frame.recorded, detail);
    else {
      const open = await this.#open(frame, step.line);
      if (open !== undefined) {
        const tenant = this.#batch.buryLine(open, step.line, detail);
        const why = await whyQuarantined(poisonLetters, tenant, open.frame.receivedAtMs);
        if (why !== "" && !this.#batch.outcasts.holds(tenant)) {
          this.#batch.outcasts.quarantine({ tenant, sinceMs: now, why });
          log.error({ shard, tenant, why, page: true }, "tenant is quarantined");
        }
      }
    }
    this.#batch.poisoned(poison);
    const ended = await this.#commit(frame, step.kind === "bury-line" ? step.line + 1 : 0);
    if (ended !== undefined) return ended;
    this.#state = { ...this.#state, poison };
    log.error({ shard, sequence, step, detail, page: true }, "poison was buried");
    return undefined;
  }

  /** Undefined: the frame was applied before, or can't be read. It is done then. */
  async #open(frame: Apart, from: number): Promise<OpenFrame | undefined> {
    const decoded = frame.decoded as DecodedFrame; // it was looked at before anything else
    if (from > 0 && decoded.kind === "frame") return this.#batch.goOn(frame.recorded, decoded.frame);
    return this.#batch.begin(frame.recorded, decoded, await this.#isStored(decoded, frame.recorded));
  }

  async #commit({ trials }: Apart, to: number): Promise<LaneEnded | undefined> {
    const ended = await this.#options.commit();
    if (ended !== undefined) return ended;
    this.#trial = undefined;
    this.#options.onTrial(undefined);
    trials.over(to);
    return undefined;
  }

  /** By a life before: what is known of its lines is not written over. */
  #wasLookedInto(sequence: number): boolean {
    const trial = this.#trial;
    return (trial?.sequence === sequence && trial.to > 0) || this.#batch.partOf(sequence) > 0;
  }

  /** N1. */
  async #attempt(trial: TrialRange): Promise<LaneEnded | undefined> {
    const { store, lane, onTrial } = this.#options;
    const { sequence, from, to, isUnderWay = false } = this.#trial ?? {};
    const isSame = sequence === trial.sequence && from === trial.from && to === trial.to;
    if (!isSame || !isUnderWay) {
      if ((await store.attempt(this.#epoch, lane, trial)) === "fenced") return this.#fenced();
      this.#trial = { ...trial, isUnderWay: true };
    }
    onTrial(trial);
    return undefined;
  }

  /** N2. What the store holds is looked at again: a commit may have been taken before something was thrown. */
  async #afterThrow(frame: Apart, step: Tried, error: unknown): Promise<LaneEnded | undefined> {
    const { log, shard, store, newBatch } = this.#options;
    const { sequence } = frame.recorded;
    this.#lastWords = messageOf(error);
    this.#isolation.failed();
    log.warn({ shard, sequence, step, err: error }, "lines that were tried apart threw");
    const again = await store.resume(this.#epoch);
    if (again.kind === "refused") return this.#fenced();
    this.#state = again.state;
    this.#batch = newBatch(again.state, this.#batch.committedCounts);
    const done = this.#batch.partOf(sequence);
    if (step.kind === "try" && done > step.from) frame.trials.over(done);
    else frame.trials.wentWrong(step);
    return undefined;
  }

  /** N3. */
  async #forgive(): Promise<void> {
    const { store, lane, log, shard } = this.#options;
    try {
      await store.attempt(this.#epoch, lane, undefined);
    } catch (error) {
      if (!isOutage(error)) throw error;
      log.warn({ shard, why: messageOf(error) }, "a trial can't be taken back: the store does not answer");
    }
  }

  /** Whether the store has applied the frame. */
  async #isStored(decoded: DecodedFrame, { timeMs }: RecordedFrame): Promise<boolean> {
    const question = this.#batch.questionOf(decoded);
    const { store } = this.#options;
    switch (question?.kind) {
      case undefined:
        return false;
      case "keyed":
        return (await store.keyedApplied([question.id], timeMs))[0] === true;
      case "letter":
        return (await store.lettersOpen([question.place]))[0] !== true;
      default:
        return question satisfies never;
    }
  }

  #fenced(): LaneEnded {
    return { kind: "fenced", epoch: this.#epoch };
  }
}

/** A frame that is tried apart. */
interface Apart {
  recorded: RecordedFrame;
  trials: Trials;
  decoded: DecodedFrame | undefined;
}
