// A summary: what is kept of a series in a bucket. Add, merge, read; the kernel does the same in columns.
//
// S1. Merging is what adding all points to one summary would have given (sums up to rounding), in any order: so late
//     frames, replays and moved shards need no order.
// S2. `last` is the value of the greatest (time stamp, receivedAtMs, value).
// S3. 0 is above -0 for min, max and last, as Math.min and Math.max have it; a sum is what IEEE addition gives.

export interface Summary {
  /** Number of points, at least 1. */
  points: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  /** Epoch seconds of `last`. */
  lastSeconds: number;
  lastReceivedAtMs: number;
}

export function summaryOf(value: number, seconds: number, receivedAtMs: number): Summary {
  return {
    points: 1,
    sum: value,
    min: value,
    max: value,
    last: value,
    lastSeconds: seconds,
    lastReceivedAtMs: receivedAtMs,
  };
}

export function addPoint(summary: Summary, value: number, seconds: number, receivedAtMs: number): void {
  mergeSummary(summary, summaryOf(value, seconds, receivedAtMs));
}

/** Adds `from` to `into`. */
export function mergeSummary(into: Summary, from: Readonly<Summary>): void {
  into.points += from.points;
  into.sum += from.sum;
  into.min = Math.min(into.min, from.min);
  into.max = Math.max(into.max, from.max);
  const order = from.lastSeconds - into.lastSeconds || from.lastReceivedAtMs - into.lastReceivedAtMs;
  if (order < 0) return;
  into.last = order > 0 ? from.last : Math.max(into.last, from.last);
  into.lastSeconds = from.lastSeconds;
  into.lastReceivedAtMs = from.lastReceivedAtMs;
}

/** What of a summary a reader may ask for: the suffixes `:avg`, `:sum` and so on. */
export const summaryViews = ["avg", "sum", "min", "max", "count", "last"] as const;
export type SummaryView = (typeof summaryViews)[number];

/** undefined where there are no points. */
export function readSummary(
  view: SummaryView,
  summary: Readonly<Pick<Summary, "points" | "sum" | "min" | "max" | "last">>,
): number | undefined {
  if (summary.points === 0) return undefined;
  if (view === "avg") return summary.sum / summary.points;
  return view === "count" ? summary.points : summary[view];
}
