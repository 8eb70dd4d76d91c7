// How many points of a tenant lie in pieces that a swapped replay has replaced, and that upkeep has not removed yet.
import type { View } from "./environment.ts";
import { PieceReader } from "./fragment.ts";
import { pieceKey, seriesPerBlock, spanPlace, tableRange } from "./keys.ts";
import type { Generations } from "./replays.ts";
import { blocksOf } from "./span-walk.ts";
import { decodeSpan } from "./spans.ts";
import { Summaries, wantedOf } from "./summaries.ts";
import type { ShardWork } from "./work.ts";

/** Looks for a piece before others get a turn. */
const looksPerTurn = 500;
const pointsOnly = wantedOf([]);

export async function replacedPoints(
  view: View,
  work: ShardWork,
  generations: Generations,
  turn: () => Promise<void>,
): Promise<number> {
  const blocks = blocksOf(view, work.replay?.tenant ?? "");
  const { start, end } = tableRange("span");
  let points = 0;
  let looks = 0;
  for (const key of view.keys(start, end, Number.MAX_SAFE_INTEGER)) {
    const place = spanPlace(key);
    const rungs = work.ladders[place.ladder]?.ladder.rungs ?? [];
    const gone = generations.replacedIn(place);
    // The coarsest rung holds every point that is still held.
    if (gone === undefined || place.rung !== rungs.length - 1) continue;
    const stored = view.get(key);
    const old = stored === undefined ? [] : decodeSpan(stored).filter((p) => generations.isOld(p.number));
    for (const block of blocks)
      for (const { number } of old) {
        if (++looks % looksPerTurn === 0) await turn();
        const slots = generations.seriesOf(block);
        const bytes = view.get(pieceKey(place, block, number));
        if (bytes === undefined) continue;
        points += pointsIn(bytes, place.span, rungs.at(-1)?.stepSeconds ?? 1, slots, gone);
      }
  }
  return points;
}

const reader = new PieceReader();
const rows = new Summaries();

function pointsIn(
  bytes: Uint8Array,
  span: number,
  stepSeconds: number,
  slots: number,
  { from, until }: { from: number; until: number },
): number {
  reader.open(bytes, span, stepSeconds);
  let points = 0;
  for (let slot = 0; slot < seriesPerBlock; slot++) {
    if ((reader.slots & slots & (1 << slot)) === 0) continue;
    rows.clear();
    reader.read(slot, rows, from, until, pointsOnly);
    for (let row = 0; row < rows.count; row++) points += rows.points[row] as number;
  }
  return points;
}
