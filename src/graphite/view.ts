// Views: what of a stored summary is shown. `web.cpu:max` shows the greatest value of each bucket; without a suffix
// the tenant's rules say what is shown (default-view.ts), and where they say nothing, the average.
//
// V1. The suffix is kept in the answer's target. A stored name that really ends so wins over the view.
// V2. A bucket without a point is null (NaN in columns), never 0, for `:count` and `:sum` too.
// V3. A graph is right at every zoom: where buckets share a point their summaries are merged first and viewed then. An
//     average is the sum over the count of all points in it, not an average of averages.
import { consolidatedWidth, type Consolidation } from "./consolidate.ts";

export const views = ["avg", "sum", "min", "max", "count", "last"] as const;
export type View = (typeof views)[number];

export const defaultView: View = "avg";

const suffix = new RegExp(`:(${views.join("|")})$`);

/** The target without its view, or undefined where it ends in none. */
export function splitView(target: string): { pattern: string; view: View } | undefined {
  const match = suffix.exec(target);
  if (match === null || match.index === 0) return undefined;
  return { pattern: target.slice(0, match.index), view: match[1] as View };
}

/** Columns of summaries; `points` 0 means that the bucket is empty. Only those that the view needs need be there. */
export interface SummaryColumns {
  readonly points: Float64Array;
  readonly sum: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly last: Float64Array;
}

/** What a view needs beside the points. */
export const columnOfView = {
  avg: "sum",
  sum: "sum",
  min: "min",
  max: "max",
  count: undefined,
  last: "last",
} as const satisfies Record<View, string | undefined>;

/**
 * Cells [from, from + width) as the points of a plan. NaN where fewer than `xFilesFactor` (0 to 1) of a point's buckets
 * have a point, or none.
 */
export function viewPoints(
  columns: SummaryColumns,
  from: number,
  width: number,
  view: View,
  plan: Consolidation,
  xFilesFactor: number,
): Float64Array {
  const values = new Float64Array(consolidatedWidth(width, plan));
  for (let i = 0; i < values.length; i++) {
    const first = plan.drop + i * plan.perPoint;
    const end = Math.min(width, first + plan.perPoint);
    values[i] = valueOf(columns, from + first, from + end, view, xFilesFactor);
  }
  return values;
}

/** V3: of cells [from, to), which are in the order of time. */
function valueOf(
  columns: SummaryColumns,
  from: number,
  to: number,
  view: View,
  xFilesFactor: number,
): number {
  let there = 0;
  let points = 0;
  let value = view === "min" ? Number.POSITIVE_INFINITY : view === "max" ? Number.NEGATIVE_INFINITY : 0;
  const column = columns[columnOfView[view] ?? "points"];
  for (let at = from; at < to; at++) {
    const of = columns.points[at] ?? 0;
    if (of === 0) continue;
    there += 1;
    points += of;
    const next = column[at] ?? Number.NaN;
    if (view === "min") value = Math.min(value, next);
    else if (view === "max") value = Math.max(value, next);
    else if (view === "last") value = next;
    else value += next;
  }
  if (there === 0 || there / (to - from) < xFilesFactor) return Number.NaN;
  return view === "avg" ? value / points : value;
}
