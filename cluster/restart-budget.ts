// How often an actor may die, and how long it waits before it lives again: pure.
//
// R1. Deaths with progress in between are work, not a fault: isolation finds a poison line by dying at ever smaller
//     parts. They cost nothing and wait the shortest time.
// R2. Ten deaths at one place within ten minutes spend the budget: trying again would not help.
// R3. Waits double with each death at one place, and begin anew after a healthy spell.
import type { Random } from "../src/base/random.ts";

export const deathsMax = 10;
const withinMs = 600_000;
const firstMs = 10;
const mostMs = 10_000;
const healthyMs = 30_000;

export class RestartBudget {
  readonly #random: Random;
  #place: string | undefined;
  /** When it died at this place. */
  #deathsMs: number[] = [];
  #doublings = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** `place` says how far the shard was: it is another one where there was progress. `livedMs`: since it was well. */
  died(nowMs: number, place: string, livedMs: number): { spent: boolean; waitMs: number } {
    if (place !== this.#place) this.forgive();
    this.#place = place;
    if (livedMs >= healthyMs) this.#doublings = 0;
    this.#deathsMs = [...this.#deathsMs.filter((at) => nowMs - at < withinMs), nowMs];
    const fullMs = Math.min(mostMs, firstMs * 2 ** this.#doublings);
    this.#doublings = Math.min(this.#doublings + 1, 30);
    const waitMs = fullMs * (0.5 + this.#random.next() / 2);
    return { spent: this.#deathsMs.length >= deathsMax, waitMs };
  }

  /** At this place, so far. */
  get deaths(): number {
    return this.#deathsMs.length;
  }

  /** A person says: try again. */
  forgive(): void {
    this.#deathsMs = [];
    this.#doublings = 0;
  }
}
