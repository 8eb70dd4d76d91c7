// A read of cells: from the pieces of every ladder, and from what upkeep has not yet turned into pieces.
//
// E1. Each row is taken from where it lies, once: of blobs that a round is turning into pieces only what its cursor has
//     not passed (work.ts W1), of rungs only the times that reach.ts gives each.
// E2. Others get a turn after some milliseconds of work.
// E3. While a replay is about, of each piece only what is of the generation that is read (replays.ts, Y4).
//
// A series whose ladder changed has pieces of both: they just add up. That a block has no piece of some number is
// normal: most rounds and merges touch few blocks of a span.
import { Grid, type GridRange } from "./cells.ts";
import type { View } from "./environment.ts";
import { PieceReader } from "./fragment.ts";
import {
  blobPlace,
  pieceKey,
  seriesPerBlock,
  sketchesKey,
  spanKey,
  spanPlace,
  tableRange,
  type BlobPlace,
} from "./keys.ts";
import type { BlobsOfReader } from "./kept-blobs.ts";
import { reachOf, type Reach } from "./reach.ts";
import { allSlots, Generations, type PiecePart } from "./replays.ts";
import { decodeSketchList } from "./sketches.ts";
import { decodeSpan } from "./spans.ts";
import { valueColumns, type Cells, type ReadColumn } from "./store.ts";
import { Summaries, wantedOf } from "./summaries.ts";
import { passedSeries, spanOf, type LadderWork, type ShardWork } from "./work.ts";

const pageRows = 1024;
/** Rows decoded, or what takes as long, before others get a turn (E2). */
const rowsPerTurn = 100_000;
/** What looking for a piece takes, in rows. */
const rowsPerLook = 50;
/** What merging a sketch takes, in rows. */
const rowsPerSketch = 100;
/** Bytes of a blob that are copied in the time of a row. */
const bytesPerRow = 128;

interface StoredBlob extends BlobPlace {
  key: Buffer;
}

/** Reads of one snapshot: what is the same for all of them is read once. */
export class Fetcher {
  readonly #view: View;
  readonly #kept: BlobsOfReader;
  readonly #turn: () => Promise<void>;
  #work: ShardWork | undefined;
  #generations: Generations | undefined;
  #blobs: Promise<StoredBlob[]> | undefined;
  readonly #reader = new PieceReader();
  readonly #rows = new Summaries();
  #sinceTurn = 0;

  constructor(view: View, kept: BlobsOfReader, turn: () => Promise<void>) {
    this.#view = view;
    this.#kept = kept;
    this.#turn = turn;
  }

  async fetch(
    ids: readonly number[],
    range: GridRange,
    columns: readonly ReadColumn[] = valueColumns,
  ): Promise<Cells> {
    const grid = new Grid(ids, range, wantedOf(columns), columns.includes("sketch"));
    const until = range.start + range.stepSeconds * range.width;
    if (this.#work === undefined) {
      this.#work = this.#view.work().work;
      this.#generations = Generations.of(this.#view, this.#work);
    }
    if (ids.length > 0 && range.width > 0) {
      for (const [number, ladder] of this.#work.ladders.entries())
        for (const reach of reachOf(ladder, range.stepSeconds, range.start, until))
          await this.#addReach(grid, number, ladder, reach);
      await this.#addBlobs(grid, range.start, until, this.#work);
    }
    const cells = grid.finish();
    return grid.sketches === undefined ? cells : { ...cells, sketches: await this.#sketchesOf(grid) };
  }

  async #sketchesOf(grid: Grid): Promise<ReadonlyMap<number, Uint8Array>> {
    const out = new Map<number, Uint8Array>();
    for (const { at, bytes } of grid.sketches?.entries() ?? []) {
      out.set(at, bytes);
      await this.#took(rowsPerSketch);
    }
    grid.repeatSketches(out);
    return out;
  }

  async #took(rows: number): Promise<void> {
    this.#sinceTurn += rows;
    if (this.#sinceTurn < rowsPerTurn) return;
    this.#sinceTurn = 0;
    await this.#turn();
  }

  async #addReach(grid: Grid, number: number, { ladder }: LadderWork, reach: Reach): Promise<void> {
    const { rung, from, until } = reach;
    const end = spanKey({ ladder: number, rung, span: until });
    let next = spanKey({ ladder: number, rung, span: spanOf(ladder, rung, from) });
    for (;;) {
      const page = this.#view.range(next, end, pageRows);
      for (const { key, value } of page) {
        const place = spanPlace(key);
        const pieces = decodeSpan(value).map((piece) => piece.number);
        await this.#addSpan(grid, { ladder: number, rung, span: place.span }, pieces, reach);
      }
      const last = page.at(-1);
      if (page.length < pageRows || last === undefined) return;
      next = Buffer.concat([last.key, Buffer.of(0)]);
      await this.#took(pageRows);
    }
  }

