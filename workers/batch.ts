// What an actor holds between two commits: the deltas of (committed, read], and the books that go with them.
//
// D1. The state is exactly what frames (committed, read] say, and the lines of the next one that were taken: the same
//     frames always give the same commit.
// D2. A frame that was applied before is skipped and counted, whatever the broker's duplicate window says (P2).
// D3. What a door says that it received is booked beside what became of it, in parts that add up to it (books.ts).
// D4. A frame or line that can't be applied becomes a dead letter with its reason; the rest of it counts (P3).
// D5. A retried letter closes with its first lines that count: it is taken out of the dead, and not received again.
// D6. Sections of a quarantined tenant become dead letters whole, up to a bound, those of one that is deleted are refused:
//     no line of them is looked at.
import { assert } from "../src/base/assert.ts";
import type { RecordedFrame } from "../src/bus/bus.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import { decodeFrame, type DecodedFrame, type Frame } from "../src/metric/frame.ts";
import { reasonCode, reasons } from "../src/metric/reason.ts";
import type { RefusedLines } from "../src/gateway/refused-lines.ts";
import type { Commit, Interval, Lane, ShardState } from "../src/store/store.ts";
import { Applied, type Question } from "./applied.ts";
import { Books, type Origin } from "./books.ts";
import { FrameLines } from "../src/metric/frame-lines.ts";
import {
  cutPiece,
  firstLine,
  lineNumber,
  minuteOf,
  wholePiece,
  type OpenFrame,
  type Piece,
} from "./open-frame.ts";
import { Outcasts } from "./outcasts.ts";
import { SeriesIds } from "./series-ids.ts";
import type { SeriesRoom } from "./series-room.ts";

export interface BatchCounts {
  points: number;
  frames: number;
  duplicates: number;
  refused: number;
  dead: number;
  holes: number;
}

export interface BatchOptions {
  aggregator: Aggregator;
  state: ShardState;
  /** Default: live. */
  lane?: Lane;
  /** The sequence behind which it begins. Default: the shard's offset. */
  from?: number;
  /** Who is asked about new series; without it there may be any number. */
  room?: SeriesRoom | undefined;
  /** Remembers lines that were refused here. */
  samples?: RefusedLines | undefined;
  /** Where counting goes on. */
  counts?: BatchCounts;
}

/** A line whose series waits for the store's word. */
interface Waiting {
  piece: Piece;
  line: Uint8Array;
  asked: number;
}

export class Batch {
  #aggregator: Aggregator;
  readonly #room: SeriesRoom | undefined;
  readonly #samples: RefusedLines | undefined;
  readonly #lane: Lane;
  readonly #applied: Applied;
  readonly #books = new Books();
  readonly #outcasts: Outcasts;
  #ids: SeriesIds;
  #waiting: Waiting[] = [];
  #holes: Interval[] = [];
  #poison: Commit["poison"];
  readonly counts: BatchCounts;
  #committedCounts: BatchCounts;
  /** Sequence read; the offset that the next commit reaches. */
  read: number;
  #committedRead: number;
  /** Frames of which so many lines were committed before this batch was. */
  readonly #parts: ReadonlyMap<number, number>;
  /** Lines taken of the frame behind `read`, those of earlier commits included. */
  #partLines = 0;
  #committedPartLines = 0;
  frames = 0;
  bytes = 0;
  #frameTimeMs: number;
  #receivedAtMs: number;

  constructor(options: BatchOptions) {
    const { aggregator, state, lane = "live", room, samples } = options;
    this.#aggregator = aggregator;
    this.#ids = new SeriesIds(aggregator);
    this.#samples = samples;
    this.#room = room;
    if (room !== undefined) aggregator.admitBy(room.admit);
    this.#lane = lane;
    this.read = options.from ?? state.offset;
    this.#committedRead = this.read;
    this.#parts = new Map(state.parts.map(({ sequence, lines }) => [sequence, lines]));
    this.#partLines = this.partOf(this.read + 1);
    this.#committedPartLines = this.#partLines;
    this.#frameTimeMs = state.frameTimeMs;
    this.#receivedAtMs = state.receivedAtMs;
    this.#applied = new Applied(state.boots);
    this.#outcasts = new Outcasts(state);
    this.counts = options.counts ?? { points: 0, frames: 0, duplicates: 0, refused: 0, dead: 0, holes: 0 };
    this.#committedCounts = { ...this.counts };
  }

