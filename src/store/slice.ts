// One slice of upkeep on paper: pieces put and removed, and what follows from them for the spans' rows and for the
// tenants' sizes. Written as one batch, or not at all.
import { assert } from "../base/assert.ts";
import type { View, Writes } from "./environment.ts";
import { PieceReader } from "./fragment.ts";
import { after, blockKey, pieceKey, sizeKey, sketchesKey, spanKey, type SpanPlace } from "./keys.ts";
import { addSize, decodeSize, encodeSize, type SizeRow } from "./size.ts";
import { decodeSpan, encodeSpan, type Piece } from "./spans.ts";
import { type ShardWork } from "./work.ts";

interface SpanChange {
  place: SpanPlace;
  pieces: Piece[];
  changed: boolean;
}

export class Slice {
  readonly view: View;
  readonly work: ShardWork;
  readonly writes: Writes = { puts: [], removes: [] };
  /** Rows of summaries read. */
  rows = 0;
  /** Keys and values put. */
  bytes = 0;
  readonly #spans = new Map<string, SpanChange>();
  readonly #sizes = new Map<string, SizeRow>();
  readonly #reader = new PieceReader();
  /** The span that was last asked about, and whether there are sketches in it. */
  #sketchesIn: { place: SpanPlace; any: boolean } | undefined;

  constructor(view: View, work: ShardWork) {
    this.view = view;
    this.work = work;
  }

  get puts(): number {
    return this.writes.puts.length + this.writes.removes.length;
  }

  put(key: Buffer, value: Buffer): void {
    this.writes.puts.push({ key, value });
    this.bytes += key.length + value.length;
  }

  remove(key: Buffer): void {
    this.writes.removes.push(key);
  }

  /** The pieces that a span has after this slice. */
  piecesOf(place: SpanPlace): readonly Piece[] {
    return this.#spanOf(place).pieces;
  }

  setPieces(place: SpanPlace, pieces: Piece[]): void {
    const span = this.#spanOf(place);
    span.pieces = pieces;
    span.changed = true;
  }

