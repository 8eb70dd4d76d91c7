// The actor of one shard: read after the offset, aggregate, commit, repeat.
//
// S1. Its state is exactly the deltas of (committed, read]; nothing else survives from one commit to the next but a
//     cache of series.
// S2. Every sequence is the last + 1. A jump is confirmed with the record, then committed as a hole and paged.
// S3. Any answer to a commit but ok, and any error, throws everything in memory away: the next life starts from the
//     store's offset.
// S4. Waiting for the store or the bus is a state, not a death: after it the actor goes on in its epoch, and no start is
//     counted. A bug is thrown to whoever started the actor.
// S5. What was applied is remembered by the record's time, never by a clock here: an actor that is days behind knows a
//     repeated frame as well as one that keeps up.
// S6. What is in memory is bounded: frames queued, rows and bytes uncommitted, series cached. A cache that is full is
//     dropped: no series that the store has is ever refused because of it.
// S7. A frame that killed the lives before is tried apart until the line is found that does it (lane.ts).
import { ActorCell } from "../src/base/actor-cell.ts";
import type { Backoff } from "../src/base/backoff.ts";
import type { Clock } from "../src/base/clock.ts";
import { isOutage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import type { Chore, ChoreDone, FirstDeed, ShardProgress } from "./messages.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { RefusedLines } from "../src/gateway/refused-lines.ts";
import type { Owner, ShardReader, ShardState, ShardStore } from "../src/store/store.ts";
import { Chores } from "./chores.ts";
import { doFirst, type FirstDone } from "./first.ts";
import { marked } from "./marked.ts";
import type { RefusedNames } from "./refused-names.ts";
import type { SeriesLimits } from "./series-limits.ts";
import { Life } from "./shard-life.ts";

export interface ShardActorOptions {
  shard: number;
  owner: Owner;
  bus: Bus;
  openStore(): Promise<ShardStore>;
  /** Of the same shard: for its dead letters. */
  openReader(): Promise<ShardReader>;
  newAggregator(): Aggregator;
  clock: Clock;
  backoff: Backoff;
  log: Log;
  commitMs: number;
  replayWindowMs: number;
  /** Series that are kept from one commit to the next. Default 4 million, about 700 MB. */
  seriesCachedMax?: number;
  /** What the actor was told last. Default: any number of series. */
  seriesLimits?: SeriesLimits;
  /** What the thread before died of. Default: nobody knows. */
  lastDeath?: string;
  /** Remembers lines that were refused here. */
  refusedLines?: RefusedLines;
  /** Of names that were refused; 16 random bytes. With seriesLimits. */
  refusedNames?: RefusedNames;
  /** Called at each change worth knowing, at most every reportMs. */
  onProgress(progress: ShardProgress): void;
  /** Where it leaves its marks for its supervisor. */
  cell?: ActorCell;
  /** Done once, after the first claim (first.ts). */
  first?: FirstDeed | undefined;
  onFirst?(told: FirstDone): void;
  onReady(): void;
}

export type Ended =
  | { kind: "stopped"; offset: number }
  | { kind: "fenced"; epoch: number }
  | { kind: "failed"; code: string; why: string };

const reportMs = 250;

export class ShardActor {
  readonly #options: ShardActorOptions;
  readonly #stop = new AbortController();
  readonly #wakers = new Set<() => void>();
  readonly #chores = new Chores();
  readonly #cell: ActorCell;
  #first: FirstDeed | undefined;
  #progress: ShardProgress;
  #reportedMs = Number.NEGATIVE_INFINITY;
  /** S4: claimed by a life before. */
  #epoch: number | undefined;

  constructor(options: ShardActorOptions) {
    this.#cell = options.cell ?? new ActorCell();
    const bus = marked(options.bus, this.#cell, "bus", ["streamState", "frameAt", "read", "trim"]);
    this.#options = { ...options, bus, cell: this.#cell };
    this.#first = options.first;
    this.#progress = {
      doing: "starting",
      waitsFor: "",
      epoch: 0,
      offset: 0,
      read: 0,
      receivedAtMs: 0,
      points: 0,
      frames: 0,
      commits: 0,
      rows: 0,
      series: 0,
      duplicates: 0,
      refused: 0,
      dead: 0,
      holes: 0,
      trimmed: 0,
      commitMs: 0,
      isolated: false,
      trial: undefined,
    };
  }

  /** Done between two commits (chores.ts). */
  chore(chore: Chore): Promise<ChoreDone> {
    const answer = this.#chores.ask(chore);
    for (const wake of this.#wakers) wake();
    return answer;
  }

  /** Commits what was read and ends. */
  stop(): void {
    this.#stop.abort();
    for (const wake of this.#wakers) wake();
  }

  async run(): Promise<Ended> {
    try {
      return await this.#lives();
    } finally {
      this.#chores.close();
    }
  }

  async #lives(): Promise<Ended> {
    const { backoff, clock, log, shard } = this.#options;
    while (!this.#stop.signal.aborted) {
      backoff.started();
      try {
        return await this.#life();
      } catch (error) {
        this.#cell.idle();
        if (!isOutage(error)) throw error;
        if (!error.retryable) return { kind: "failed", code: error.code, why: error.message };
        const waiting = error.code.startsWith("store") ? "waiting-store" : "waiting-bus";
        const ms = backoff.nextMs();
        log.warn({ shard, code: error.code, why: error.message, againInMs: Math.round(ms) }, "shard waits");
        this.#report({ doing: waiting, waitsFor: `${error.code}: ${error.message}` }, true);
        await clock.sleep(ms, this.#stop.signal);
      }
    }
    return { kind: "stopped", offset: this.#progress.offset };
  }

  async #life(): Promise<Ended> {
    const { owner } = this.#options;
    const opening = this.#cell.waits("store");
    const store = marked(await this.#options.openStore().finally(opening), this.#cell, "store");
    try {
      const claim = this.#epoch === undefined ? await store.claim(owner) : await store.resume(this.#epoch);
      if (claim.kind === "refused") {
        this.#options.log.warn({ shard: this.#options.shard, ...claim }, "claim refused: another owner");
        return { kind: "fenced", epoch: 0 };
      }
      this.#epoch = claim.state.epoch;
      const state = await this.#stateAfterFirst(store, claim.state);
      if (state === undefined) return { kind: "fenced", epoch: 0 };
      const life = new Life(
        this.#options,
        store,
        state,
        this.#stop.signal,
        this.#wakers,
        this.#chores,
        (change, force) => this.#report(change, force),
      );
      try {
        return await life.live();
      } finally {
        life.close();
      }
    } finally {
      await store.close();
    }
  }

  /** Undefined: another owner has the shard. */
  async #stateAfterFirst(store: ShardStore, state: ShardState): Promise<ShardState | undefined> {
    const deed = this.#first;
    if (deed === undefined) return state;
    const { bus, log, shard } = this.#options;
    const done = await doFirst(deed, { bus, log, shard, state, store });
    if (done === "fenced") return undefined;
    this.#first = undefined;
    this.#options.onFirst?.(done);
    const again = await store.resume(state.epoch);
    return again.kind === "claimed" ? again.state : undefined;
  }

  #report(change: Partial<ShardProgress>, force = false): void {
    this.#progress = { ...this.#progress, ...change };
    const now = this.#options.clock.monotonicMs();
    if (!force && now - this.#reportedMs < reportMs) return;
    this.#reportedMs = now;
    this.#options.onProgress(this.#progress);
  }
}
