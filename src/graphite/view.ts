// Views: what of a stored summary is shown. `web.cpu:max` shows the greatest value of each bucket; without a suffix
// the average is shown.
//
// V1. The suffix is kept in the answer's target. A stored name that really ends so wins over the view.
// V2. A bucket without a point is null (NaN in columns), never 0, for `:count` and `:sum` too.
import { unreachable } from "../base/assert.ts";
import type { How } from "./consolidate.ts";

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

/** How points of this view become one when a graph has room for fewer. */
export const consolidationOf: Readonly<Record<View, How>> = {
  avg: "average",
  sum: "sum",
  min: "min",
  max: "max",
  count: "sum",
  last: "last",
};

/** Columns of summaries; `points` 0 means that the bucket is empty. */
export interface SummaryColumns {
  readonly points: Float64Array;
  readonly sum: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly last: Float64Array;
}

/** Cells [from, from + width) as values, NaN where there is none. */
export function viewValues(columns: SummaryColumns, from: number, width: number, view: View): Float64Array {
  const values = new Float64Array(width);
  for (let i = 0; i < width; i++) values[i] = valueOf(columns, from + i, view);
  return values;
}

function valueOf(columns: SummaryColumns, at: number, view: View): number {
  const points = columns.points[at] ?? 0;
  if (points === 0) return Number.NaN;
  switch (view) {
    case "avg":
      return (columns.sum[at] ?? 0) / points;
    case "sum":
      return columns.sum[at] ?? 0;
    case "min":
      return columns.min[at] ?? 0;
    case "max":
      return columns.max[at] ?? 0;
    case "count":
      return points;
    case "last":
      return columns.last[at] ?? 0;
    default:
      return unreachable(view);
  }
}
