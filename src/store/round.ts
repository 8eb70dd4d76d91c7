// A round of compaction: all blobs up to a number become pieces, series by series, block by block, slice by slice.
// All rungs are made from the same rows in the same slice, so a late point reaches each rung that still holds its time.
//
// O1. A row of a blob goes, in the slice that passes its series, into exactly those rungs of its ladder whose `kept` is
//     not after it; the slice moves the round's cursor in the same batch, and the last one removes the blobs.
// O2. Which ladder a row has follows from the rules and the row's own time, never from when the round comes to it.
// O3. A slice ends at a block's end: pieces of a block are written whole.
// O4. Rows of series that were deleted before the round began go nowhere.
// O5. What a round keeps in memory is its blobs: bounded by `roundBytes` and one commit. They never change, so they are
//     read once, not once a slice.
// O6. Of staged rows (replays.ts) go nowhere: those of series without a name, which were deleted since, at any time; of
//     gauges (Y6); and of times that are not replaced (Y5).
import { assert } from "../base/assert.ts";
import { longestSpan, type Ladder } from "../metric/bucket.ts";
import { ladderText, type LadderRules, type LadderSince } from "../metric/ladder-rules.ts";
import { decodeBlob, type Blob } from "./blob.ts";
import { BlobRows } from "./blob-rows.ts";
import type { View } from "./environment.ts";
import { PieceWriter } from "./fragment.ts";
import { after, blockOf, nameKey, seriesPerBlock, spanKey, tableRange, u32OfKey } from "./keys.ts";
import { Activity } from "./activity.ts";
import { allSlots, gaugesIn, isWithin, replacedUnder } from "./replays.ts";
import { BlockSketches, ladderOfBucket, RoundSketches, type SketchOfBlob } from "./round-sketches.ts";
import type { LadderPlans } from "./ladder-plans.ts";
import type { Slice } from "./slice.ts";
import { Summaries } from "./summaries.ts";
import {
  laddersMax,
  spanOf,
  spanSecondsOf,
  type LadderWork,
  type ReplayWork,
  type Round,
  type ShardWork,
} from "./work.ts";

export interface SliceBounds {
  sliceBytes: number;
  slicePuts: number;
  sliceRows: number;
}

/** A copy: it stays as long as it is held. */
export function storedBlob(view: View, key: Buffer): Blob {
  const bytes = view.get(key);
  assert(bytes !== undefined, "a blob whose key is there");
  return decodeBlob(bytes);
}

interface OpenPiece {
  ladder: number;
  rung: number;
  span: number;
  writer: PieceWriter;
}

const secondsPerDay = 86_400;
/** Deleted series that a round leaves out (O4); those beyond are left to the purge, as later ones are. */
const deletedMost = 10_000;

/** What a round keeps between slices. Of one round only: another round, another one. */
export class RoundWork {
  readonly piece: number;
  readonly #keys: readonly Buffer[];
  /** The replay whose staged rows these are. */
  readonly #replay: ReplayWork | undefined;
  readonly #sources: BlobRows[];
  readonly #sketches: RoundSketches;
  readonly #deleted: ReadonlySet<number>;
  #nextSeries: number;
  /** Rows of the block at hand as they come, the slot of each, and their order by slot. */
  readonly #raw = new Summaries();
  #slots = new Uint8Array(64);
  #order = new Uint32Array(64);
  readonly #starts = new Uint32Array(seriesPerBlock + 1);
  readonly #next = new Uint32Array(seriesPerBlock + 1);
  readonly #sorted = new Summaries();
  readonly #own = new Summaries();
  readonly #rungs: Summaries[] = [];
  readonly #part = new Summaries();
  readonly #spare: PieceWriter[] = [];
  readonly #open = new Map<string, OpenPiece>();
  /** Of the ladders that this round has put rows under. */
  readonly #numbers = new Map<Ladder, number>();

  /** `keys`: of the round's blobs. `replay`: the work row's, where they are staged ones. */
  constructor(view: View, round: Round, keys: readonly Buffer[], replay: ReplayWork | undefined) {
    assert(round.replay === replay?.id, "the replay that the round is about");
    this.piece = round.piece;
    this.#keys = keys;
    this.#replay = replay;
    const blobs = keys.map((key) => storedBlob(view, key));
    this.#sources = blobs.map((blob) => new BlobRows(blob));
    this.#sketches = new RoundSketches(blobs);
    const deleted = tableRange("purge");
    this.#deleted = new Set(view.keys(deleted.start, deleted.end, deletedMost).map(u32OfKey));
    this.#nextSeries = -1;
    this.#seek(round.nextSeries);
  }

