// Which points a request asks for: texts to a range, a range to a rung and a grid of buckets.
//
// R1. `from` is exclusive, `until` inclusive, both on the grid: the first point is at from - from % step + step, the
//     last at until - until % step. A range shorter than a step still gives one point.
// R2. Reversed bounds are swapped, equal ones are refused.
// R3. No grid is wider than the ladder: nothing older than its longest span or further ahead than what doors accept
//     can be stored, so such parts of a range are left out of the answer, as Graphite leaves them out.
import { aheadSecondsMax, longestSpan, type Ladder, type Rung } from "../metric/bucket.ts";
import { parseTime } from "./time.ts";
import { zoneOf } from "./zone.ts";

export interface Range {
  /** Epoch seconds; from < until. */
  from: number;
  until: number;
}

export type RangeAnswer = { kind: "range"; range: Range } | { kind: "invalid"; why: string };

/** The parameters as the request has them. */
export interface RangeTexts {
  from?: string | undefined;
  until?: string | undefined;
  /** What `now` means in the other two. */
  now?: string | undefined;
  tz?: string | undefined;
}

/** The last day where nothing is said. */
export function parseRange(texts: RangeTexts, nowSeconds: number): RangeAnswer {
  const zone = zoneOf(texts.tz);
  const now = parseTime(texts.now ?? "now", { nowSeconds, zone });
  if (now.kind === "invalid") return { kind: "invalid", why: `now: ${now.why}` };
  const context = { nowSeconds: now.seconds, zone };
  const from = parseTime(texts.from ?? "-1d", context);
  if (from.kind === "invalid") return { kind: "invalid", why: `from: ${from.why}` };
  const until = parseTime(texts.until ?? "now", context);
  if (until.kind === "invalid") return { kind: "invalid", why: `until: ${until.why}` };
  if (from.seconds === until.seconds)
    return { kind: "invalid", why: "the time range is empty: from and until are equal" };
  return {
    kind: "range",
    range: {
      from: Math.min(from.seconds, until.seconds),
      until: Math.max(from.seconds, until.seconds),
    },
  };
}

/** The finest rung that still holds `from`; the coarsest where none does. */
export function pickRung(ladder: Ladder, fromSeconds: number, nowSeconds: number): Rung {
  const age = nowSeconds - fromSeconds;
  const rung = ladder.rungs.find((each) => age <= each.spanSeconds) ?? ladder.rungs.at(-1);
  return rung ?? { stepSeconds: 1, spanSeconds: 1 };
}

/** R3. Never empty: a range that lies wholly outside keeps a step at its near end. */
export function clipRange(range: Range, ladder: Ladder, stepSeconds: number, nowSeconds: number): Range {
  const oldest = Math.max(0, nowSeconds - longestSpan(ladder));
  const newest = nowSeconds + aheadSecondsMax;
  const from = Math.max(range.from, Math.min(oldest, range.until - stepSeconds));
  const until = Math.min(range.until, Math.max(newest, from + stepSeconds));
  return { from, until };
}

export interface Grid {
  /** Time of the first point, epoch seconds. */
  start: number;
  stepSeconds: number;
  /** Number of points, at least 1. */
  width: number;
}

/** R1. */
export function gridOf(range: Range, stepSeconds: number): Grid {
  const start = range.from - mod(range.from, stepSeconds) + stepSeconds;
  const last = range.until - mod(range.until, stepSeconds);
  return { start, stepSeconds, width: Math.max(1, (last - start) / stepSeconds + 1) };
}

/** As Python's %: never negative. */
export function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
