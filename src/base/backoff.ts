// Waits between tries: doubling, jittered, bounded, and reset only after a healthy spell, so that a part
// which dies again at once does not start from the shortest wait each time.
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface BackoffOptions {
  firstMs: number;
  mostMs: number;
  /** A life at least this long counts as healthy and resets the wait. */
  healthyMs: number;
}

export class Backoff {
  #tries = 0;
  #startedMs: number;
  readonly #options: BackoffOptions;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: BackoffOptions, clock: Clock, random: Random) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#startedMs = clock.monotonicMs();
  }

  /** Call when a life begins. */
  started(): void {
    this.#startedMs = this.#clock.monotonicMs();
  }

  /** Call when a life ended: how long to wait before the next one, in ms. */
  nextMs(): number {
    if (this.#clock.monotonicMs() - this.#startedMs >= this.#options.healthyMs) this.#tries = 0;
    const full = Math.min(this.#options.mostMs, this.#options.firstMs * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 30);
    return full * (0.5 + this.#random.next() / 2);
  }
}
