// A piece of a block: the fragments of up to 16 series over one span, as one value of the store.
//
//   u8 format, u16 slots, then as counts: oldest cell, newest less oldest, points, each fragment's bytes; the fragments
//   in the order of their slots; 7 bytes of nothing. A cell is a bucket as its number in the span.
//   A fragment: count of rows; u8 what it has; cells; points; lastSeconds - bucket; sum, min, max and last, or one column
//   for the four; lastReceivedAtMs - 1000 * lastSeconds, or lastReceivedAtMs. Columns as columns.ts has them.
//
// F1. Each fragment is read without a look at the others.
// F2. What was written comes back bit for bit. What is read, whatever the bytes, has ascending buckets, each once,
//     between the oldest and the newest of the head.
// F3. No more rows are believed than some for each byte: nobody's memory is filled by a few wrong bytes.
import { assert } from "../base/assert.ts";
import { ColumnReader, corruptPiece } from "./column-reader.ts";
import { ColumnWriter, slackBytes } from "./columns.ts";
import { seriesPerBlock } from "./keys.ts";
import { wantedAll, type Summaries, type Wanted } from "./summaries.ts";

const pieceFormat = 1;
// What a fragment has.
const hasBitmap = 1;
const hasPoints = 2;
const hasFourValues = 4;
const hasReceived = 8;
const hasAll = 15;

/** Rows of a fragment of so many bytes (F3); a writer adds zeros where it has more. */
const freeRows = 4096;
const rowsPerByte = 256;
/** Whole milliseconds below this are exact, and so are their sums. */
const delayMost = 2 ** 51;

/** Makes pieces, one after the other; its memory is used again. */
export class PieceWriter {
  readonly #body = new ColumnWriter();
  readonly #head = new ColumnWriter();
  /** Of the fragments so far. */
  readonly #lengths: number[] = [];
  #bits = new Uint8Array(512);
  #span = 0;
  #stepSeconds = 1;
  #slots = 0;
  #points = 0;
  #oldest = 0;
  #newest = 0;

  /** `span`: first second of the span; buckets are multiples of `stepSeconds` from there on. */
  begin(span: number, stepSeconds: number): void {
    this.#span = span;
    this.#stepSeconds = stepSeconds;
    this.#slots = 0;
    this.#points = 0;
    this.#oldest = Number.POSITIVE_INFINITY;
    this.#newest = 0;
    this.#body.clear();
    this.#lengths.length = 0;
  }

  /** Rows of the block's series `slot` (0 to 15), ascending by slot; their buckets ascending, each once. */
  add(slot: number, rows: Summaries): void {
    if (rows.count === 0) return;
    assert(slot < seriesPerBlock && this.#slots < 1 << slot, `a higher slot than before, got ${slot}`);
    this.#slots |= 1 << slot;
    const body = this.#body;
    const start = body.at;
    this.#fragment(rows, rows.count);
    const length = Math.max(body.at - start, Math.ceil((rows.count - freeRows) / rowsPerByte));
    body.zeros(length - (body.at - start));
    this.#lengths.push(length);
  }

  #fragment(rows: Summaries, count: number): void {
    const body = this.#body;
    body.reserve(count);
    body.count(count);
    const flagsAt = body.at;
    body.byte(0);
    let flags = this.#cells(rows, count);
    flags |= this.#pointsOf(rows, count);
    const { bucket, lastSeconds } = rows;
    const { whole } = body;
    for (let i = 0; i < count; i++) whole[i] = (lastSeconds[i] as number) - (bucket[i] as number);
    body.planWhole(count);
    body.writeWhole(count);
    body.doubles(rows.sum, count);
    if (!oneValue(rows, count)) {
      flags |= hasFourValues;
      body.doubles(rows.min, count);
      body.doubles(rows.max, count);
      body.doubles(rows.last, count);
    }
    const received = rows.lastReceivedAtMs;
    let exact = true;
    for (let i = 0; i < count && exact; i++) {
      const at = received[i] as number;
      const base = (lastSeconds[i] as number) * 1000;
      const delay = at - base;
      whole[i] = delay;
      exact =
        delay < delayMost &&
        delay > -delayMost &&
        Math.floor(delay) === delay &&
        base + delay === at &&
        (at !== 0 || 1 / at > 0);
    }
    if (exact) {
      body.planWhole(count);
      body.writeWhole(count);
    } else {
      flags |= hasReceived;
      body.doubles(received, count);
    }
    body.setByte(flagsAt, flags);
  }

