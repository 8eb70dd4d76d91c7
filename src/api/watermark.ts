// Watermarks (P8): the time up to which a shard's store has everything that was recorded.
//
// W1. A shard whose offset has reached the stream's end as we last saw it is complete up to that look.
// W2. Any other is complete up to the broker's time of the frame at its offset. So a dead actor's watermark stands
//     still while its stream grows, whatever the actor says of itself.
import type { Clock } from "../base/clock.ts";
import { isOutage } from "../base/errors.ts";
import type { Bus } from "../bus/bus.ts";
import type { ShardState } from "../store/store.ts";

const lookEveryMs = 500;

interface Look {
  atMs: number;
  lastSequence: number;
  incarnation: string;
}

export class Watermarks {
  readonly #bus: Pick<Bus, "streamState">;
  readonly #clock: Clock;
  readonly #shards: number;
  readonly #looks = new Map<number, Look>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(bus: Pick<Bus, "streamState">, shards: number, clock: Clock) {
    this.#bus = bus;
    this.#shards = shards;
    this.#clock = clock;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Epoch seconds. */
  of(home: Pick<ShardState, "offset" | "incarnation" | "frameTimeMs"> & { shard: number }): number {
    const look = this.#looks.get(home.shard);
    const complete =
      look !== undefined &&
      home.offset >= look.lastSequence &&
      // A shard that never committed has no incarnation yet: it is complete as long as nothing was recorded. One that
      // did is not complete because its stream was wiped.
      (home.incarnation === look.incarnation || (home.incarnation === "" && look.lastSequence === 0));
    return Math.floor((complete ? Math.max(look.atMs, home.frameTimeMs) : home.frameTimeMs) / 1000);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (let shard = 0; shard < this.#shards && !this.#stop.signal.aborted; shard++)
        await this.#look(shard);
      await this.#clock.sleep(lookEveryMs, this.#stop.signal);
    }
  }

  async #look(shard: number): Promise<void> {
    // The time before the question: what was recorded while it was under way may be missing in the answer.
    const atMs = this.#clock.nowMs();
    try {
      const { lastSequence, incarnation } = await this.#bus.streamState(shard);
      this.#looks.set(shard, { atMs, lastSequence, incarnation });
    } catch (error) {
      // Without the record the last look stands: it grows older, and so does the watermark.
      if (!isOutage(error)) throw error;
    }
  }
}
