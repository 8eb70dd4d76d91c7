// Which frames of the record a replay needs: those up to its barrier, but what was a gap then.
import type { Interval, Replay } from "../src/store/store.ts";

/** Ascending. */
export function rangesToRead({ first, offset, gaps }: Pick<Replay, "first" | "offset" | "gaps">): Interval[] {
  const ranges: Interval[] = [];
  let next = first;
  for (const [from, to] of gaps) {
    if (from > offset) break;
    if (from > next) ranges.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  if (next <= offset) ranges.push([next, offset]);
  return ranges;
}

/** Frames in the ranges, up to `last`. */
export function countOf(ranges: readonly Interval[], last = Number.POSITIVE_INFINITY): number {
  return ranges.reduce((sum, [from, to]) => sum + Math.max(0, Math.min(to, last) - from + 1), 0);
}
