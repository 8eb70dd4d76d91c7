// A few at a time: whoever comes later waits for a turn.
//
// T1. First come, first served; `most` at a time. `waitingMost` wait, none longer than `waitMs`: who finds no turn is told so.
import type { Clock } from "../src/base/clock.ts";
import { assert } from "../src/base/assert.ts";

export interface TurnsOptions {
  most: number;
  waitingMost: number;
  waitMs: number;
  clock: Clock;
}

export class Turns {
  readonly #options: TurnsOptions;
  /** In the order in which they came. */
  readonly #waiting = new Set<(turn: boolean) => void>();
  #taken = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** false: there is none. Otherwise it has to be given back. */
  take(): Promise<boolean> {
    const { clock, most, waitingMost, waitMs } = this.#options;
    if (this.#taken < most) {
      this.#taken += 1;
      return Promise.resolve(true);
    }
    if (this.#waiting.size >= waitingMost) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (turn: boolean) => {
        cancel();
        this.#waiting.delete(end);
        resolve(turn);
      };
      const cancel = clock.after(waitMs, () => end(false));
      this.#waiting.add(end);
    });
  }

  give(): void {
    assert(this.#taken > 0, "a turn that is given back was taken");
    const [next] = this.#waiting;
    if (next === undefined) this.#taken -= 1;
    else next(true); // its turn goes on to the next one
  }
}
