// What upkeep does for a replay beside its rounds (replays.ts): it notes that there is one, then from which piece on
// nothing is old any more, and in the end it removes what nobody may read: old rows that were replaced, or, of a replay
// that was given up, all that was staged.
//
// X1. Each step follows from the head and upkeep's row alone, so any upkeep may do it, after any kill.
// X2. A replay that the head does not know is given up, whatever was done for it: another one may have begun since.
import { assert } from "../base/assert.ts";
import { Activity } from "./activity.ts";
import { decodeBlob, valueAt } from "./blob.ts";
import type { View } from "./environment.ts";
import { PieceReader, PieceWriter } from "./fragment.ts";
import type { ShardHead } from "./head.ts";
import { pieceKey, seriesPerBlock, type SpanPlace } from "./keys.ts";
import { Generations, replayOf, type PiecePart } from "./replays.ts";
import type { SliceBounds } from "./round.ts";
import { PieceSketches } from "./sketches.ts";
import type { Slice } from "./slice.ts";
import { blocksOf, SpanWalk } from "./span-walk.ts";
import { Summaries } from "./summaries.ts";
import type { WaitingBlobs } from "./waiting-blobs.ts";
import type { ReplayWork, ShardWork } from "./work.ts";

/** Of orphaned blobs removed in a slice. */
const orphanBytesMost = 16 << 20;
/** Nothing was ever held of a series that only had rows that were given up. */
const longAgo = 1;
const everything = { from: 0, until: Number.POSITIVE_INFINITY };

/** Y7: the head's replay is over. */
export function isOver(head: ShardHead, work: ShardWork): boolean {
  return replayOf(head)?.state === "swapped" && work.replay === undefined;
}

/** Y2: which blobs a round may take up; undefined: all. */
export function roundLimit(head: ShardHead, { replay }: ShardWork): number | undefined {
  const now = replayOf(head);
  if (now === undefined || now.state === "swapped") return undefined;
  return replay?.id === now.id && replay.bound !== undefined ? undefined : head.barrier;
}

export class ReplayUpkeep {
  #removal: Removal | undefined;

  /** What was prepared may not have been written. */
  drop(): void {
    this.#removal = undefined;
  }

  /** true: the slice has something to write. */
  plan(slice: Slice, blobs: WaitingBlobs, orphans: WaitingBlobs, bounds: SliceBounds): boolean {
    const { work, view } = slice;
    const now = replayOf(view.head);
    const { replay } = work;
    if (replay !== undefined && (replay.id !== now?.id || now.state === "swapped"))
      return this.#remove(slice, replay, orphans, bounds);
    if (orphans.list.length > 0) {
      removeOrphans(slice, orphans);
      return true;
    }
    if (now === undefined || now.state === "swapped") return false;
    if (replay === undefined) {
      const { id, tenant, from, until } = now;
      const size = { bytes: 0, points: 0, oldest: 0, newest: 0 };
      const { barrier } = view.head;
      work.replay = { id, tenant, from, until, barrier, bound: undefined, pieces: [], size };
      return true;
    }
    // Y2. What a round is about lies in blobs until its last slice.
    if (replay.bound !== undefined || blobs.list.some(({ number }) => number <= replay.barrier)) return false;
    replay.bound = work.nextPiece;
    return true;
  }

  #remove(slice: Slice, replay: ReplayWork, orphans: WaitingBlobs, bounds: SliceBounds): boolean {
    const { work } = slice;
    // X2. Its pieces so far are among those that go.
    if (work.round?.replay === replay.id) work.round = undefined;
    if (orphans.list.length > 0) {
      removeOrphans(slice, orphans);
      return true;
    }
    if (this.#removal?.id !== replay.id) this.#removal = new Removal(slice.view, replay);
    if (!this.#removal.plan(slice, bounds)) return true;
    this.#removal = undefined;
    slice.endReplay(replayOf(slice.view.head)?.id === replay.id);
    return true;
  }
}

/** Their series may have been new: they end as others do that nothing is left of (retire.ts). */
function removeOrphans(slice: Slice, { list }: WaitingBlobs): void {
  const activity = new Activity(slice);
  let bytes = 0;
  for (const [at, orphan] of list.entries()) {
    bytes += orphan.bytes;
    if (at > 0 && bytes > orphanBytesMost) break;
    const stored = slice.view.get(orphan.key);
    assert(stored !== undefined, "a blob whose key is there");
    const blob = decodeBlob(stored);
    for (let row = 0, last = 0; row < blob.rows; row++) {
      const series = valueAt(blob.series, row);
      if (series !== last) activity.note(series, longAgo);
      last = series;
    }
    slice.rows += blob.rows;
    slice.remove(orphan.key);
  }
  activity.finish();
}

/** One walk over the pieces of the tenant's blocks. */
class Removal {
  readonly id: number;
  readonly #walk: SpanWalk;
  readonly #reader = new PieceReader();
  readonly #writer = new PieceWriter();
  readonly #rows = new Summaries();

  constructor(view: View, { id, tenant }: ReplayWork) {
    this.id = id;
    this.#walk = new SpanWalk(blocksOf(view, tenant));
  }

  /** true: it was the last slice. */
  plan(slice: Slice, bounds: SliceBounds): boolean {
    const generations = Generations.of(slice.view, slice.work);
    assert(generations !== undefined, "a replay in the work row");
    const { swapped } = generations;
    return this.#walk.plan(
      slice,
      bounds,
      (place) => {
        const numbers = slice.piecesOf(place).map(({ number }) => number);
        if (!swapped) return numbers.filter((number) => generations.isStaged(number));
        return generations.replacedIn(place) === undefined
          ? []
          : numbers.filter((number) => generations.isOld(number));
      },
      (place, block, piece) => {
        const parts = generations.partsOf(place, block, piece, everything);
        this.#piece(slice, place, block, piece, parts);
      },
    );
  }

  /** Leaves only these parts of a piece. */
  #piece(slice: Slice, place: SpanPlace, block: number, piece: number, parts: readonly PiecePart[]): void {
    const value = slice.view.get(pieceKey(place, block, piece));
    const rung = slice.work.ladders[place.ladder]?.ladder.rungs[place.rung];
    if (value === undefined || rung === undefined) return;
    const reader = this.#reader;
    reader.open(value, place.span, rung.stepSeconds);
    this.#writer.begin(place.span, rung.stepSeconds);
    for (let slot = 0; slot < seriesPerBlock; slot++) {
      if (((reader.slots >>> slot) & 1) === 0) continue;
      this.#rows.clear();
      for (const { slots, from, until } of parts)
        if (((slots >>> slot) & 1) === 1) reader.read(slot, this.#rows, from, until);
      slice.rows += this.#rows.count;
      this.#writer.add(slot, this.#rows);
    }
    const rest = this.#writer.finish();
    if (rest === undefined) {
      slice.removePiece(place, block, piece, value);
      return;
    }
    if (rest.equals(value)) return;
    slice.replacePiece(place, block, piece, value, rest);
    const list = slice.sketchesOf(place, block, piece);
    if (list === undefined) return;
    const sketches = new PieceSketches();
    for (const { slots, from, until } of parts) sketches.addList(list, slots, from, until);
    slice.replaceSketches(place, block, piece, sketches.finish());
  }
}
