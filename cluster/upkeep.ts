// Upkeep as a job of the node: turns the shards' commits into fragments, merges, retires and purges, a slice of a shard
// at a time, on threads of its own.
//
// K1. Turns: of the shards that may be served the one that has waited longest is next. One with work may be served
//     again at once, one without after a second: so those with work come first, and nobody starves.
// K2. P6, live first: a thread takes at most its share of the time. A shard whose backlog has grown past `hurryBytes`
//     is served without rest, because what it holds up, reads and the disk, is live as well.
// K3. A failure costs its shard: it is said once, and the shard tried again with backoff. A bug costs the slice, or the
//     thread, which is started anew; the others go on.
// K4. A shard has one thread, always the same: what it has open, it has open once.
// K5. A stop waits for the slices under way. Where one does not end in time, its thread is left alone (it can't be
//     ended safely within LMDB), and the stop says so.
import type { Clock } from "../src/base/clock.ts";
import type { Counters } from "../src/base/counters.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { UpkeepRules } from "../workers/messages.ts";
import { UpkeepCounters } from "./upkeep-counters.ts";
import { Lane } from "./upkeep-lane.ts";
import type { UpkeepPool } from "./upkeep-pool.ts";

export interface UpkeepOptions {
  /** Which to look after, asked again and again. */
  shards(): readonly number[];
  /** undefined while nobody can know them: a ladder must not be guessed. */
  rules(): UpkeepRules | undefined;
  newPool(): UpkeepPool;
  threads: number;
  /** Of one thread's time, 0 to 1. */
  share: number;
  /** K2. */
  hurryBytes: number;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
}

export interface ShardUpkeepStatus {
  shard: number;
  backlogBytes: number;
  /** "" while all is well. */
  failing: string;
}

const hurryBytesMost = 256 << 20;

/** Several times what a round waits for, and a fifth of a shard's store at most: it needs room to work in. */
export function hurryBytesOf(storeBytesPerShard: number): number {
  return Math.min(hurryBytesMost, Math.floor(storeBytesPerShard / 5));
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #stop = new AbortController();
  readonly #lanes: Lane[];
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: UpkeepOptions) {
    this.#options = options;
    const counters = new UpkeepCounters(options.counters);
    const indexes = Array.from({ length: options.threads }, (_, index) => index);
    this.#lanes = indexes.map((index) => new Lane(options, counters, index, this.#stop.signal));
  }

  start(): void {
    this.#running = Promise.all(this.#lanes.map((lane) => lane.run()));
  }

  status(): ShardUpkeepStatus[] {
    return this.#lanes.flatMap((lane) => lane.status()).toSorted((a, b) => a.shard - b.shard);
  }

  /** K5. False: a thread still runs. */
  async stop(withinMs: number): Promise<boolean> {
    this.#stop.abort();
    const over = new AbortController();
    const late = this.#options.clock.sleep(withinMs, over.signal).then(() => false);
    const ended = await Promise.race([this.#running.then(() => true), late]);
    over.abort();
    if (!ended) this.#options.log.error("upkeep did not stop in time");
    return ended;
  }
}
