// Whether the store has what a commit says it applies. Each lane knows what was applied when it began, and what it
// applied since, but not what the other lane did meanwhile: a frame may lie in a gap and, sent again, behind the offset.
// Who is refused starts over with what the store knows, and finds the frame to be a duplicate.
import { keyedKeptMs, type BootApplied, type Commit, type Interval, type LetterPlace } from "./store.ts";

/** What an engine knows of before. */
export interface AppliedBefore {
  boot(boot: string): readonly Interval[] | undefined;
  /** When the keyed id was applied last. */
  keyedAtMs(id: Uint8Array): number | undefined;
  isOpen(letter: LetterPlace): boolean;
}

export function isAppliedTwice(before: AppliedBefore, { boots, keyed, retried = [] }: Commit): boolean {
  return (
    boots.some((boot) => meets(before.boot(boot.boot) ?? [], boot)) ||
    keyed.some(({ id, appliedAtMs }) => (before.keyedAtMs(id) ?? -Infinity) >= appliedAtMs - keyedKeptMs) ||
    retried.some((place) => !before.isOpen(place))
  );
}

/** Both ascend, but for what a commit adds out of order: a look from each of its intervals. */
function meets(known: readonly Interval[], { applied }: BootApplied): boolean {
  return applied.some(([from, to]) => {
    const next = firstEndingAt(known, from);
    return next !== undefined && next[0] <= to;
  });
}

/** The first of disjoint ascending intervals that ends at `n` or later. */
function firstEndingAt(intervals: readonly Interval[], n: number): Interval | undefined {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((intervals[middle] as Interval)[1] < n) low = middle + 1;
    else high = middle;
  }
  return intervals[low];
}
