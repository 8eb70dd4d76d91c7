// Writes down, where it outlives the node, that a shard failed or is tried again. Tries until it is written: the bus may
// be away just then. Of one shard only the newest word counts, so what waits is bounded by the number of shards.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Kv } from "../src/bus/bus.ts";
import { changeWish, type ShardFailed } from "./shard-wish.ts";

const tryAgainMs = 500;

export class WishKeeper {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<number, ShardFailed | null>();
  #writing: Promise<void> | undefined;

  constructor(kv: Kv, clock: Clock, log: Log) {
    this.#kv = kv;
    this.#clock = clock;
    this.#log = log;
  }

  failed(shard: number, failed: ShardFailed | null): void {
    this.#waiting.set(shard, failed);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** What is not written by then is not written. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const [shard, failed] = next;
      try {
        await changeWish(this.#kv, shard, () => ({ failed }));
        if (this.#waiting.get(shard) === failed) this.#waiting.delete(shard);
      } catch (error) {
        if (!isOutage(error)) throw error;
        this.#log.warn({ shard, why: messageOf(error) }, "that a shard failed, or not, is not written yet");
        await this.#clock.sleep(tryAgainMs, this.#stop.signal);
      }
    }
  }
}