  #spanOf(place: SpanPlace): SpanChange {
    const key = spanKey(place);
    const at = key.toString("latin1");
    let change = this.#spans.get(at);
    if (change === undefined) {
      const stored = this.view.get(key);
      change = { place, pieces: stored === undefined ? [] : decodeSpan(stored), changed: false };
      this.#spans.set(at, change);
    }
    return change;
  }

  putPiece(place: SpanPlace, block: number, piece: { number: number; level: number }, value: Buffer): void {
    this.put(pieceKey(place, block, piece.number), value);
    this.#count(place, piece, value.length);
    this.#book(place, block, piece.number, value, 1);
  }

  /** Another value under the same number. */
  replacePiece(place: SpanPlace, block: number, number: number, old: Uint8Array, value: Buffer): void {
    this.put(pieceKey(place, block, number), value);
    this.#count(place, { number, level: 0 }, value.length - old.length);
    this.#book(place, block, number, old, -1);
    this.#book(place, block, number, value, 1);
  }

  /** With its sketches. */
  removePiece(place: SpanPlace, block: number, number: number, value: Uint8Array): void {
    this.removeSketches(place, block, number);
    this.remove(pieceKey(place, block, number));
    this.#count(place, { number, level: 0 }, -value.length);
    this.#book(place, block, number, value, -1);
  }

  /** The row of sketches beside a piece, before this slice. */
  sketchesOf(place: SpanPlace, block: number, number: number): Buffer | undefined {
    if (this.#sketchesIn?.place !== place) {
      const prefix = Buffer.from(sketchesKey(place, 0, 0).subarray(0, 7));
      this.#sketchesIn = { place, any: this.view.keys(prefix, after(prefix), 1).length > 0 };
    }
    return this.#sketchesIn.any ? this.view.get(sketchesKey(place, block, number)) : undefined;
  }

  /** Beside a piece that has none yet. */
  putSketches(place: SpanPlace, block: number, number: number, value: Buffer): void {
    const key = sketchesKey(place, block, number);
    this.put(key, value);
    this.#sizeOf(block, number).bytes += key.length + value.length;
  }

  removeSketches(place: SpanPlace, block: number, number: number): void {
    const value = this.sketchesOf(place, block, number);
    if (value === undefined) return;
    const key = sketchesKey(place, block, number);
    this.remove(key);
    const size = this.#sizeOf(block, number);
    size.bytes = Math.max(0, size.bytes - key.length - value.length);
  }

  /** Other sketches beside the same piece; undefined: none any more. */
  replaceSketches(place: SpanPlace, block: number, number: number, value: Buffer | undefined): void {
    this.removeSketches(place, block, number);
    if (value === undefined) return;
    // What is removed and put in one slice would be gone: removals are written last.
    const key = sketchesKey(place, block, number);
    this.writes.removes = this.writes.removes.filter((each) => !each.equals(key));
    this.putSketches(place, block, number, value);
  }

  /** `level` is of a number that the span does not have yet. */
  #count(place: SpanPlace, { number, level }: { number: number; level: number }, bytes: number): void {
    const span = this.#spanOf(place);
    span.changed = true;
    let entry = span.pieces.find((each) => each.number === number);
    if (entry === undefined) span.pieces.push((entry = { number, level, bytes: 0 }));
    entry.bytes += bytes;
  }

  /** Of a block that has ids. */
  tenantOf(block: number): string {
    return this.view.get(blockKey(block))?.toString() ?? "";
  }

  /** Call once, at the end. */
  finish(): void {
    for (const { place, changed, ...span } of this.#spans.values()) {
      if (!changed) continue;
      const pieces = span.pieces.filter(({ bytes }) => bytes > 0);
      if (pieces.length > 0) this.put(spanKey(place), encodeSpan(pieces));
      else this.remove(spanKey(place));
    }
    for (const [tenant, size] of this.#sizes) this.put(sizeKey(tenant), encodeSize(size));
  }

  #book(place: SpanPlace, block: number, number: number, value: Uint8Array, sign: 1 | -1): void {
    const size = this.#sizeOf(block, number);
    size.bytes = Math.max(0, size.bytes + sign * (value.length + pieceKey(place, block, 0).length));
    const ladder = this.work.ladders[place.ladder];
    assert(ladder !== undefined, `a ladder of the work row, got number ${place.ladder}`);
    // The coarsest rung holds every point that is still held.
    if (place.rung < ladder.ladder.rungs.length - 1) return;
    const reader = this.#reader;
    reader.open(value, place.span, ladder.ladder.rungs[place.rung]?.stepSeconds ?? 1);
    size.points = Math.max(0, size.points + sign * reader.points);
    if (sign < 0) {
      // What is removed lies before what is kept, or is put again in the same slice. Other ladders may hold older points.
      size.oldest = Math.max(size.oldest, Math.min(...this.work.ladders.map(({ kept }) => kept.at(-1) ?? 0)));
      return;
    }
    if (size.newest === 0 || reader.oldest < size.oldest) size.oldest = reader.oldest;
    size.newest = Math.max(size.newest, reader.newest);
  }

  /** Where a piece is counted: staged ones apart, until their replay is over. */
  #sizeOf(block: number, piece: number): SizeRow {
    const { replay } = this.work;
    if (replay?.pieces.includes(piece) === true) return replay.size;
    return this.#tenantSize(this.tenantOf(block));
  }

  /** The replay is over: its pieces are as all others, or gone. */
  endReplay(swapped: boolean): void {
    const { replay } = this.work;
    assert(replay !== undefined, "a replay to end");
    if (swapped && replay.size.bytes > 0) addSize(this.#tenantSize(replay.tenant), replay.size);
    this.work.replay = undefined;
  }

  #tenantSize(tenant: string): SizeRow {
    let size = this.#sizes.get(tenant);
    if (size === undefined) {
      const stored = this.view.get(sizeKey(tenant));
      size = stored === undefined ? { bytes: 0, points: 0, oldest: 0, newest: 0 } : decodeSize(stored);
      this.#sizes.set(tenant, size);
    }
    return size;
  }
}