  async #addSpan(
    grid: Grid,
    place: { ladder: number; rung: number; span: number },
    pieces: readonly number[],
    reach: Reach,
  ): Promise<void> {
    const { ids } = grid;
    const whole: readonly PiecePart[] = [{ slots: allSlots, from: reach.from, until: reach.until }];
    for (let i = 0; i < ids.length; ) {
      const block = Math.floor((ids[i] as number) / seriesPerBlock);
      let end = i + 1;
      while (end < ids.length && (ids[end] as number) < (block + 1) * seriesPerBlock) end++;
      let rows = 0;
      for (const piece of pieces) {
        // E3. What the store is asked for comes before the piece's own bytes.
        const parts = this.#generations?.partsOf(place, block, piece, reach) ?? whole;
        const bytes = this.#view.peek(pieceKey(place, block, piece));
        rows += rowsPerLook;
        if (bytes !== undefined) rows += this.#addPiece(grid, bytes, i, end, place.span, reach, parts);
        if (bytes === undefined || grid.sketches === undefined) continue;
        const list = this.#view.peek(sketchesKey(place, block, piece));
        rows += rowsPerLook;
        if (list !== undefined) rows += rowsPerSketch * addSketches(grid, list, i, end, parts);
      }
      i = end;
      await this.#took(rows);
    }
  }

  /** Of the asked series at [first, end), which are of the piece's block; answers how many rows were decoded. */
  #addPiece(
    grid: Grid,
    bytes: Uint8Array,
    first: number,
    end: number,
    span: number,
    { stepSeconds, from, until }: Reach,
    parts: readonly PiecePart[],
  ): number {
    const reader = this.#reader;
    const rows = this.#rows;
    reader.open(bytes, span, stepSeconds);
    if (reader.newest < from || reader.oldest >= until) return 0;
    let decoded = 0;
    for (let i = first; i < end; i++) {
      const slot = (grid.ids[i] as number) % seriesPerBlock;
      if (((reader.slots >>> slot) & 1) === 0) continue;
      for (const part of parts) {
        if (((part.slots >>> slot) & 1) === 0) continue;
        rows.clear();
        reader.read(slot, rows, part.from, part.until, grid.wanted);
        grid.addRows(i, rows);
        decoded += rows.count;
      }
    }
    return decoded;
  }

  async #addBlobs(grid: Grid, from: number, until: number, work: ShardWork): Promise<void> {
    this.#blobs ??= this.#listBlobs();
    let readBytes = 0;
    for (const { key, number, minBucket, maxBucket } of await this.#blobs) {
      if (maxBucket < from || minBucket >= until) continue;
      // E1.
      const leastSeries = passedSeries(work, number);
      if ((grid.ids.at(-1) ?? 0) < leastSeries) continue;
      const { blob, bytes, kept } = this.#kept.get(this.#view, key, readBytes);
      readBytes += bytes;
      grid.addBlob(blob, leastSeries);
      const sketches = grid.sketches === undefined ? 0 : grid.addBlobSketches(blob, leastSeries);
      await this.#took(
        rowsPerSketch * sketches + rowsPerLook * grid.ids.length + (kept ? 0 : bytes / bytesPerRow),
      );
    }
  }

  async #listBlobs(): Promise<StoredBlob[]> {
    const { start, end } = tableRange("blob");
    const out: StoredBlob[] = [];
    for (let next = start; ; ) {
      const keys = this.#view.keys(next, end, pageRows);
      for (const key of keys) out.push({ key, ...blobPlace(key) });
      const last = keys.at(-1);
      if (keys.length < pageRows || last === undefined) return out;
      next = Buffer.concat([last, Buffer.of(0)]);
      await this.#took(rowsPerLook * pageRows);
    }
  }
}

/** Of the asked series at [first, end), which are of the piece's block; answers how many. */
function addSketches(
  grid: Grid,
  list: Uint8Array,
  first: number,
  end: number,
  parts: readonly PiecePart[],
): number {
  let added = 0;
  for (const { first: slot, second: bucket, bytes } of decodeSketchList(list)) {
    const isRead = parts.some(
      ({ slots, from, until }) => ((slots >>> slot) & 1) === 1 && bucket >= from && bucket < until,
    );
    if (!isRead) continue;
    for (let i = first; i < end; i++) {
      if ((grid.ids[i] as number) % seriesPerBlock !== slot) continue;
      grid.addSketch(i, bucket, bytes);
      added++;
    }
  }
  return added;
}
