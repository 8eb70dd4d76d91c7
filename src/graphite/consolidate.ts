// maxDataPoints by Graphite's rules, including the odd ones: recorded answers hold to the last point.
//
// M1. Values per point = ceil(points / max), where points = (latest end - earliest start of ALL series of the request)
//     / step of the series: a second target can change the first one's buckets.
// M2. Buckets are aligned to the epoch: the start moves forward to the next multiple of a bucket, and the values more
//     than one step before it are dropped. So a point labelled t holds the values from t - step on, as in Graphite.
//     The last one may hold fewer values.
// M3. maxDataPoints=1 makes one point of everything, at the series' start.
// M4. Plain values weigh the same each: what a function made of points has no points any more. Stored series don't
//     come this way: their summaries are merged by the same plan (view.ts, V3), so that their averages stay exact.
import { unreachable } from "../base/assert.ts";

export const hows = ["average", "sum", "min", "max", "first", "last"] as const;
export type How = (typeof hows)[number];

/** Where a series lies: `end` is its last time + step (Graphite's meaning), epoch seconds. */
export interface Extent {
  start: number;
  end: number;
  stepSeconds: number;
}

export interface Consolidation {
  /** Time of the first point shown and distance to the next. */
  start: number;
  stepSeconds: number;
  /** Values left out at the front. */
  drop: number;
  perPoint: number;
}

/** The span that M1 counts with. Extents must not be empty. */
export function spanOf(extents: readonly Extent[]): number {
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const extent of extents) {
    start = Math.min(start, extent.start);
    end = Math.max(end, extent.end);
  }
  return end - start;
}

/** `width` is the number of values of the series; `spanSeconds` is of all series of the request. */
export function planConsolidation(
  extent: Extent,
  width: number,
  spanSeconds: number,
  pointsMax: number | undefined,
): Consolidation {
  const { start, stepSeconds } = extent;
  const asIs = { start, stepSeconds, drop: 0, perPoint: 1 };
  if (pointsMax === undefined) return asIs;
  if (pointsMax === 1) return { start, stepSeconds: stepSeconds * width, drop: 0, perPoint: width };
  const points = spanSeconds / stepSeconds;
  if (points <= pointsMax) return asIs;
  const perPoint = Math.ceil(points / pointsMax);
  const bucket = perPoint * stepSeconds;
  const nudge = bucket + (start % stepSeconds) - (start % bucket);
  return {
    start: start + nudge,
    stepSeconds: bucket,
    drop: Math.min(width, Math.max(0, Math.floor(nudge / stepSeconds) - 1)),
    perPoint,
  };
}

/** How many points are shown of `width` values. */
export function consolidatedWidth(width: number, plan: Consolidation): number {
  return Math.ceil((width - plan.drop) / plan.perPoint);
}

/** NaN where fewer than `xFilesFactor` (0 to 1) of a point's values are there, or none. */
export function consolidate(
  values: Float64Array,
  plan: Consolidation,
  how: How,
  xFilesFactor: number,
): Float64Array {
  if (plan.perPoint === 1 && plan.drop === 0) return values;
  const out = new Float64Array(consolidatedWidth(values.length, plan));
  for (let i = 0; i < out.length; i++) {
    const from = plan.drop + i * plan.perPoint;
    out[i] = oneOf(values, from, Math.min(values.length, from + plan.perPoint), how, xFilesFactor);
  }
  return out;
}

function oneOf(values: Float64Array, from: number, to: number, how: How, xFilesFactor: number): number {
  let there = 0;
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let first = Number.NaN;
  let last = Number.NaN;
  for (let i = from; i < to; i++) {
    const value = values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (there === 0) first = value;
    there += 1;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
    last = value;
  }
  if (there === 0 || there / (to - from) < xFilesFactor) return Number.NaN;
  switch (how) {
    case "average":
      return sum / there;
    case "sum":
      return sum;
    case "min":
      return min;
    case "max":
      return max;
    case "first":
      return first;
    case "last":
      return last;
    default:
      return unreachable(how);
  }
}
