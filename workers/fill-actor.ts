// The fill lane of one shard: fills its gaps behind live data, until none is left. F1 to F4 are fill-life.ts's.
//
// A1. It works for an epoch of its shard: with another one it ends, and whoever runs it starts it anew.
// A2. Waiting for the store or the bus is no death: it goes on by itself.
import { ActorCell } from "../src/base/actor-cell.ts";
import type { Backoff } from "../src/base/backoff.ts";
import type { Clock } from "../src/base/clock.ts";
import { isOutage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import type { ClaimResult, ShardReader, ShardStore } from "../src/store/store.ts";
import { FillLife } from "./fill-life.ts";
import type { FillProgress, FillRate, FromShard } from "./messages.ts";
import { marked } from "./marked.ts";
import type { RefusedNames } from "./refused-names.ts";
import type { SeriesLimits } from "./series-limits.ts";

export interface FillActorOptions {
  shard: number;
  epoch: number;
  /** Of the process that hosts it. */
  instance: string;
  bus: Bus;
  openStore(): Promise<ShardStore>;
  /** Of the same shard: for its dead letters. */
  openReader(): Promise<ShardReader>;
  newAggregator: () => Aggregator;
  clock: Clock;
  backoff: Backoff;
  log: Log;
  seriesLimits: SeriesLimits;
  /** Of names that were refused; 16 random bytes. */
  refusedNames: RefusedNames;
  lastDeath: string;
  /** Points a second. */
  rate: () => FillRate;
  cell: ActorCell;
  onProgress(progress: FillProgress): void;
}

export type FillEnded = Extract<FromShard, { kind: "filled" | "stopped" | "fenced" | "failed" }>;

export class FillActor {
  readonly #options: FillActorOptions;
  readonly #stop = new AbortController();
  #isStarted = false;
  #counts = { points: 0, frames: 0, duplicates: 0, refused: 0, dead: 0, holes: 0 };
  #progress: FillProgress = {
    doing: "filling",
    waitsFor: "",
    framesLeft: 0,
    points: 0,
    isolated: false,
    trial: undefined,
  };

  constructor(options: FillActorOptions) {
    const { bus, cell } = options;
    this.#options = { ...options, bus: marked(bus, cell, "bus", ["streamState", "frameAt", "read"]) };
  }

  /** Commits what was read and ends. */
  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<FillEnded> {
    const { backoff, clock, log, shard } = this.#options;
    while (!this.#stop.signal.aborted) {
      backoff.started();
      try {
        return await this.#lives();
      } catch (error) {
        if (!isOutage(error)) throw error;
        if (!error.retryable) return { kind: "failed", code: error.code, why: error.message };
        const ms = backoff.nextMs();
        log.warn({ shard, code: error.code, why: error.message }, "backfill waits");
        const doing = error.code.startsWith("store") ? "waiting-store" : "waiting-bus";
        this.#report({ doing, waitsFor: `${error.code}: ${error.message}` });
        this.#options.cell.idle();
        await clock.sleep(ms, this.#stop.signal);
      }
    }
    return { kind: "stopped", offset: 0 };
  }

  /** Gap after gap: each begins with what the store says now. */
  async #lives(): Promise<FillEnded> {
    const opened = await this.#options.openStore();
    const store = marked(opened, this.#options.cell, "store");
    try {
      for (;;) {
        const start = await this.#start(store);
        if (start.kind === "refused") return { kind: "fenced", epoch: 0 };
        if (start.state.gaps.length === 0) return { kind: "filled" };
        const frames = start.state.gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0);
        this.#report({ doing: "filling", waitsFor: "", framesLeft: frames });
        const life = new FillLife(
          this.#options,
          store,
          start.state,
          this.#stop.signal,
          this.#counts,
          (change) => this.#report(change),
        );
        try {
          const ended = await life.fill();
          if (ended !== undefined) return ended;
        } finally {
          this.#counts = life.counts;
          life.close();
        }
      }
    } finally {
      await opened.close();
    }
  }

  async #start(store: ShardStore): Promise<ClaimResult> {
    const { epoch, instance } = this.#options;
    if (this.#isStarted) return await store.resume(epoch);
    const start = await store.startFill(epoch, instance);
    this.#isStarted = true;
    return start;
  }

  #report(change: Partial<FillProgress>): void {
    this.#progress = { ...this.#progress, ...change };
    this.#options.onProgress(this.#progress);
  }
}
