// Which rung of a ladder answers for which times, when a read asks for a step.
//
// H1. Every time is answered by one rung at most: what several rungs hold is never counted twice.
// H2. The coarsest rung whose step divides the one asked for answers as far back as it reaches (its cells are whole
//     numbers of that rung's, and there are the fewest to read); where none divides it, the finest one. Older times come
//     from the next coarser rungs, as far as each reaches.
// H3. A rung answers no further back than the coarser ones reach: spans end where they end, so that a finer one may reach
//     further for a while; a bucket of a still coarser one would be cut in two there.
import type { LadderWork } from "./work.ts";

/** [from, until) comes from this rung. */
export interface Reach {
  rung: number;
  stepSeconds: number;
  from: number;
  until: number;
}

/** The newest first; nothing that is empty. */
export function reachOf(
  { ladder, kept }: LadderWork,
  stepSeconds: number,
  from: number,
  until: number,
): Reach[] {
  const { rungs } = ladder;
  const coarsest = rungs.findLastIndex((rung) => stepSeconds % rung.stepSeconds === 0);
  const out: Reach[] = [];
  let open = Math.min(until, 0xffff_ffff);
  for (let rung = Math.max(0, coarsest); rung < rungs.length && open > from; rung++) {
    const start = Math.max(0, from, ...kept.slice(rung)); // H3
    if (start >= open) continue;
    out.push({ rung, stepSeconds: rungs[rung]?.stepSeconds ?? 1, from: start, until: open });
    open = start;
  }
  return out;
}
