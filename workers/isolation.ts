// What a lane does with the next frame when it died again and again: decisions only, nothing is done here.
//
// I1. A lane that was started more than twice without a commit is isolated, and so is one that finds a trial, or a
//     frame of which a part is committed: until it got over so many frames without a failure.
// I2. What was tried and failed is halved, and the first half is tried; what went well is committed and never tried
//     again. What remains of a range of which one half went well is known to be bad, and is halved at once.
// I3. A line alone is buried when it failed twice, a frame when looking into it failed twice: once may be chance.
// I4. Every failure makes the range smaller or ends a line: a frame of n lines is over after at most about
//     log2(n) + 2 failures for each bad line.
import type { LaneState, Trial } from "../src/store/store.ts";

const startsMost = 2;
const framesIsolated = 64;
const failuresToBury = 2;

export class Isolation {
  #framesLeft: number;

  /** `isWithin`: a part of the next frame is committed. */
  constructor({ starts, trial }: LaneState, isWithin: boolean) {
    const isSuspect = starts > startsMost || trial !== undefined || isWithin;
    this.#framesLeft = isSuspect ? framesIsolated : 0;
  }

  get isActive(): boolean {
    return this.#framesLeft > 0;
  }

  failed(): void {
    this.#framesLeft = framesIsolated;
  }

  frameOver(): void {
    this.#framesLeft = Math.max(0, this.#framesLeft - 1);
  }

  /** The lane is where the record ends, and nothing is open: whatever it died of, it was no frame. */
  settled(): void {
    this.#framesLeft = 0;
  }
}

export type Step =
  /** Look into the frame: how many lines it has is not known. */
  | { kind: "look" }
  /** Take lines [from, to). From 0 to 0: a frame without lines. */
  | { kind: "try"; from: number; to: number }
  | { kind: "bury-line"; line: number }
  | { kind: "bury-frame" };

/** The trials of one frame. */
export class Trials {
  readonly sequence: number;
  /** Undefined: nobody looked into it. */
  #total: number | undefined;
  #done: number;
  /** A range that begins with the first line that is not done, and how often it failed. */
  #failed: { to: number; failures: number } | undefined;
  /** Somewhere before this line there is a bad one. */
  #suspect: number | undefined;

  /** `done`: lines of it that are committed. `trial`: the lane's, as this life found it. */
  constructor(sequence: number, done: number, trial: Trial | undefined) {
    this.sequence = sequence;
    this.#done = done;
    if (trial?.sequence === sequence) this.#found(trial);
  }

  next(): Step {
    if (this.#total === undefined)
      return (this.#failed?.failures ?? 0) >= failuresToBury && this.#failed?.to === 0
        ? { kind: "bury-frame" }
        : { kind: "look" };
    const from = this.#done;
    if (this.#failed !== undefined) {
      const { to, failures } = this.#failed;
      if (to - from > 1) return { kind: "try", from, to: from + Math.floor((to - from) / 2) };
      return failures >= failuresToBury ? { kind: "bury-line", line: from } : { kind: "try", from, to };
    }
    if (this.#suspect !== undefined)
      return { kind: "try", from, to: from + Math.max(1, Math.floor((this.#suspect - from) / 2)) };
    return { kind: "try", from, to: this.#total };
  }

  /** It has so many lines. */
  looked(total: number): void {
    this.#total = total;
    if (this.#failed?.to === 0) this.#failed = undefined;
  }

  /** Lines up to this one are committed, or buried. */
  over(to: number): void {
    this.#done = to;
    this.#failed = undefined;
    if (this.#suspect !== undefined && this.#suspect <= to) this.#suspect = undefined;
  }

  /** The step that `next` said went wrong. */
  wentWrong(step: Extract<Step, { kind: "look" | "try" }>): void {
    const to = step.kind === "look" ? 0 : step.to;
    const again = this.#failed?.to === to ? this.#failed.failures : 0;
    this.#failed = { to, failures: again + 1 };
    if (step.kind === "try") this.#suspect = to;
  }

  #found({ from, to, deaths }: Trial): void {
    if (deaths === 0 || from !== this.#done) return;
    this.#failed = { to, failures: deaths };
    if (to > 0) this.#suspect = to;
  }
}
