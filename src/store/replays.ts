// A replay: a tenant's rows of [from, until) are rebuilt from the record and take the place of those that were there.
// What it rests on, for every engine and every file that cites it:
//
// Y1. Two generations, told apart by when they came, never by what they hold. Old: rows of commits up to the barrier,
//     which is the last blob when the replay began. Rebuilt: staged rows. Rows of later commits, of either lane, are of
//     neither and always count.
// Y2. Blobs up to the barrier become pieces at once, in rounds that hold nothing else. When none is left, every piece
//     there is but those of staged rows is old, and no other ever will be: `bound`, the next piece's number, says so.
//     Until the replay is over no merge joins pieces of two generations.
// Y3. Staged rows become pieces, too, in rounds of their own whose numbers are noted. Nobody reads these before the swap.
// Y4. A swap changes one word of the head, and only when all old and all staged rows are in pieces. A reader takes head
//     and upkeep's row from one state: before it reads no staged piece, after it no old row that is replaced.
// Y5. Replaced under a ladder are whole buckets of its coarsest rung: so no bucket of any rung is cut, whatever ladders
//     the tenant's series have. The same rule picks which staged rows count and which old ones don't.
// Y6. Series that were StatsD gauges at the barrier are left alone: their old rows stay, staged ones are left out. When a
//     series became one is noted with its value, so the answer is the same at any time.
// Y7. Removing what nobody reads any more is upkeep's: by slices, each of which may be the last one for a while. When it is
//     done, its row forgets the replay, and then so does the head.
import type { Ladder } from "../metric/bucket.ts";
import type { View } from "./environment.ts";
import type { ShardHead } from "./head.ts";
import { blockKey, gaugeKey, seriesPerBlock, spanPlace, u32OfKey, type SpanPlace } from "./keys.ts";
import { gaugeSince } from "./gauge-rows.ts";
import type { Replay } from "./state.ts";
import { spanSecondsOf, type ReplayWork, type ShardWork } from "./work.ts";

export interface TimeRange {
  from: number;
  until: number;
}

/** Y5 */
export function replacedUnder({ from, until }: TimeRange, { rungs }: Ladder): TimeRange {
  const step = rungs.at(-1)?.stepSeconds ?? 1;
  const first = Math.ceil(from / step) * step;
  return { from: first, until: Math.max(first, Math.floor(until / step) * step) };
}

export function isWithin(seconds: number, { from, until }: TimeRange): boolean {
  return seconds >= from && seconds < until;
}

/** Why such a range can't be replayed at all. */
export function rangeProblem({ from, until }: TimeRange): string | undefined {
  const whole = Number.isSafeInteger(from) && Number.isSafeInteger(until) && from >= 0;
  return whole && from < until && until <= 0xffff_ffff ? undefined : `no time from ${from} to ${until}`;
}

/** Why a replay can't begin in a shard like this, whatever its range is. */
export function beginProblem(
  { replays, parts, offset }: Pick<ShardHead, "replays" | "parts" | "offset">,
  first: number,
  isBuried: boolean,
): string | undefined {
  const [other] = replays;
  if (other !== undefined)
    return other.state === "swapped"
      ? `what replay ${other.id} of ${other.tenant} replaced is still being removed`
      : `replay ${other.id} of ${other.tenant} is not over`;
  if (isBuried) return "the tenant is deleted, and its series are being purged";
  // Some of its lines are old rows, but it is no frame up to the barrier.
  const [part] = parts;
  if (part !== undefined)
    return `frame ${part.sequence} is being applied line by line: wait until it is through`;
  if (first > offset) return `the record begins with frame ${first}, behind all that was stored`;
  return undefined;
}

/** Why this range would not be replaced whole under these ladders (Y5), with the nearest that would. */
export function cutProblem(range: TimeRange, ladders: readonly Ladder[]): string | undefined {
  const cut = ladders.filter((ladder) => {
    const { from, until } = replacedUnder(range, ladder);
    return from !== range.from || until !== range.until;
  });
  if (cut.length === 0) return undefined;
  const steps = [...new Set(cut.map(({ rungs }) => rungs.at(-1)?.stepSeconds ?? 1))].sort((a, b) => a - b);
  const { from, until } = widened(range, ladders);
  return `the coarsest values are of ${steps.join(" and ")} seconds: the nearest whole spans are from ${from} to ${until}`;
}

/** The least range around this one that cuts no bucket of any of the ladders. */
export function widened(range: TimeRange, ladders: readonly Ladder[]): TimeRange {
  const steps = ladders.map(({ rungs }) => rungs.at(-1)?.stepSeconds ?? 1);
  const settle = (seconds: number, round: (seconds: number, step: number) => number): number => {
    const next = steps.reduce(round, seconds);
    return next === seconds ? seconds : settle(next, round);
  };
  return {
    from: settle(range.from, (seconds, step) => Math.floor(seconds / step) * step),
    until: settle(range.until, (seconds, step) => Math.ceil(seconds / step) * step),
  };
}

