// The job that rebuilds some time of a tenant from the record: reads the frames up to the barrier once more, stages what
// they say of that time, and has it take the place of what was there (ShardStore.beginReplay, stage, swap).
//
// R1. What is staged is what a fresh store would hold of that time after these frames: the same lines, the same rules for
//     frames that were recorded twice (replay-seen.ts).
// R2. Left out is what comes, or came, by other frames: gaps at the barrier, and lines that were ever dead letters
//     (replay-lines.ts). A retried letter counts where the frame is that brought it back.
// R3. StatsD gauges are left alone.
// R4. Each frame that it needs is there, or the replay is given up: nothing half takes the place of the whole.
// R5. All state is in the store: whoever starts next goes on behind the last frame that was staged. What lies before it is
//     looked through again, for who the frames were.
// R6. It runs behind live (P6): at its rate, in small pieces, and not at all while live is behind.
// R7. Waiting for the store or the bus is a state, not a death.
import type { ActorCell } from "../src/base/actor-cell.ts";
import type { Backoff } from "../src/base/backoff.ts";
import type { Clock } from "../src/base/clock.ts";
import { isOutage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import type { ShardReader, ShardStore } from "../src/store/store.ts";
import { JobPace } from "./job-pace.ts";
import type { JobRate, ReplayEnded, ReplayProgress } from "./messages.ts";
import type { RefusedNames } from "./refused-names.ts";
import { ReplayLife } from "./replay-life.ts";
import type { SeriesLimits } from "./series-limits.ts";

export interface ReplayJobOptions {
  shard: number;
  /** Of the shard's owner. */
  epoch: number;
  rate: JobRate;
  bus: Bus;
  openStore(): Promise<ShardStore>;
  openReader(): Promise<ShardReader>;
  newAggregator: () => Aggregator;
  /** A piece is staged when it has so many rows. Default 50,000. */
  pieceRowsMost?: number;
  clock: Clock;
  backoff: Backoff;
  log: Log;
  seriesLimits?: SeriesLimits;
  refusedNames?: RefusedNames;
  /** Where it leaves its marks. */
  cell?: ActorCell;
  onProgress(progress: ReplayProgress): void;
}

export class ReplayJob {
  readonly #options: ReplayJobOptions;
  readonly #stop = new AbortController();
  readonly #pace: JobPace;
  #progress: ReplayProgress | undefined;

  constructor(options: ReplayJobOptions) {
    this.#options = options;
    this.#pace = new JobPace(options.rate);
  }

  tell(rate: JobRate): void {
    this.#pace.tell(rate);
  }

  /** Nothing is lost: what is not staged is read again. */
  stop(): void {
    this.#stop.abort();
  }

  async run(): Promise<ReplayEnded> {
    const { backoff, clock, log, shard } = this.#options;
    while (!this.#stop.signal.aborted) {
      backoff.started();
      try {
        return await this.#life();
      } catch (error) {
        if (!isOutage(error) || !error.retryable) throw error;
        const ms = backoff.nextMs();
        const { code, message: why } = error;
        log.warn({ shard, code, why, againInMs: Math.round(ms) }, "replay waits");
        if (this.#progress !== undefined) this.#report({ ...this.#progress, waitsFor: `${code}: ${why}` });
        await clock.sleep(ms, this.#stop.signal);
      }
    }
    return { kind: "stopped" };
  }

  async #life(): Promise<ReplayEnded> {
    const store = await this.#options.openStore();
    try {
      const reader = await this.#options.openReader();
      try {
        const life = new ReplayLife(this.#options, store, reader, this.#pace, this.#stop.signal, (progress) =>
          this.#report(progress),
        );
        return await life.live();
      } finally {
        await reader.close();
      }
    } finally {
      await store.close();
    }
  }

  #report(progress: ReplayProgress): void {
    this.#progress = progress;
    this.#options.onProgress(progress);
  }
}
