// The row of a shard's upkeep: which ladders there are, how far each rung reaches back, what is under way. Every slice
// of upkeep rewrites it, on condition that its version is still the one the slice was made from, so of two upkeeps of
// the same shard (a zombie's and the present owner's) each slice is done by one of them.
//
// W1. While a round is under way, rows of blobs up to `round.until` whose series is below `round.nextSeries` lie in
//     fragments, all others in the blobs. Readers take each row from where it lies.
// W2. `kept` only grows. A rung holds exactly the rows from its `kept` on: reads look for older ones in coarser rungs.
// W3. A ladder keeps its number while there are pieces under it; when all numbers are given, a new ladder gets one that
//     nothing lies under any more.
import { parseLadder, type Ladder } from "../metric/bucket.ts";
import { Outage } from "../base/errors.ts";
import { count, pack, text, unpack } from "./rows.ts";
import type { SizeRow } from "./size.ts";

export interface LadderWork {
  /** ladderText of src/metric/ladder-rules.ts. */
  text: string;
  ladder: Ladder;
  /** Per rung: epoch seconds, the start of a span. */
  kept: number[];
}

export interface Round {
  /** The replay whose staged blobs it is about; undefined: ordinary ones. */
  replay: number | undefined;
  /** Blobs with this number (of staged ones: sequence) or a lower one are being turned into fragments. */
  until: number;
  /** First series that is not done; a block's first. */
  nextSeries: number;
  /** Number that its pieces have. */
  piece: number;
}

export interface Merge {
  ladder: number;
  rung: number;
  span: number;
  /** Pieces to become one, and the number of that one. */
  pieces: number[];
  into: number;
  /** Of the one they become (spans.ts). */
  level: number;
  /** First block that is not done. */
  nextBlock: number;
}

/** What upkeep knows of a replay (replays.ts). */
export interface ReplayWork {
  id: number;
  tenant: string;
  from: number;
  until: number;
  /** The last blob when it began. */
  barrier: number;
  /** Pieces with a lower number are old, but `pieces`; undefined: not everything up to the barrier is in pieces yet. */
  bound: number | undefined;
  /** Numbers of the rounds of staged rows. */
  pieces: number[];
  /** What their pieces hold: not in the tenant's row before the replay is over. */
  size: SizeRow;
}

export interface ShardWork {
  /** By number. */
  ladders: LadderWork[];
  round: Round | undefined;
  merge: Merge | undefined;
  nextPiece: number;
  /** From when upkeep first sees a replay until nothing is left of what nobody may read. */
  replay: ReplayWork | undefined;
  /** Every blob up to this number is in pieces. */
  compacted: number;
}

/** Their numbers are a byte of the keys. */
export const laddersMax = 255;
/** Cells of a rung's span, at least. */
const cellsPerSpan = 360;

/**
 * Seconds of a rung's spans: a whole number of the next rung's buckets, so that where a rung ends back in time no
 * bucket of the coarser one is cut.
 */
export function spanSecondsOf(ladder: Ladder, rung: number): number {
  const step = ladder.rungs[rung]?.stepSeconds ?? 1;
  const unit = ladder.rungs[rung + 1]?.stepSeconds ?? step;
  return Math.ceil((cellsPerSpan * step) / unit) * unit;
}

export function spanOf(ladder: Ladder, rung: number, seconds: number): number {
  return seconds - (seconds % spanSecondsOf(ladder, rung));
}

export function freshWork(): ShardWork {
  return { ladders: [], round: undefined, merge: undefined, nextPiece: 1, compacted: 0, replay: undefined };
}

export function encodeWork(work: ShardWork): Buffer {
  const { ladders, round, merge, nextPiece, compacted, replay } = work;
  return pack([
    ladders.map((each) => [each.text, each.kept]),
    round === undefined ? null : [round.until, round.nextSeries, round.piece, round.replay ?? null],
    merge === undefined
      ? null
      : [merge.ladder, merge.rung, merge.span, merge.pieces, merge.into, merge.level, merge.nextBlock],
    nextPiece,
    compacted,
    replay === undefined ? null : encodeReplay(replay),
  ]);
}

const what = "the row of the shard's upkeep";

export function decodeWork(bytes: Uint8Array): ShardWork {
  // The version before had no replays.
  const [ladders, round, merge, nextPiece, compacted, replay = null] = unpack(bytes, 5, what);
  return {
    ladders: list(ladders).map(ladderFrom),
    round: round === null ? undefined : roundFrom(list(round)),
    merge: merge === null ? undefined : mergeFrom(list(merge)),
    nextPiece: count(nextPiece, what),
    compacted: count(compacted, what),
    replay: replay === null ? undefined : replayFrom(list(replay)),
  };
}

function ladderFrom(value: unknown): LadderWork {
  const [written, kept] = list(value);
  const parsed = parseLadder(text(written, what));
  if (parsed.kind === "invalid") throw new Outage("store-corrupt", `${what} holds no ladder: ${parsed.why}`);
  return { text: text(written, what), ladder: parsed.ladder, kept: numbers(kept) };
}

function roundFrom(row: unknown[]): Round {
  const [until, nextSeries, piece, replay = null] = row;
  return {
    until: count(until, what),
    nextSeries: count(nextSeries, what),
    piece: count(piece, what),
    replay: replay === null ? undefined : count(replay, what),
  };
}

function mergeFrom([ladder, rung, span, pieces, into, level, nextBlock]: unknown[]): Merge {
  return {
    ladder: count(ladder, what),
    rung: count(rung, what),
    span: count(span, what),
    pieces: numbers(pieces),
    into: count(into, what),
    level: count(level, what),
    nextBlock: count(nextBlock, what),
  };
}

function encodeReplay({ id, tenant, from, until, barrier, bound, pieces, size }: ReplayWork): unknown[] {
  const { bytes, points, oldest, newest } = size;
  return [id, tenant, from, until, barrier, bound ?? null, pieces, [bytes, points, oldest, newest]];
}

function replayFrom([id, tenant, from, until, barrier, bound, pieces, size]: unknown[]): ReplayWork {
  const [bytes = 0, points = 0, oldest = 0, newest = 0] = numbers(size);
  return {
    id: count(id, what),
    tenant: text(tenant, what),
    from: count(from, what),
    until: count(until, what),
    barrier: count(barrier, what),
    bound: bound === null ? undefined : count(bound, what),
    pieces: numbers(pieces),
    size: { bytes, points, oldest, newest },
  };
}

/** Of the ordinary blob with this number: rows of lower series lie in pieces already (W1). */
export function passedSeries({ round }: ShardWork, blob: number): number {
  return round !== undefined && round.replay === undefined && blob <= round.until ? round.nextSeries : 0;
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Outage("store-corrupt", `${what} is not what was written`);
  return value;
}

function numbers(value: unknown): number[] {
  return list(value).map((each) => count(each, what));
}
