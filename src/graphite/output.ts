// The points of what is read under a StatsD name: an output of a stored counter, timer or set (src/metric/outputs.ts).
//
// V2 and V3 of view.ts hold here too: nothing came, no value; and at every zoom summaries and sketches are merged first
// and read then. A rate is of all the time of its point.
import { counterNode, setNode } from "../metric/outputs.ts";
import { decodeSketch, mergeSketches } from "../metric/sketch.ts";
import { setSize, timerOutput } from "../metric/statistics.ts";
import { consolidatedWidth, type Consolidation } from "./consolidate.ts";
import type { SummaryColumns } from "./view.ts";

export interface Output {
  /** The last node of the stored name. */
  node: string;
  /** The last node of the read name. */
  output: string;
}

export interface SketchedColumns extends SummaryColumns {
  readonly sketches?: ReadonlyMap<number, Uint8Array>;
}

/** What an output needs beside the points. */
export function columnsOfOutput({ node, output }: Output): readonly ("sum" | "min" | "max" | "sketch")[] {
  if (node === counterNode) return ["sum"];
  if (node === setNode) return ["sketch"];
  if (output === "lower") return ["min"];
  if (output === "upper") return ["max"];
  if (output === "sum" || output === "mean") return ["sum"];
  if (output === "count" || output === "count_ps") return ["sketch"];
  return ["sum", "min", "max", "sketch"];
}

/** As viewPoints; `stepSeconds` is of the cells. */
export function outputPoints(
  columns: SketchedColumns,
  from: number,
  width: number,
  output: Output,
  plan: Consolidation,
  xFilesFactor: number,
  stepSeconds: number,
): Float64Array {
  const values = new Float64Array(consolidatedWidth(width, plan));
  for (let i = 0; i < values.length; i++) {
    const first = plan.drop + i * plan.perPoint;
    const end = Math.min(width, first + plan.perPoint);
    values[i] = valueOf(columns, from + first, from + end, output, xFilesFactor, stepSeconds) ?? Number.NaN;
  }
  return values;
}

/** Of cells [from, to). */
function valueOf(
  columns: SketchedColumns,
  from: number,
  to: number,
  { node, output }: Output,
  xFilesFactor: number,
  stepSeconds: number,
): number | undefined {
  let there = 0;
  let points = 0;
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const sketches: Uint8Array[] = [];
  for (let at = from; at < to; at++) {
    const of = columns.points[at] ?? 0;
    if (of === 0) continue;
    there++;
    points += of;
    // A column that was not asked for is not there, and its output is not the one that is asked for.
    sum += columns.sum[at] ?? 0;
    min = Math.min(min, columns.min[at] ?? min);
    max = Math.max(max, columns.max[at] ?? max);
    const sketch = columns.sketches?.get(at);
    if (sketch !== undefined) sketches.push(sketch);
  }
  if (there === 0 || there / (to - from) < xFilesFactor) return undefined;
  const seconds = (to - from) * stepSeconds;
  if (node === counterNode) return output === "rate" ? sum / seconds : sum;
  const merged = sketches.length > 1 ? mergeSketches(sketches) : sketches[0];
  const sketch = merged === undefined ? undefined : decodeSketch(merged);
  if (node === setNode) return sketch?.kind === "set" ? setSize(sketch) : undefined;
  const quantiles = sketch?.kind === "quantile" ? sketch : undefined;
  return timerOutput(output, { points, sum, min, max, sketch: quantiles }, seconds);
}
