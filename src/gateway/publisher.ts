// Publishes one shard's frames, each until the record has it. What is no outage is our own bug and is thrown.
import type { Cell, Counters } from "../base/counters.ts";
import type { Clock } from "../base/clock.ts";
import { isOutage, messageOf, type Outage } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Bus, PublishAck } from "../bus/bus.ts";

export interface PublisherOptions {
  shard: number;
  bus: Bus;
  clock: Clock;
  counters: Counters;
  log: Log;
}

export const retryFirstMs = 50;
const retryMostMs = 2000;
/** A shard that says no says so in the log once, and again after this long. */
const sayAgainMs = 10_000;

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #retries: Cell;
  /** The last answer was "full": the stream refuses, not the way to it. */
  refusing = false;
  #saidMs = Number.NEGATIVE_INFINITY;
  /** Called at each failure. */
  onOutage: (outage: Outage) => void = () => {};

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { counters, shard } = options;
    this.#retries = counters.counter("gateway_frame_retries_total", "Frames sent again", { shard });
  }

  /** Settles with the record's answer, or with undefined when `isElsewhere` says so between two tries. */
  async publish(
    id: string,
    data: Uint8Array,
    isElsewhere: () => boolean = () => false,
  ): Promise<{ ack: PublishAck; tries: number } | undefined> {
    const { shard, bus, clock, log } = this.#options;
    for (let tries = 0; ; tries++) {
      if (!bus.connected) await reconnected(bus);
      if (isElsewhere()) return undefined;
      try {
        const ack = await bus.publish(shard, id, data);
        this.refusing = false;
        return { ack, tries };
      } catch (error) {
        if (!isOutage(error)) throw error;
        this.#retries.value++;
        const full = isOutage(error, "stream-full");
        if (full !== this.refusing || clock.monotonicMs() - this.#saidMs > sayAgainMs) {
          this.#saidMs = clock.monotonicMs();
          log.warn({ shard, frame: id, why: messageOf(error) }, "frames not recorded, sending them again");
        }
        this.refusing = full;
        this.onOutage(error);
        if (isElsewhere()) return undefined;
        if (bus.connected) await clock.sleep(Math.min(retryMostMs, retryFirstMs * 2 ** Math.min(tries, 10)));
      }
    }
  }
}

export function reconnected(bus: Bus): Promise<void> {
  return new Promise((resolve) => {
    const stop = bus.onConnection((connected) => {
      if (!connected) return;
      stop();
      resolve();
    });
    if (bus.connected) {
      stop();
      resolve();
    }
  });
}
