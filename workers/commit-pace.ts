// How long a shard gathers points before it commits them.
//
// T1. A point is visible soon: what waits first waits `leastMs`, or longer where commits would take more than their share
//     of the time, `usualMsMost` at most.
// T2. Many points of many series, hardly more than one in a row: then the interval grows. A row is a second of a series,
//     cut where a commit ends, and rows are what a commit, its disk and its upkeep cost.
// T3. It grows beyond `usualMsMost` only where frames wait that were not even read: nothing would be visible sooner.
// T4. Without such a load it is the usual one again from the next commit on.

/** A commit should not take more than this share of the time. */
const commitShare = 4;
const usualMsMost = 1000;
const behindMsMost = 3000;
/** T2: points a millisecond, and rows for each. */
const pointsPerMsMany = 150;
const rowsPerPointMany = 0.25;
/** T3. */
const waitingBytesMany = 1 << 20;

export interface Committed {
  /** From the first look at the batch to the store's answer. */
  tookMs: number;
  /** Since the commit before. */
  sinceMs: number;
  points: number;
  rows: number;
  /** Of frames that had come, but were not read yet when the commit was due. */
  waitingBytes: number;
}

export class CommitPace {
  readonly #leastMs: number;
  #intervalMs: number;

  constructor(leastMs: number) {
    this.#leastMs = leastMs;
    this.#intervalMs = leastMs;
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  committed({ tookMs, sinceMs, points, rows, waitingBytes }: Committed): void {
    const usualMs = Math.min(
      Math.max(this.#leastMs, tookMs * commitShare),
      Math.max(usualMsMost, this.#leastMs),
    );
    const isCrowded = points >= pointsPerMsMany * sinceMs && rows >= rowsPerPointMany * points && points > 0;
    const mostMs = waitingBytes >= waitingBytesMany ? behindMsMost : usualMsMost;
    this.#intervalMs = isCrowded ? Math.max(usualMs, Math.min(mostMs, 2 * this.#intervalMs)) : usualMs;
  }
}
