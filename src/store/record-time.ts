// What time it is for retention: the clock's, but no later than what the record knows of.
//
// N1. A clock that jumps ahead lets go of nothing: the record's newest time holds, or, in a store that is in need of
//     room, that and what was measured to pass since it was first seen.
// N2. A store that is full takes no commits, so the record's time stands still in it, and in the end the record is full
//     as well. If time stood still for retention too, nothing would ever make room again.
import type { Clock } from "../base/clock.ts";

export class RecordTime {
  readonly #clock: Clock;
  #recordMs = Number.NEGATIVE_INFINITY;
  #seenMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Epoch seconds. `recordMs`: of the newest commit. */
  nowSeconds(clockSeconds: number, recordMs: number, needsRoom: () => boolean): number {
    const measuredMs = this.#clock.monotonicMs();
    if (recordMs !== this.#recordMs) {
      this.#recordMs = recordMs;
      this.#seenMs = measuredMs;
    }
    const recordSeconds = Math.floor(recordMs / 1000);
    const passedSeconds = Math.floor((measuredMs - this.#seenMs) / 1000);
    if (clockSeconds <= recordSeconds || passedSeconds < 1 || !needsRoom())
      return Math.min(clockSeconds, recordSeconds);
    return Math.min(clockSeconds, recordSeconds + passedSeconds); // N2
  }
}
