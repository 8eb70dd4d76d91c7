// How fast a job is of late: what was done in a second, over the last ten or so.
import type { Clock } from "../src/base/clock.ts";

const windowMs = 10_000;
const betweenMs = 500;

interface Mark {
  atMs: number;
  frames: number;
  points: number;
}

export class JobRates {
  readonly #clock: Clock;
  /** Oldest first; as many as the window holds, and the last one before it. */
  #marks: Mark[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Both count from the job's beginning. */
  of(frames: number, points: number): { framesPerSecond: number; pointsPerSecond: number } {
    const atMs = this.#clock.monotonicMs();
    const last = this.#marks.at(-1);
    if (last === undefined || atMs - last.atMs >= betweenMs) this.#marks.push({ atMs, frames, points });
    while ((this.#marks[1]?.atMs ?? atMs) < atMs - windowMs) this.#marks.shift();
    const [first] = this.#marks;
    const seconds = first === undefined ? 0 : (atMs - first.atMs) / 1000;
    if (first === undefined || seconds <= 0) return { framesPerSecond: 0, pointsPerSecond: 0 };
    return {
      framesPerSecond: (frames - first.frames) / seconds,
      pointsPerSecond: (points - first.points) / seconds,
    };
  }
}
