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

/** What of `a` is not in `b`. Both are ascending and disjoint. */
export function withoutIntervals(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const out: Interval[] = [];
  let at = 0;
  for (const [low, high] of a) {
    let from = low;
    while (at < b.length && (b[at] as Interval)[1] < from) at++;
    for (let k = at; k < b.length && from <= high; k++) {
      const [taken, end] = b[k] as Interval;
      if (taken > high) break;
      if (taken > from) out.push([from, taken - 1]);
      from = Math.max(from, end + 1);
    }
    if (from <= high) out.push([from, high]);
  }
  return out;
}

/** Whether a set holds n. Bisection: a set may have many intervals after a bad night. */
export function holds(intervals: readonly Interval[], n: number): boolean {
  let low = 0;
  let high = intervals.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = intervals[middle] as Interval;
    if (n < from) high = middle - 1;
    else if (n > to) low = middle + 1;
    else return true;
  }
  return false;
}

/** Adds n in place; in order, as frames mostly come, that only moves the last end. */
export function addNumber(intervals: Interval[], n: number): void {
  const last = intervals.at(-1);
  if (last === undefined || n > last[1] + 1) intervals.push([n, n]);
  else if (n === last[1] + 1) last[1] = n;
  else intervals.splice(0, intervals.length, ...mergeIntervals(intervals, [[n, n]]));
}