  /** Plans the next slice: pieces, the cursor, and at the end the blobs' removal. */
  plan(slice: Slice, rules: LadderRules, nowSeconds: number, plans: LadderPlans, bounds: SliceBounds): void {
    const { work } = slice;
    const { round } = work;
    assert(round?.piece === this.piece, "the round that this was made for");
    this.#seek(round.nextSeries);
    const activity = new Activity(slice);
    let block = this.#nextBlock();
    while (
      block !== undefined &&
      slice.bytes < bounds.sliceBytes &&
      slice.puts < bounds.slicePuts &&
      slice.rows < bounds.sliceRows
    ) {
      this.#block(slice, block, rules, nowSeconds, plans, activity);
      this.#nextSeries = (block + 1) * seriesPerBlock;
      block = this.#nextBlock();
    }
    activity.finish();
    if (block === undefined) {
      work.round = undefined;
      if (round.replay === undefined) work.compacted = Math.max(work.compacted, round.until);
      for (const key of this.#keys) slice.remove(key);
    } else work.round = { ...round, nextSeries: this.#nextSeries };
  }

  #seek(series: number): void {
    if (series === this.#nextSeries) return;
    for (const source of this.#sources) source.seek(series);
    this.#nextSeries = series;
  }

  #nextBlock(): number | undefined {
    let least = Number.POSITIVE_INFINITY;
    for (const source of this.#sources)
      if (source.at < source.count || source.more())
        least = Math.min(least, source.series[source.at] as number);
    return least === Number.POSITIVE_INFINITY ? undefined : blockOf(least);
  }

  #block(
    slice: Slice,
    block: number,
    rules: LadderRules,
    nowSeconds: number,
    plans: LadderPlans,
    activity: Activity,
  ): void {
    const tenant = slice.tenantOf(block);
    this.#take(block);
    slice.rows += this.#raw.count;
    const leftOut = this.#leftOut(slice.view, block, tenant);
    for (let slot = 0; slot < seriesPerBlock; slot++) {
      const start = this.#starts[slot] as number;
      const end = this.#starts[slot + 1] as number;
      const series = block * seriesPerBlock + slot;
      if (start === end || ((leftOut >>> slot) & 1) === 1) continue;
      const ladders = plans.of(slice.view, rules, tenant, series);
      const expiry = this.#series(slice, slot, ladders, nowSeconds, start, end);
      activity.note(series, expiry);
    }
    for (const { writer, ...place } of this.#open.values()) {
      const value = writer.finish();
      if (value !== undefined) slice.putPiece(place, block, { number: this.piece, level: 0 }, value);
      this.#spare.push(writer);
    }
    this.#open.clear();
    const sketches = this.#sketches.ofBlock(block);
    if (sketches.length > 0)
      this.#putSketches(
        slice,
        block,
        sketches.filter(({ series }) => ((leftOut >>> (series % seriesPerBlock)) & 1) === 0),
        (series) => plans.of(slice.view, rules, tenant, series),
      );
  }

  /** O4, O6: bits of the series that have rows here which go nowhere. */
  #leftOut(view: View, block: number, tenant: string): number {
    const replay = this.#replay;
    if (replay === undefined && this.#deleted.size === 0) return 0;
    if (replay !== undefined && replay.tenant !== tenant) return allSlots;
    let bits = replay === undefined ? 0 : gaugesIn(view, block, replay.barrier);
    for (let slot = 0; slot < seriesPerBlock; slot++) {
      if (this.#starts[slot] === this.#starts[slot + 1]) continue;
      const series = block * seriesPerBlock + slot;
      const isGone =
        this.#deleted.has(series) || (replay !== undefined && view.get(nameKey(series)) === undefined);
      if (isGone) bits |= 1 << slot;
    }
    return bits;
  }

  /** Beside the pieces that have just been put. */
  #putSketches(
    slice: Slice,
    block: number,
    sketches: readonly SketchOfBlob[],
    laddersOf: (series: number) => readonly LadderSince[],
  ): void {
    const out = new BlockSketches();
    for (const sketch of sketches) {
      const number = this.#numbers.get(ladderOfBucket(laddersOf(sketch.series), sketch.bucket));
      assert(number !== undefined, "a ladder under which the sketch's row was put");
      const ladder = slice.work.ladders[number] as LadderWork;
      if (this.#replay !== undefined && !isWithin(sketch.bucket, replacedUnder(this.#replay, ladder.ladder)))
        continue;
      out.add(sketch, number, ladder);
    }
    out.put(slice, block, this.piece);
  }

  /** Reads the block's rows of all blobs, and orders them by series: `order` [starts[slot], starts[slot + 1]). */
  #take(block: number): void {
    const raw = this.#raw;
    const first = block * seriesPerBlock;
    raw.clear();
    this.#starts.fill(0);
    for (const source of this.#sources) {
      while (source.at < source.count || source.more()) {
        let end = source.at;
        while (end < source.count && (source.series[end] as number) < first + seriesPerBlock) end++;
        if (end === source.at) break;
        this.#takeRows(source, source.at, end, first);
        source.at = end;
        if (end < source.count) break;
      }
    }
    const starts = this.#starts;
    for (let slot = 0; slot < seriesPerBlock; slot++)
      starts[slot + 1] = (starts[slot + 1] as number) + (starts[slot] as number);
    if (this.#order.length < raw.count) this.#order = new Uint32Array(this.#slots.length);
    const next = this.#next;
    next.set(starts);
    for (let row = 0; row < raw.count; row++) {
      const slot = this.#slots[row] as number;
      const to = next[slot] as number;
      this.#order[to] = row;
      next[slot] = to + 1;
    }
  }

  /** Column by column: a row in each of nine arrays is slower than a few rows in one array after the other. */
  #takeRows(source: BlobRows, from: number, until: number, first: number): void {
    const raw = this.#raw;
    const n = until - from;
    raw.reserve(n);
    const to = raw.count;
    raw.count += n;
    if (this.#slots.length < raw.count) this.#slots = largerBytes(this.#slots, raw.bucket.length);
    const slots = this.#slots;
    const starts = this.#starts;
    for (let i = 0; i < n; i++) {
      const slot = (source.series[from + i] as number) - first;
      slots[to + i] = slot;
      starts[slot + 1] = (starts[slot + 1] as number) + 1;
    }
    for (let i = 0; i < n; i++) {
      const bucket = source.bucket[from + i] as number;
      raw.bucket[to + i] = bucket;
      raw.lastSeconds[to + i] = bucket + (source.lastAfterBucket[from + i] as number);
    }
    copy(source.points, from, raw.points, to, n);
    copy(source.sum, from, raw.sum, to, n);
    copy(source.min, from, raw.min, to, n);
    copy(source.max, from, raw.max, to, n);
    copy(source.last, from, raw.last, to, n);
    copy(source.lastReceivedAtMs, from, raw.lastReceivedAtMs, to, n);
  }

  /** Puts the rows that `order` [start, end) names into all rungs. Answers from which epoch day on nothing is held. */
  #series(
    slice: Slice,
    slot: number,
    ladders: readonly LadderSince[],
    nowSeconds: number,
    start: number,
    end: number,
  ): number {
    if (ladders.length === 1 && ladders[0] !== undefined)
      return this.#rows(slice, slot, ladders[0].ladder, nowSeconds, this.#raw, start, end, this.#order);
    this.#sorted.gather(this.#raw, start, end, 1, this.#order);
    let expiry = 0;
    for (const [at, { ladder }] of ladders.entries()) {
      // Rules that went back to an earlier ladder: its rows go together, once.
      const text = ladderText(ladder);
      const since = ladders.flatMap((each, i) => (ladderText(each.ladder) === text ? [i] : []));
      if (since[0] !== at) continue;
      this.#own.clear();
      let row = 0;
      for (const i of since) {
        const from = i === 0 ? 0 : (ladders[i]?.fromSeconds ?? 0);
        const until = ladders[i + 1]?.fromSeconds ?? Number.POSITIVE_INFINITY;
        while (row < this.#sorted.count && (this.#sorted.bucket[row] as number) < from) row++;
        for (; row < this.#sorted.count && (this.#sorted.bucket[row] as number) < until; row++)
          this.#own.append(this.#sorted, row, this.#sorted.bucket[row] as number);
      }
      if (this.#own.count > 0)
        expiry = Math.max(expiry, this.#rows(slice, slot, ladder, nowSeconds, this.#own, 0, this.#own.count));
    }
    return expiry;
  }

  #rows(
    { view, work }: Slice,
    slot: number,
    ladder: Ladder,
    nowSeconds: number,
    rows: Summaries,
    start: number,
    end: number,
    order?: Uint32Array,
  ): number {
    let number = this.#numbers.get(ladder);
    if (number === undefined) {
      number = ladderNumber(view, work, ladder, nowSeconds, new Set(this.#numbers.values()));
      this.#numbers.set(ladder, number);
    }
    const known = work.ladders[number] as LadderWork;
    let finer = rows;
    let from = start;
    let to = end;
    let by = order;
    for (const [rung, { stepSeconds }] of known.ladder.rungs.entries()) {
      const cells = (this.#rungs[rung] ??= new Summaries());
      cells.gather(finer, from, to, stepSeconds, by);
      if (rung === 0 && this.#replay !== undefined) {
        const taken = replacedUnder(this.#replay, known.ladder);
        cells.clip(taken.from, taken.until);
      }
      const kept = known.kept[rung] ?? 0;
      let first = 0;
      while (first < cells.count && (cells.bucket[first] as number) < kept) first++; // O1
      this.#emit(known.ladder, number, rung, slot, cells, first);
      finer = cells;
      from = 0;
      to = cells.count;
      by = undefined;
    }
    const newest = finer.count === 0 ? 0 : (finer.bucket[finer.count - 1] as number);
    return Math.floor((newest + longestSpan(known.ladder)) / secondsPerDay) + 1;
  }

  #emit(ladder: Ladder, number: number, rung: number, slot: number, cells: Summaries, first: number): void {
    const length = spanSecondsOf(ladder, rung);
    for (let i = first; i < cells.count; ) {
      const span = spanOf(ladder, rung, cells.bucket[i] as number);
      let j = i + 1;
      while (j < cells.count && (cells.bucket[j] as number) < span + length) j++;
      const writer = this.#writerOf(ladder, number, rung, span);
      if (i === 0 && j === cells.count) writer.add(slot, cells);
      else {
        this.#part.clear();
        for (let at = i; at < j; at++) this.#part.append(cells, at, cells.bucket[at] as number);
        writer.add(slot, this.#part);
      }
      i = j;
    }
  }

  #writerOf(ladder: Ladder, number: number, rung: number, span: number): PieceWriter {
    const key = `${number} ${rung} ${span}`;
    let open = this.#open.get(key);
    if (open === undefined) {
      const writer = this.#spare.pop() ?? new PieceWriter();
      writer.begin(span, ladder.rungs[rung]?.stepSeconds ?? 1);
      open = { ladder: number, rung, span, writer };
      this.#open.set(key, open);
    }
    return open.writer;
  }
}

function copy(source: Float64Array, from: number, out: Float64Array, to: number, n: number): void {
  for (let i = 0; i < n; i++) out[to + i] = source[from + i] as number;
}

function largerBytes(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

/**
 * The ladder's number in the work row; a new one is added, reaching back as far as its rungs do now. `used`: numbers
 * under which there may be pieces that are not in the view yet.
 */
function ladderNumber(
  view: View,
  work: ShardWork,
  ladder: Ladder,
  nowSeconds: number,
  used: ReadonlySet<number>,
): number {
  const text = ladderText(ladder);
  const known = work.ladders.findIndex((each) => each.text === text);
  if (known >= 0) return known;
  const kept = ladder.rungs.map((rung, at) => keptAt(ladder, at, nowSeconds - rung.spanSeconds));
  const number =
    work.ladders.length < laddersMax ? work.ladders.length : unusedNumber(view, work.ladders.length, used);
  // So many ladders at a time: rather a wrong resolution than a lost point.
  if (number === undefined) return 0;
  work.ladders[number] = { text, ladder, kept };
  return number;
}

/** A number of a ladder whose last piece has gone. */
function unusedNumber(view: View, count: number, used: ReadonlySet<number>): number | undefined {
  for (let ladder = 0; ladder < count; ladder++) {
    if (used.has(ladder)) continue;
    const start = spanKey({ ladder, rung: 0, span: 0 });
    if (view.keys(start, after(start.subarray(0, 2)), 1).length === 0) return ladder;
  }
  return undefined;
}

/** First second of the span that holds `seconds`. */
export function keptAt(ladder: Ladder, rung: number, seconds: number): number {
  return Math.max(0, spanOf(ladder, rung, Math.max(0, seconds)));
}