  #cells(rows: Summaries, count: number): number {
    const body = this.#body;
    const { bucket } = rows;
    const { whole } = body;
    let before = -1;
    let inOrder = true;
    for (let i = 0; i < count; i++) {
      const cell = ((bucket[i] as number) - this.#span) / this.#stepSeconds;
      if (cell <= before || Math.floor(cell) !== cell) inOrder = false;
      whole[i] = cell;
      before = cell;
    }
    assert(inOrder, "ascending buckets of the span");
    const first = whole[0] as number;
    this.#oldest = Math.min(this.#oldest, first);
    this.#newest = Math.max(this.#newest, before);
    const range = before - first + 1;
    if (body.planWhole(count) <= Math.ceil(range / 8) + 4) {
      body.writeWhole(count);
      return 0;
    }
    if (range > this.#bits.length) this.#bits = new Uint8Array(2 * range);
    const bits = this.#bits.fill(0, 0, range);
    for (let i = 0; i < count; i++) bits[(whole[i] as number) - first] = 1;
    body.count(first);
    body.count(range);
    body.bitmap(bits, range);
    return hasBitmap;
  }

  #pointsOf(rows: Summaries, count: number): number {
    const body = this.#body;
    const { points } = rows;
    let total = 0;
    let single = true;
    for (let i = 0; i < count; i++) {
      const value = points[i] as number;
      total += value;
      if (value !== 1) single = false;
    }
    this.#points += total;
    if (single) return 0;
    body.doubles(points, count);
    return hasPoints;
  }

