// Sets of whole numbers as disjoint, ascending intervals, both ends included: frames applied, holes, gaps.
import { assert } from "../base/assert.ts";
import type { Interval } from "./store.ts";

/** The union, as few intervals as possible: [1,2] and [3,4] are [1,4]. The arguments may be in any order. */
export function mergeIntervals(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const sorted = [...a, ...b].sort(([x], [y]) => x - y);
  const out: Interval[] = [];
  for (const [low, high] of sorted) {
    assert(low <= high, `an interval's low end below its high end, got ${low} to ${high}`);
    const last = out.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else out.push([low, high]);
  }
  return out;
}
