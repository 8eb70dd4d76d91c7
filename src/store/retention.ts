// Retention and purge: spans that a rung no longer reaches, and fragments of series that were deleted.
//
// T1. A rung first says that it reaches less far back (`kept`), in one batch; what lies before is then nobody's, and
//     goes in slices. So no read ever sees half of a span.
// T2. A rung passes a span only when no blob that was there when it was due has rows in it: a round comes first. Later
//     ones don't hold it up: their rows go into the rungs that still reach them.
// T3. Deleted series' fragments go when every blob written before the deletion is in fragments: none can come after.
import { assert } from "../base/assert.ts";
import type { View } from "./environment.ts";
import { PieceReader, PieceWriter } from "./fragment.ts";
import {
  after,
  blockOf,
  pieceKey,
  piecePlace,
  purgeKey,
  seriesPerBlock,
  spanKey,
  spanPlace,
  tableRange,
  u32OfKey,
  type BlobPlace,
  type SpanPlace,
} from "./keys.ts";
import { keptAt, type SliceBounds } from "./round.ts";
import { decodeNumber } from "./rows.ts";
import { PieceSketches } from "./sketches.ts";
import type { Slice } from "./slice.ts";
import { SpanWalk } from "./span-walk.ts";
import { Summaries } from "./summaries.ts";
import type { ShardWork } from "./work.ts";

const keysPerSlice = 2000;

export type Advance = "nothing" | "advanced" | "round-first";

/** T1, T2: moves `kept` of every rung that is due; of the work row only. `blobs`: those that are waited for. */
export function advanceKept(
  work: ShardWork,
  blobs: readonly Pick<BlobPlace, "minBucket" | "maxBucket">[],
  nowSeconds: number,
): Advance {
  let answer: Advance = "nothing";
  for (const each of work.ladders)
    for (const [rung, { spanSeconds }] of each.ladder.rungs.entries()) {
      const before = each.kept[rung] ?? 0;
      const due = keptAt(each.ladder, rung, nowSeconds - spanSeconds);
      if (due <= before) continue;
      if (blobs.some(({ minBucket, maxBucket }) => minBucket < due && maxBucket >= before)) {
        if (answer === "nothing") answer = "round-first";
        continue;
      }
      each.kept[rung] = due;
      answer = "advanced";
    }
  return answer;
}

/** The first span that lies before what its rung keeps. */
export function passedSpan(view: View, work: ShardWork): SpanPlace | undefined {
  for (const [ladder, each] of work.ladders.entries())
    for (const rung of each.ladder.rungs.keys()) {
      const start = spanKey({ ladder, rung, span: 0 });
      const [key] = view.keys(start, spanKey({ ladder, rung, span: each.kept[rung] ?? 0 }), 1);
      if (key !== undefined) return spanPlace(key);
    }
  return undefined;
}

/** Removes pieces of a passed span; its row with the last ones. */
export function planPassed(slice: Slice, place: SpanPlace): void {
  const { view, work } = slice;
  const prefix = pieceKey(place, 0, 0).subarray(0, 7);
  const keys = view.keys(Buffer.from(prefix), after(prefix), keysPerSlice);
  for (const key of keys) {
    const { block, piece } = piecePlace(key);
    const value = view.get(key);
    assert(value !== undefined, "a piece whose key is there");
    slice.removePiece(place, block, piece, value);
  }
  if (keys.length === keysPerSlice) return;
  slice.setPieces(place, []);
  const { merge } = work;
  const merged = merge?.ladder === place.ladder && merge.rung === place.rung && merge.span === place.span;
  if (merged) work.merge = undefined;
}

/** Ids taken up by one sweep. */
const purgeMost = 10_000;

/** One sweep over all fragments for some deleted series. Doing it twice changes nothing: where it is lies in memory. */
export class Purge {
  readonly #ids: number[];
  /** By block: bits of the slots to go. */
  readonly #slots = new Map<number, number>();
  readonly #walk: SpanWalk;
  readonly #reader = new PieceReader();
  readonly #writer = new PieceWriter();
  readonly #rows = new Summaries();

  private constructor(ids: number[]) {
    this.#ids = ids;
    for (const id of ids) {
      const block = blockOf(id);
      this.#slots.set(block, (this.#slots.get(block) ?? 0) | (1 << (id % seriesPerBlock)));
    }
    this.#walk = new SpanWalk([...this.#slots.keys()].sort((a, b) => a - b));
  }

  /** T3. undefined: nothing is due. */
  static due(view: View, work: ShardWork, blobs: readonly unknown[]): Purge | undefined {
    const { start, end } = tableRange("purge");
    const ids = view
      .range(start, end, purgeMost)
      .filter(({ value }) => blobs.length === 0 || decodeNumber(value) <= work.compacted)
      .map(({ key }) => u32OfKey(key));
    return ids.length === 0 ? undefined : new Purge(ids);
  }

  /** Plans a slice; true: it was the last one. */
  plan(slice: Slice, bounds: SliceBounds): boolean {
    const done = this.#walk.plan(
      slice,
      bounds,
      (place) => slice.piecesOf(place).map(({ number }) => number),
      (place, block, piece) => this.#piece(slice, place, block, piece),
    );
    if (!done) return false;
    for (const id of this.#ids) slice.remove(purgeKey(id));
    return true;
  }

  #piece(slice: Slice, place: SpanPlace, block: number, number: number): void {
    const value = slice.view.get(pieceKey(place, block, number));
    const rung = slice.work.ladders[place.ladder]?.ladder.rungs[place.rung];
    if (value === undefined || rung === undefined) return;
    const gone = this.#slots.get(block) ?? 0;
    this.#reader.open(value, place.span, rung.stepSeconds);
    if ((this.#reader.slots & gone) === 0) return;
    this.#writer.begin(place.span, rung.stepSeconds);
    for (let slot = 0; slot < seriesPerBlock; slot++) {
      if ((this.#reader.slots & ~gone & (1 << slot)) === 0) continue;
      this.#rows.clear();
      this.#reader.read(slot, this.#rows);
      slice.rows += this.#rows.count;
      this.#writer.add(slot, this.#rows);
    }
    const rest = this.#writer.finish();
    if (rest === undefined) {
      slice.removePiece(place, block, number, value);
      return;
    }
    slice.replacePiece(place, block, number, value, rest);
    const list = slice.sketchesOf(place, block, number);
    if (list === undefined) return;
    const sketches = new PieceSketches();
    sketches.addList(list, ~gone);
    slice.replaceSketches(place, block, number, sketches.finish());
  }
}
