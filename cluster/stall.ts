// When an actor counts as hanging, told from the marks it leaves: pure, its owner looks now and then and says what it saw.
//
// T1. Only an actor that ingests can hang: waiting for the store or the bus is no death, however long.
// T2. What counts is the time that was watched: when the whole process stood still (a machine that slept), its actors
//     could not move either.
// T3. Memory that the heap limit does not count (buffers) is bounded here: an actor that is at one frame for a while and
//     makes the process grow beyond its limit meanwhile is ended before the machine is out of memory.
import type { CellReading } from "../src/base/actor-cell.ts";
import type { Death } from "./hosted.ts";

export interface StallOptions {
  stallMs: number;
  /** At one frame. */
  growthBytesMax: number;
  /** Looks are about this far apart. */
  everyMs: number;
}

/** Looks at the same frame before its memory is judged: others of the process grow too. */
const looksBeforeMemory = 2;

export class StallWatch {
  readonly #options: StallOptions;
  #beats: number | undefined;
  #lastMs = 0;
  #watchedMs = 0;
  #looks = 0;
  #baseBytes = 0;

  constructor(options: StallOptions) {
    this.#options = options;
  }

  /** Why it must be ended; undefined: it need not. Memory is looked at only where it matters. */
  look(nowMs: number, reading: CellReading, residentBytes: () => number): Death | undefined {
    const { everyMs, growthBytesMax, stallMs } = this.#options;
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (reading.doing !== "ingesting" || reading.beats !== this.#beats) {
      this.#beats = reading.beats;
      this.#watchedMs = 0;
      this.#looks = 0;
      this.#baseBytes = reading.doing === "ingesting" ? residentBytes() : 0;
      return undefined;
    }
    // T2.
    this.#watchedMs += Math.min(sinceMs, 2 * everyMs);
    this.#looks++;
    const at = `at frame ${reading.sequence}`;
    const grown = residentBytes() - this.#baseBytes;
    if (this.#looks >= looksBeforeMemory && grown > growthBytesMax)
      return { cause: "memory", why: `out of memory: the process grew by ${megabytes(grown)} MB ${at}` };
    if (this.#watchedMs < stallMs) return undefined;
    return {
      cause: "stalled",
      why: `stalled: nothing moved for ${Math.round(this.#watchedMs / 1000)} s ${at}`,
    };
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / (1 << 20));
}
