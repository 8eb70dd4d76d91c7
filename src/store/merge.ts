// Merging pieces: of a span that has many, block by block, into one. So that a read looks into few pieces, and a late
// point costs no rewriting of what is there, until there are many.
//
// G1. A slice puts a block's merged piece and removes the pieces it was made of, in one batch: at any time each row is
//     in exactly one piece.
// G2. The merged piece's number is among the span's before the first block has it: readers look for it from then on.
import { assert } from "../base/assert.ts";
import type { View } from "./environment.ts";
import { PieceReader, PieceWriter } from "./fragment.ts";
import {
  after,
  pieceKey,
  piecePlace,
  seriesPerBlock,
  spanPlace,
  tableRange,
  type SpanPlace,
} from "./keys.ts";
import { mergeable } from "./replays.ts";
import type { SliceBounds } from "./round.ts";
import { PieceSketches } from "./sketches.ts";
import type { Slice } from "./slice.ts";
import { decodeSpan, type Piece } from "./spans.ts";
import { Summaries } from "./summaries.ts";
import { spanSecondsOf, type Merge, type ShardWork } from "./work.ts";

/** Level of the one piece that a closed span has become. */
export const sealedLevel = 255;
/** After its end a span is not closed for so long: what is on its way, and rounds, come later. */
const closedAfterSeconds = 1200;
/** Keys looked at in a slice; more where one block alone has as many. */
const keysPerSlice = 4000;

export interface MergePolicy {
  /** So many pieces of one level become one. */
  pieces: number;
  /** Whatever can become one does. */
  all: boolean;
}

/** The next merge worth doing; undefined: none. */
export function pickMerge(
  view: View,
  work: ShardWork,
  nowSeconds: number,
  policy: MergePolicy,
): Merge | undefined {
  const { start, end } = tableRange("span");
  let found: { place: SpanPlace; pieces: Piece[]; closed: boolean } | undefined;
  for (const key of view.keys(start, end, Number.MAX_SAFE_INTEGER)) {
    const place = spanPlace(key);
    const ladder = work.ladders[place.ladder];
    const stored = view.get(key);
    if (ladder === undefined || stored === undefined || place.span < (ladder.kept[place.rung] ?? 0)) continue;
    const ends = place.span + spanSecondsOf(ladder.ladder, place.rung);
    const closed = ends + closedAfterSeconds <= nowSeconds;
    const pieces = choose(mergeable(key, decodeSpan(stored), work), closed, policy);
    if (pieces.length > (found?.pieces.length ?? 1)) found = { place, pieces, closed };
  }
  if (found === undefined) return undefined;
  const { place, pieces, closed } = found;
  return {
    ...place,
    pieces: pieces.map(({ number }) => number),
    into: work.nextPiece,
    level: closed
      ? sealedLevel
      : Math.min(sealedLevel - 1, Math.max(...pieces.map(({ level }) => level)) + 1),
    nextBlock: 0,
  };
}

/** Which pieces of a span should become one: two at least, or none. */
export function choose(pieces: readonly Piece[], closed: boolean, policy: MergePolicy): Piece[] {
  if (pieces.length < 2) return [];
  if (policy.all) return [...pieces];
  const sealed = pieces.filter(({ level }) => level === sealedLevel);
  const others = pieces.filter(({ level }) => level !== sealedLevel);
  if (closed) {
    // Two are left alone: writing all of it again would gain a read little.
    if (sealed.length === 0) return pieces.length > 2 ? [...pieces] : [];
    const bytes = (list: readonly Piece[]) => list.reduce((sum, each) => sum + each.bytes, 0);
    const many = others.length >= policy.pieces || bytes(others) * 4 > bytes(sealed);
    return others.length > 0 && many ? [...pieces] : [];
  }
  for (let level = 0; level < sealedLevel; level++) {
    const same = others.filter((each) => each.level === level);
    if (same.length >= policy.pieces) return same;
    if (others.every((each) => each.level <= level)) break;
  }
  return [];
}