  get openRows(): number {
    return this.#aggregator.openRows;
  }

  /** The cache of series should be made anew. */
  get isCrowded(): boolean {
    return this.#aggregator.isCrowded;
  }

  get seriesCount(): number {
    return this.#aggregator.seriesCount;
  }

  /** Series whose ids the next commit will ask for: each costs the commit some hundred bytes of memory. */
  get unnamedSeries(): number {
    return this.#ids.unnamed;
  }

  /** Series whose id was dropped, and which got no other since: mostly nobody sends them any more. */
  get droppedSeries(): number {
    return this.#ids.dropped;
  }

  get receivedAtMs(): number {
    return this.#receivedAtMs;
  }

  /** Dead letters that the next commit writes. */
  get letters(): number {
    return this.#books.letters;
  }

  /** Lines of the frame behind `read` that are taken or committed. */
  get partLines(): number {
    return this.#partLines;
  }

  /** Lines of a frame to come that are committed. */
  partOf(sequence: number): number {
    return this.#parts.get(sequence) ?? 0;
  }

  /** The counts as they were at the last commit: what came since can be thrown away with the batch. */
  get committedCounts(): BatchCounts {
    return { ...this.#committedCounts };
  }

  /** Who is not to be aggregated. */
  get outcasts(): Outcasts {
    return this.#outcasts;
  }

  decode(recorded: RecordedFrame): DecodedFrame {
    return decodeFrame(recorded.data);
  }

  /** What the store must be asked before `begin`. */
  questionOf(decoded: DecodedFrame): Question | undefined {
    return decoded.kind === "frame" ? this.#applied.questionOf(decoded.frame) : undefined;
  }

  /** A frame as a whole. `stored`: the store says that it has applied it. */
  apply(recorded: RecordedFrame, decoded: DecodedFrame, stored: boolean): void {
    const open = this.begin(recorded, decoded, stored);
    if (open !== undefined) this.take(open);
  }

  /** Undefined where none of its lines counts: then it is done. */
  begin(recorded: RecordedFrame, decoded: DecodedFrame, stored: boolean): OpenFrame | undefined {
    assert(recorded.sequence > this.read, `a sequence after ${this.read}, got ${recorded.sequence}`);
    if (decoded.kind === "corrupt") {
      this.#buryFrame(recorded, "corrupt-frame", decoded.why);
      return undefined;
    }
    const { frame } = decoded;
    if (stored || !this.#applied.isNew(frame, recorded.timeMs)) {
      this.counts.duplicates++;
      if (frame.identity.kind === "keyed") this.#bookDuplicate(frame);
      this.#over(recorded);
      return undefined;
    }
    this.#bookRetried(frame);
    return this.goOn(recorded, frame);
  }

  /** A frame of which some lines are committed. */
  goOn(recorded: RecordedFrame, frame: Frame): OpenFrame {
    this.#receivedAtMs = Math.max(this.#receivedAtMs, frame.receivedAtMs);
    this.#room?.look();
    // The place that the next commit starts from: the frame need not be the first one of this batch.
    if (this.#partLines === 0) this.#partLines = this.#committedPartLines = this.partOf(recorded.sequence);
    return { recorded, frame, lines: new FrameLines(frame) };
  }

  /** Takes lines [from, to) of a frame, all of them if nothing is said. With the last ones it is done. */
  take(open: OpenFrame, from = 0, to?: number): void {
    open.frame.sections.forEach((_, section) => {
      const isWhole = from === 0 && to === undefined;
      const piece = isWhole
        ? wholePiece(open, section)
        : cutPiece(open, section, from, to ?? open.lines.total);
      if (piece !== undefined) this.#takePiece(piece);
    });
    if (to === undefined || to >= open.lines.total) this.#end(open);
    else this.#partLines = to;
  }

  /** A line that killed whoever took it. Answers whose it is. */
  buryLine(open: OpenFrame, line: number, detail: string): string {
    const piece = cutPiece(open, open.lines.sectionOf(line), line, line + 1);
    assert(piece !== undefined, "each line of a frame is in one of its sections");
    const { origin, lines, received } = piece;
    this.counts.dead++;
    this.#bookReceived(open, origin, received);
    this.#books.buryLine(
      origin,
      line,
      "poison",
      detail,
      lines.at(-1) === 0x0a ? lines.subarray(0, -1) : lines,
    );
    this.#partLines = line + 1;
    if (line + 1 >= open.lines.total) this.#end(open);
    return origin.tenant;
  }

  /** A frame that killed whoever looked into it. */
  buryWhole(recorded: RecordedFrame, detail: string): void {
    this.#buryFrame(recorded, "poison", detail);
  }

  /** Lines of the last frame wait: `decide` before the next one, or a commit. */
  get isUndecided(): boolean {
    return this.#waiting.length > 0;
  }

  /** Asks which of the new names are stored, and takes or refuses the lines that wait for it. */
  async decide(): Promise<void> {
    const room = this.#room;
    while (room !== undefined && this.#waiting.length > 0) {
      await room.decide((local) => this.#aggregator.seriesName(local));
      const waiting = this.#waiting;
      this.#waiting = [];
      let refused = 0;
      waiting.forEach(({ piece, line, asked }, i) => {
        if (room.refuses(asked)) {
          refused++;
          this.#sample(piece.origin, line);
        } else this.#ingest(piece, line);
        if (waiting[i + 1]?.piece === piece) return;
        this.#refuse(piece.origin, "series-limit", refused);
        refused = 0;
      });
      room.settled();
    }
  }

  /** Sequences that the record does not hold any more. */
  hole(from: number, to: number): void {
    this.#holes.push([from, to]);
    this.counts.holes += to - from + 1;
    this.read = to;
    this.#partLines = 0;
  }

  /** Lines that were buried so far: goes into the next commit. */
  poisoned(poison: NonNullable<Commit["poison"]>): void {
    this.#poison = poison;
  }

  /** Nothing to write and neither offset nor part would move. */
  get isEmpty(): boolean {
    return this.read === this.#committedRead && this.#partLines === this.#committedPartLines;
  }

  /** The commit of everything since the last one. Views of the aggregator: valid until the next `apply`. */
  commit(epoch: number, from: number, incarnation: string): Commit {
    assert(!this.isUndecided, "no line waits when a commit is made");
    const { gauges = [], ...deltas } = this.#aggregator.commit();
    const { newSeries, idOf } = this.#ids.forCommit();
    const series = new Uint32Array(deltas.count);
    for (let row = 0; row < deltas.count; row++) series[row] = idOf(deltas.series[row] as number);
    const changes = gauges.map((gauge) => ({ ...gauge, series: idOf(gauge.series) }));
    const quarantine = this.#outcasts.added();
    return {
      epoch,
      from,
      to: this.read,
      incarnation,
      frameTimeMs: this.#frameTimeMs,
      receivedAtMs: this.#receivedAtMs,
      newSeries,
      deltas: { ...deltas, series },
      gauges: changes,
      ...this.#applied.noted(),
      ...this.#books.rows(),
      holes: this.#holes,
      ...(this.#lane === "fill" && { lane: this.#lane }),
      ...(this.#committedPartLines > 0 && { fromLines: this.#committedPartLines }),
      ...(this.#partLines > 0 && { partLines: this.#partLines }),
      ...(this.#poison !== undefined && { poison: this.#poison }),
      ...(quarantine.length > 0 && { quarantine }),
    };
  }

  /** The commit is in the store: only now ids may be kept, and the books start afresh. */
  committed(ids: Uint32Array): void {
    this.#ids.committed(ids);
    this.#room?.committed();
    this.#applied.committed();
    this.#books.committed();
    this.#outcasts.committed();
    this.#holes = [];
    this.#poison = undefined;
    this.#committedRead = this.read;
    this.#committedPartLines = this.#partLines;
    this.#committedCounts = { ...this.counts };
    this.frames = 0;
    this.bytes = 0;
  }

  /**
   * Stored ids that are no names any more. Rows are open under local numbers: those of the series that went are named
   * anew by the next commit, with whatever comes later. Not while a commit is under way: it says the old ids.
   */
  drop(ids: Uint32Array): void {
    if (ids.length === 0) return;
    this.#room?.dropped();
    this.#ids.drop(ids);
  }

  /** Another, empty cache of series. Right after `committed`: nothing is open, and ids are asked for anew. */
  renew(aggregator: Aggregator): void {
    assert(this.frames === 0 && this.#aggregator.openRows === 0, "nothing is open when the cache is dropped");
    this.#aggregator = aggregator;
    if (this.#room !== undefined) aggregator.admitBy(this.#room.admit);
    this.#room?.renewed();
    this.#ids = new SeriesIds(aggregator);
  }

  #end(open: OpenFrame): void {
    for (const refusal of open.frame.refusals) {
      this.#books.add(refusal, "received", "", refusal.count);
      this.#books.add(refusal, "refused", refusal.reason, refusal.count);
    }
    this.#over(open.recorded);
  }

  #over({ sequence, timeMs, data }: RecordedFrame): void {
    this.read = sequence;
    this.#partLines = 0;
    this.frames++;
    this.counts.frames++;
    this.bytes += data.length;
    this.#frameTimeMs = timeMs;
  }

  #takePiece(piece: Piece): void {
    const { open, origin, lines, received } = piece;
    this.#bookReceived(open, origin, received);
    const verdict = this.#outcasts.judge(origin.tenant, lines.length);
    if (verdict.kind === "refused") this.#refuse(origin, verdict.reason, received);
    else if (verdict.kind === "buried") {
      this.counts.dead++;
      this.#books.burySection(origin, firstLine(piece), "quarantined", verdict.why, received, lines);
    } else this.#ingest(piece, lines);
  }

  /** D5: what a retried letter holds was received when it came for the first time. */
  #bookReceived({ frame }: OpenFrame, origin: Origin, count: number): void {
    if (frame.identity.kind !== "retry") this.#books.add(origin, "received", "", count);
  }

  /** D5. An edit may have made its lines more, or fewer: by so many more or fewer were received. */
  #bookRetried({ identity, sections, receivedAtMs }: Frame): void {
    const [section] = sections;
    if (identity.kind !== "retry" || section === undefined) return;
    const { letter } = identity;
    const origin = { tenant: section.tenant, door: section.door, minute: minuteOf(receivedAtMs) };
    this.#books.add(origin, "dead", letter.reason, -letter.lines);
    this.#books.add(origin, "received", "", section.lineCount - letter.lines);
  }

  /** `lines`: of the piece. */
  #ingest(piece: Piece, lines: Uint8Array): void {
    const { origin } = piece;
    const { tenant, receivedAtMs } = origin;
    const number = this.#ids.tenantNumber(tenant, () => this.#room?.number(tenant));
    let refused = 0;
    const refuse = (code: number, line: Uint8Array) => {
      const reason = reasons[code] ?? "malformed";
      if (code === reasonCode["series-limit"]) {
        const asked = this.#room?.takeAsked() ?? -1;
        if (asked >= 0) this.#waiting.push({ piece, line, asked });
        else {
          refused++;
          this.#sample(origin, line);
        }
        return;
      }
      this.counts.dead++;
      this.#books.buryLine(origin, lineNumber(piece, line), reason, "refused by the actor", line);
    };
    const aggregator = this.#aggregator;
    const stored =
      origin.kind === "statsd"
        ? aggregator.ingestStatsd(number, lines, receivedAtMs, refuse)
        : aggregator.ingest(number, lines, receivedAtMs, refuse);
    this.counts.points += stored;
    this.#books.add(origin, "stored", "", stored);
    this.#refuse(origin, "series-limit", refused);
  }

  #sample({ tenant, door }: Origin, line: Uint8Array): void {
    this.#samples?.add(tenant, door, "series-limit", "", line, 0, line.length);
  }

  #refuse(origin: Origin, reason: string, count: number): void {
    this.counts.refused += count;
    this.#books.add(origin, "refused", reason, count);
  }

  #buryFrame(recorded: RecordedFrame, reason: "corrupt-frame" | "poison", detail: string): void {
    const { sequence, timeMs, data } = recorded;
    this.counts.dead++;
    this.#books.buryFrame(sequence, timeMs, reason, detail, data);
    this.#over(recorded);
  }

  /** The sender sent it twice, so it was received twice: the second time is in the books as refused. */
  #bookDuplicate({ sections, receivedAtMs }: Frame): void {
    const minute = minuteOf(receivedAtMs);
    for (const { tenant, door, lineCount } of sections) {
      this.#books.add({ tenant, door, minute }, "received", "", lineCount);
      this.#books.add({ tenant, door, minute }, "refused", "duplicate", lineCount);
    }
  }
}
