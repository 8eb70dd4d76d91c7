// The sketches of a round's blobs on their way into the rungs, block by block: the same way as the rows that they
// belong to (round.ts O1, O2, O4), so that a sketch lies beside a piece that has its row.
import { ladderAt, ladderText, type LadderSince } from "../metric/ladder-rules.ts";
import { bucketOf, type Ladder } from "../metric/bucket.ts";
import { sketchesOf, valueAt, type Blob } from "./blob.ts";
import { blockOf, seriesPerBlock, type SpanPlace } from "./keys.ts";
import { PieceSketches } from "./sketches.ts";
import type { Slice } from "./slice.ts";
import { spanOf, type LadderWork } from "./work.ts";

export interface SketchOfBlob {
  series: number;
  bucket: number;
  bytes: Uint8Array;
}

export class RoundSketches {
  /** By series; mostly there are none. */
  readonly #all: SketchOfBlob[] = [];

  constructor(blobs: readonly Blob[]) {
    for (const blob of blobs)
      for (const { row, bytes } of sketchesOf(blob))
        this.#all.push({ series: valueAt(blob.series, row), bucket: valueAt(blob.bucket, row), bytes });
    this.#all.sort((a, b) => a.series - b.series);
  }

  ofBlock(block: number): SketchOfBlob[] {
    const all = this.#all;
    if (all.length === 0) return [];
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((all[middle]?.series ?? 0) < block * seriesPerBlock) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < all.length && blockOf(all[end]?.series ?? 0) === block) end++;
    return all.slice(low, end);
  }
}

/** Rows of sketches of one block that a slice puts beside the pieces of one number. */
export class BlockSketches {
  readonly #open = new Map<string, { place: SpanPlace; sketches: PieceSketches }>();

  /** Into every rung that still reaches it. `ladder` has this number in the work row. */
  add({ series, bucket, bytes }: SketchOfBlob, number: number, { ladder, kept }: LadderWork): void {
    for (const [rung, { stepSeconds }] of ladder.rungs.entries()) {
      const cell = bucketOf(bucket, stepSeconds);
      if (cell < (kept[rung] ?? 0)) continue;
      const span = spanOf(ladder, rung, cell);
      const key = `${number} ${rung} ${span}`;
      let open = this.#open.get(key);
      if (open === undefined) {
        open = { place: { ladder: number, rung, span }, sketches: new PieceSketches() };
        this.#open.set(key, open);
      }
      open.sketches.add(series % seriesPerBlock, cell, bytes);
    }
  }

  put(slice: Slice, block: number, piece: number): void {
    for (const { place, sketches } of this.#open.values()) {
      const value = sketches.finish();
      if (value !== undefined) slice.putSketches(place, block, piece, value);
    }
  }
}

/** The ladder of a bucket, as the object that the round has put its rows under: the first of its text. */
export function ladderOfBucket(ladders: readonly LadderSince[], bucket: number): Ladder {
  const ladder = ladderAt(ladders, bucket);
  const text = ladderText(ladder);
  return ladders.find((each) => ladderText(each.ladder) === text)?.ladder ?? ladder;
}