/** Keys of pieces from `start` on, all of the first block's at least; whether there are more. */
function wholeBlock(view: View, start: Buffer, end: Buffer): { keys: Buffer[]; more: boolean } {
  for (let most = keysPerSlice; ; most *= 2) {
    const keys = view.keys(start, end, most);
    const [first] = keys;
    const last = keys.at(-1);
    if (keys.length < most || first === undefined || last === undefined) return { keys, more: false };
    if (piecePlace(first).block < piecePlace(last).block) return { keys, more: true };
  }
}

export class MergeWork {
  readonly #reader = new PieceReader();
  readonly #writer = new PieceWriter();
  readonly #series = Array.from({ length: seriesPerBlock }, () => new Summaries());
  readonly #merged = new Summaries();

  /** Plans the next slice of the merge in the work row. */
  plan(slice: Slice, bounds: SliceBounds): void {
    const { view, work } = slice;
    const merge = work.merge;
    assert(merge !== undefined, "a merge under way");
    const place: SpanPlace = { ladder: merge.ladder, rung: merge.rung, span: merge.span };
    const into = { number: merge.into, level: merge.level };
    const wanted = new Set(merge.pieces);
    const start = pieceKey(place, merge.nextBlock, 0);
    const { keys, more } = wholeBlock(view, start, after(start.subarray(0, 7)));
    let next: number | undefined;
    for (let i = 0; i < keys.length; ) {
      const { block } = piecePlace(keys[i] as Buffer);
      let end = i + 1;
      while (end < keys.length && piecePlace(keys[end] as Buffer).block === block) end++;
      const full =
        slice.bytes >= bounds.sliceBytes || slice.puts >= bounds.slicePuts || slice.rows >= bounds.sliceRows;
      // The last block's keys may go on behind what was read; a slice does one block at least.
      if (i > 0 && (full || (more && end === keys.length))) {
        next = block;
        break;
      }
      const numbers = keys.slice(i, end).map((key) => piecePlace(key).piece);
      this.#block(
        slice,
        place,
        block,
        numbers.filter((number) => wanted.has(number)),
        into,
      );
      i = end;
    }
    if (next !== undefined) {
      work.merge = { ...merge, nextBlock: next };
      return;
    }
    slice.setPieces(
      place,
      slice.piecesOf(place).filter(({ number }) => !wanted.has(number)),
    );
    work.merge = undefined;
  }

  #block(
    slice: Slice,
    place: SpanPlace,
    block: number,
    numbers: readonly number[],
    into: { number: number; level: number },
  ): void {
    if (numbers.length === 0) return;
    const rung = slice.work.ladders[place.ladder]?.ladder.rungs[place.rung];
    assert(rung !== undefined, "a rung of a ladder of the work row");
    const sketches = new PieceSketches();
    for (const rows of this.#series) rows.clear();
    for (const number of numbers) {
      const value = slice.view.get(pieceKey(place, block, number));
      assert(value !== undefined, "a piece whose key is there");
      this.#reader.open(value, place.span, rung.stepSeconds);
      for (let slot = 0; slot < seriesPerBlock; slot++)
        if ((this.#reader.slots & (1 << slot)) !== 0)
          this.#reader.read(slot, this.#series[slot] as Summaries);
      const list = slice.sketchesOf(place, block, number);
      if (list !== undefined) sketches.addList(list);
      slice.removePiece(place, block, number, value);
    }
    this.#writer.begin(place.span, rung.stepSeconds);
    for (const [slot, rows] of this.#series.entries()) {
      if (rows.count === 0) continue;
      slice.rows += rows.count;
      if (numbers.length === 1) this.#writer.add(slot, rows);
      else {
        this.#merged.gather(rows, 0, rows.count, rung.stepSeconds);
        this.#writer.add(slot, this.#merged);
      }
    }
    const value = this.#writer.finish();
    if (value !== undefined) slice.putPiece(place, block, into, value);
    const list = sketches.finish();
    if (list !== undefined) slice.putSketches(place, block, into.number, list);
  }
}
