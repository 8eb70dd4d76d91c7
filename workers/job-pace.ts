// How fast a job may go that runs behind live data (P6): so many points a second, and never so that a commit of live finds
// the store taken more than half of the time.
import { assert } from "../src/base/assert.ts";
import type { JobRate } from "./messages.ts";

/** Work that was not done while it could have been is not made up for beyond this. */
const savedMs = 1000;

export class JobPace {
  #rate: JobRate;
  /** When all points so far will have been due, monotonic ms. */
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(rate: JobRate) {
    this.#rate = rate;
  }

  tell(rate: JobRate): void {
    assert(rate === "full" || rate > 0, "a rate above 0");
    this.#rate = rate;
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }

  /** Ms to rest after a commit of so many points that took so long. */
  rest(points: number, tookMs: number, nowMs: number): number {
    if (this.#rate === "full") return tookMs;
    this.#dueMs = Math.max(this.#dueMs, nowMs - savedMs) + (points / this.#rate) * 1000;
    return Math.max(tookMs, this.#dueMs - nowMs);
  }
}
