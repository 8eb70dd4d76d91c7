// Which points a request asks for: texts to a range, a range to a rung and a grid of buckets.
//
// R1. `from` is exclusive, `until` inclusive, both on the grid: the first point is at from - from % step + step, the
//     last at until - until % step. A range shorter than a step still gives one point.
// R2. Reversed bounds are swapped, equal ones are refused.
// R3. No grid is wider than the ladder: nothing older than its longest span or further ahead than what doors accept
//     can be stored, so such parts of a range are left out of the answer, as Graphite leaves them out.
// R4. A range that reaches back before a change of the ladder is read at the coarser step of both: a finer one would
//     show holes where there is only less detail.
import { assert } from "../base/assert.ts";
import { aheadSecondsMax, longestSpan, type Ladder, type Rung } from "../metric/bucket.ts";
import type { LadderSince } from "../metric/ladder-rules.ts";
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
export function clipRange(
  range: Range,
  reachSeconds: number,
  stepSeconds: number,
  nowSeconds: number,
): Range {
  const oldest = Math.max(0, nowSeconds - reachSeconds);
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

/** The grid that a series with these ladders is read on: R1, R3, R4. */
export function gridOfSeries(range: Range, ladders: readonly LadderSince[], nowSeconds: number): Grid {
  let stepSeconds = 0;
  let reachSeconds = 0;
  for (const [i, { fromSeconds, ladder }] of ladders.entries()) {
    const untilSeconds = ladders[i + 1]?.fromSeconds ?? Number.POSITIVE_INFINITY;
    if (i > 0 && fromSeconds > Math.min(range.until, nowSeconds)) break;
    if (untilSeconds <= Math.min(range.from, nowSeconds)) continue;
    stepSeconds = Math.max(stepSeconds, pickRung(ladder, range.from, nowSeconds).stepSeconds);
    reachSeconds = Math.max(reachSeconds, longestSpan(ladder));
  }
  assert(stepSeconds > 0, "at any time one of the ladders holds");
  return gridOf(clipRange(range, reachSeconds, stepSeconds, nowSeconds), stepSeconds);
}

/** As Python's %: never negative. */
export function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
