// How long a shard gathers points before it commits them.
//
// T1. A point is visible soon: what waits first waits `leastMs`, or longer where commits would take more than their share
//     of the time, `usualMsMost` at most. One slow commit is no sign: the second in a row is.
// T2. Many points of many series, hardly more than one in a row: then the interval grows. A row is a second of a series,
//     cut where a commit ends, and rows are what a commit, its disk and its upkeep cost.
// T3. It grows beyond `usualMsMost` only where frames wait that were not even read: nothing would be visible sooner.
// T4. Without such a load it is the usual one again from the next commit on.
// T5. The first commit after a start waits hardly at all: what was recorded while nobody read is late already.

/** A commit should not take more than this share of the time. */
const commitShare = 4;
const usualMsMost = 1000;
const behindMsMost = 3000;
/** T5: long enough to take what has come with the first frame. */
const firstMsMost = 20;
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
  #tookMs = 0;

  constructor(leastMs: number) {
    this.#leastMs = leastMs;
    this.#intervalMs = Math.min(leastMs, firstMsMost);
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  committed({ tookMs, sinceMs, points, rows, waitingBytes }: Committed): void {
    const slowMs = Math.min(tookMs, this.#tookMs);
    this.#tookMs = tookMs;
    const usualMs = Math.min(
      Math.max(this.#leastMs, slowMs * commitShare),
      Math.max(usualMsMost, this.#leastMs),
    );
    const isCrowded = points >= pointsPerMsMany * sinceMs && rows >= rowsPerPointMany * points && points > 0;
    const mostMs = waitingBytes >= waitingBytesMany ? behindMsMost : usualMsMost;
    this.#intervalMs = isCrowded
      ? Math.max(usualMs, Math.min(mostMs, 2 * Math.max(this.#leastMs, this.#intervalMs)))
      : usualMs;
  }
}