  /** Of the piece begun last, as bytes of its own; undefined if nothing was added. */
  finish(): Buffer | undefined {
    if (this.#slots === 0) return undefined;
    const head = this.#head;
    head.clear();
    head.byte(pieceFormat);
    head.byte(this.#slots & 255);
    head.byte(this.#slots >>> 8);
    head.count(this.#oldest);
    head.count(this.#newest - this.#oldest);
    assert(Number.isSafeInteger(this.#points) && this.#points >= 0, "a whole number of points");
    head.count(this.#points);
    for (const length of this.#lengths) head.count(length);
    this.#body.zeros(slackBytes);
    return Buffer.concat([head.written(), this.#body.written()]);
  }
}

/** Whether sum, min, max and last are the same in each row, to the bit. */
function oneValue({ sum, min, max, last }: Summaries, count: number): boolean {
  for (let i = 0; i < count; i++) {
    const value = sum[i] as number;
    if (value !== min[i] || value !== max[i] || value !== last[i]) return false;
    if (value !== 0) continue;
    const sign = 1 / value;
    if (
      sign !== 1 / (min[i] as number) ||
      sign !== 1 / (max[i] as number) ||
      sign !== 1 / (last[i] as number)
    )
      return false;
  }
  return true;
}

/** Reads pieces, one after the other. What is no piece is the outage store-corrupt. */
export class PieceReader {
  /** Bit i: series i of the block has a fragment. */
  slots = 0;
  /** Sum of the points of all its rows. */
  points = 0;
  /** Least and greatest bucket. */
  oldest = 0;
  newest = 0;
  readonly #columns = new ColumnReader();
  /** By slot: where its fragment ends, which is where the next one begins. */
  readonly #ends = new Float64Array(seriesPerBlock + 1);
  #stepSeconds = 1;
  #span = 0;

  /** `bytes` are used until the next `open`. */
  open(bytes: Uint8Array, span: number, stepSeconds: number): void {
    const columns = this.#columns;
    columns.open(bytes);
    const { end } = columns;
    if (columns.byte() !== pieceFormat) throw corruptPiece("its format");
    const slots = columns.byte() | (columns.byte() << 8);
    if (slots === 0) throw corruptPiece("it has no series");
    const oldest = span + columns.count() * stepSeconds;
    const newest = oldest + columns.count() * stepSeconds;
    if (newest > 0xffff_ffff) throw corruptPiece("its time");
    this.points = columns.count();
    const ends = this.#ends;
    ends[0] = 0;
    for (let slot = 0; slot < seriesPerBlock; slot++)
      ends[slot + 1] = (ends[slot] as number) + ((slots >>> slot) & 1 ? columns.count() : 0);
    const start = columns.at;
    if (start + (ends[seriesPerBlock] as number) !== end) throw corruptPiece("its length");
    for (let slot = 0; slot <= seriesPerBlock; slot++) ends[slot] = (ends[slot] as number) + start;
    this.slots = slots;
    this.oldest = oldest;
    this.newest = newest;
    this.#span = span;
    this.#stepSeconds = stepSeconds;
  }

  /**
   * Appends the rows of a series that has a fragment here, those of buckets in [from, until); their buckets ascending,
   * each once. What is in a column of values that is not wanted is not said, nor in the two that only `last` needs.
   */
  read(
    slot: number,
    into: Summaries,
    from = 0,
    until = Number.POSITIVE_INFINITY,
    wanted: Wanted = wantedAll,
  ): void {
    assert(((this.slots >>> slot) & 1) === 1, `a series that has a fragment, got ${slot}`);
    const columns = this.#columns;
    columns.at = this.#ends[slot] as number;
    columns.end = this.#ends[slot + 1] as number;
    const bytes = columns.end - columns.at;
    const rows = columns.count();
    // F3.
    if (rows === 0 || rows > freeRows + bytes * rowsPerByte) throw corruptPiece("its rows");
    const flags = columns.byte();
    if ((flags & ~hasAll) !== 0) throw corruptPiece("a fragment's parts");
    columns.reserve(rows);
    into.reserve(rows);
    const at = into.count;
    this.#cells(flags, rows, into.bucket, at, from, until);
    const end = at + columns.to - columns.from;
    if (end === at) return;
    if (flags & hasPoints) columns.doubles(into.points, at, rows);
    else into.points.fill(1, at, end);
    into.count = end;
    const { sum, min, max, last } = wanted;
    // What follows the last column that is wanted is not looked at.
    if (!(sum || min || max || last)) return;
    if (last) this.#lastSeconds(rows, into, at, end);
    else columns.skipWholes(rows);
    if (flags & hasFourValues) {
      columns.doublesIf(sum, into.sum, at, rows);
      if (!(min || max || last)) return;
      columns.doublesIf(min, into.min, at, rows);
      if (!(max || last)) return;
      columns.doublesIf(max, into.max, at, rows);
      if (!last) return;
      columns.doubles(into.last, at, rows);
    } else {
      columns.doubles(into.sum, at, rows);
      if (min) into.min.set(into.sum.subarray(at, end), at);
      if (max) into.max.set(into.sum.subarray(at, end), at);
      if (!last) return;
      into.last.set(into.sum.subarray(at, end), at);
    }
    this.#received(flags, rows, into, at, end);
  }

  /** The buckets that are asked for; which rows they are is what the columns read from then on. */
  #cells(flags: number, rows: number, bucket: Uint32Array, at: number, from: number, until: number): void {
    const columns = this.#columns;
    columns.from = 0;
    columns.to = rows;
    let first = 0;
    if (flags & hasBitmap) {
      first = columns.count();
      columns.bitmap(rows, columns.count());
    } else columns.wholes(rows);
    const { whole } = columns;
    const step = this.#stepSeconds;
    const start = this.#span + first * step;
    let before = this.oldest - 1;
    let skipped = 0;
    let taken = 0;
    for (let i = 0; i < rows; i++) {
      const seconds = start + (whole[i] as number) * step;
      if (!(seconds > before)) throw corruptPiece("buckets out of order");
      before = seconds;
      if (seconds < from) skipped++;
      else if (seconds < until) bucket[at + taken++] = seconds;
    }
    if (before > this.newest) throw corruptPiece("buckets beyond its newest");
    columns.from = skipped;
    columns.to = skipped + taken;
  }

  #lastSeconds(rows: number, into: Summaries, at: number, end: number): void {
    const columns = this.#columns;
    columns.wholes(rows);
    const { whole } = columns;
    const { bucket, lastSeconds } = into;
    for (let i = at, row = columns.from; i < end; i++, row++)
      lastSeconds[i] = (bucket[i] as number) + (whole[row] as number);
  }

  #received(flags: number, rows: number, into: Summaries, at: number, end: number): void {
    const columns = this.#columns;
    const { lastReceivedAtMs, lastSeconds } = into;
    if (flags & hasReceived) {
      columns.doubles(lastReceivedAtMs, at, rows);
      return;
    }
    columns.wholes(rows);
    const { whole } = columns;
    for (let i = at, row = columns.from; i < end; i++, row++)
      lastReceivedAtMs[i] = (lastSeconds[i] as number) * 1000 + (whole[row] as number);
  }
}
