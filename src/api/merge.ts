// Summaries of one series from several homes, merged into one: counts and sums add, minima and maxima compare, sketches
// merge.
import { mergeSketches } from "../metric/sketch.ts";
import type { Cells } from "../store/store.ts";

/** Row i of `from` is added to row rows[i] of `into`; both have the same grid and the same columns. `from` is of the newer home. */
export function mergeInto(into: Cells, from: Cells, rows: readonly number[]): void {
  const { width } = into;
  const has = (column: Float64Array) => column.length > 0;
  const [hasSum, hasMin, hasMax, hasLast] = [has(from.sum), has(from.min), has(from.max), has(from.last)];
  for (const [i, row] of rows.entries()) {
    for (let bucket = 0; bucket < width; bucket++) {
      const at = row * width + bucket;
      const source = i * width + bucket;
      const points = from.points[source] ?? 0;
      if (points === 0) continue;
      const before = into.points[at] ?? 0;
      into.points[at] = before + points;
      if (hasSum) into.sum[at] = (into.sum[at] ?? 0) + (from.sum[source] ?? 0);
      if (hasMin) {
        const min = from.min[source] ?? 0;
        into.min[at] = before === 0 ? min : Math.min(into.min[at] ?? min, min);
      }
      if (hasMax) {
        const max = from.max[source] ?? 0;
        into.max[at] = before === 0 ? max : Math.max(into.max[at] ?? max, max);
      }
      if (hasLast) into.last[at] = from.last[source] ?? 0;
    }
  }
  if (from.sketches !== undefined) into.sketches = mergedSketches(into, from.sketches, rows);
}

function mergedSketches(
  { width, sketches }: Cells,
  from: ReadonlyMap<number, Uint8Array>,
  rows: readonly number[],
): Map<number, Uint8Array> {
  const merged = new Map(sketches);
  for (const [source, sketch] of from) {
    const at = (rows[Math.floor(source / width)] ?? 0) * width + (source % width);
    const before = merged.get(at);
    merged.set(at, before === undefined ? sketch : (mergeSketches([before, sketch]) ?? sketch));
  }
  return merged;
}