/** The replay that the head knows; there is one at most. */
export function replayOf({ replays }: Pick<ShardHead, "replays">): Replay | undefined {
  return replays[0];
}

/** Blobs up to this number are of before a replay's barrier (Y1); 0 where there is none. */
export function barrierOf(head: Pick<ShardHead, "replays" | "barrier">): number {
  return replayOf(head) === undefined ? 0 : head.barrier;
}

/** Of a block's piece: times of the series whose bits are set. */
export interface PiecePart extends TimeRange {
  slots: number;
}

export const allSlots = 0xffff;

/** What readers and upkeep must know of the pieces in one state of a shard (Y4). */
export class Generations {
  readonly swapped: boolean;
  readonly #view: Pick<View, "get" | "range">;
  readonly #work: ShardWork;
  readonly #replay: ReplayWork;
  readonly #staged: ReadonlySet<number>;
  /** By block: bits of its series whose old rows are replaced. */
  readonly #replaced = new Map<number, number>();

  private constructor(view: Pick<View, "get" | "range" | "head">, work: ShardWork, replay: ReplayWork) {
    this.#view = view;
    this.#work = work;
    this.#replay = replay;
    this.#staged = new Set(replay.pieces);
    this.swapped = view.head.replays.some(({ id, state }) => id === replay.id && state === "swapped");
  }

  /** undefined: there is one generation only. */
  static of(view: Pick<View, "get" | "range" | "head">, work: ShardWork): Generations | undefined {
    return work.replay === undefined ? undefined : new Generations(view, work, work.replay);
  }

  isStaged(piece: number): boolean {
    return this.#staged.has(piece);
  }

  isOld(piece: number): boolean {
    return piece < (this.#replay.bound ?? 0);
  }

  /** Y4: what of a block's piece is read: times of series, in order for each of them. */
  partsOf(place: SpanPlace, block: number, piece: number, { from, until }: TimeRange): PiecePart[] {
    if (!this.swapped && this.#staged.has(piece)) return [];
    const whole = { slots: allSlots, from, until };
    const gone = this.isOld(piece) ? this.replacedIn(place) : undefined;
    const slots = gone === undefined ? 0 : this.seriesOf(block);
    if (gone === undefined || slots === 0) return [whole];
    return [
      { slots: ~slots & allSlots, from, until },
      { slots, from, until: Math.min(until, gone.from) },
      { slots, from: Math.max(from, gone.until), until },
    ].filter((part) => part.slots !== 0 && part.from < part.until);
  }

  /** Which times of old rows are replaced in the pieces of a span; undefined: none. */
  replacedIn(place: SpanPlace): TimeRange | undefined {
    const ladder = this.#work.ladders[place.ladder]?.ladder;
    if (!this.swapped || ladder === undefined) return undefined;
    const { from, until } = replacedUnder(this.#replay, ladder);
    const end = place.span + spanSecondsOf(ladder, place.rung);
    return from < until && from < end && until > place.span ? { from, until } : undefined;
  }

  /** Bits of the block's series whose old rows are replaced. */
  seriesOf(block: number): number {
    let bits = this.#replaced.get(block);
    if (bits === undefined) {
      const mine = this.#view.get(blockKey(block))?.toString() === this.#replay.tenant;
      bits = mine ? ~gaugesIn(this.#view, block, this.#replay.barrier) & allSlots : 0;
      this.#replaced.set(block, bits);
    }
    return bits;
  }
}

/** Y6: bits of the block's series that were gauges at the barrier. */
export function gaugesIn(view: Pick<View, "range">, block: number, barrier: number): number {
  const first = block * seriesPerBlock;
  let bits = 0;
  for (const { key, value } of view.range(gaugeKey(first), gaugeKey(first + seriesPerBlock), seriesPerBlock))
    if (gaugeSince(value) <= barrier) bits |= 1 << (u32OfKey(key) - first);
  return bits;
}

/**
 * Whether pieces of this span may become one: all, or those of no generation only while a replay needs them apart (Y2).
 * `pieces` in, those that may out.
 */
export function mergeable<P extends { number: number }>(
  key: Buffer,
  pieces: readonly P[],
  { ladders, replay }: ShardWork,
): readonly P[] {
  if (replay === undefined) return pieces;
  const place = spanPlace(key);
  const ladder = ladders[place.ladder]?.ladder;
  if (ladder === undefined) return [];
  const { from, until } = replay;
  if (place.span >= until || place.span + spanSecondsOf(ladder, place.rung) <= from) return pieces;
  const least = replay.bound ?? 0;
  return pieces.filter(({ number }) => number >= least && !replay.pieces.includes(number));
}
