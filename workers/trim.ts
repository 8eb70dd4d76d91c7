// The trimmer: removes from a shard's stream what nobody needs any more.
//
// M1. Never a frame that is not committed, lies in a gap, or is kept for a replay. Sequences are committed ones of one
//     incarnation of the stream only.
// M2. Frames older than the replay window go; when the stream nears its cap the oldest go earlier, with a warning:
//     the window has shrunk.
// M3. How soon it must look again follows from the room that is left: a stream that fills between two looks would say
//     no to everybody although its frames may go.
// M4. A stream is cut at its beginning only. Where that is not enough near the cap, because a gap is in the way, single
//     frames go behind it, the oldest first, a bounded number at a time; from the last one on the record is whole.
import type { Clock } from "../src/base/clock.ts";
import { Outage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus, StreamState } from "../src/bus/bus.ts";
import { mergeIntervals, withoutIntervals } from "../src/store/intervals.ts";
import type { Interval } from "../src/store/store.ts";

export interface TrimOptions {
  shard: number;
  /** Of the stream that `committed` counts. */
  incarnation: string;
  /** The store's offset. */
  committed: number;
  /** Ranges that must stay. */
  keep: readonly Interval[];
  replayWindowMs: number;
}

const fullShare = 0.9;
/** How far a stream near its cap is emptied. */
const emptyToShare = 0.8;
/** Of one round: each is a question to the server. */
const singlesMost = 1000;

export interface Trimmed {
  /** Frames that went. */
  frames: number;
  /** M3: after so many committed bytes it is time to look again. */
  lookAfterBytes: number;
}

/** Of the room left: what is on its way but not yet committed needs the rest. */
const lookAfterShare = 0.25;

/** Throws bus-unavailable when the stream is another one by now. */
export async function trimRecord(bus: Bus, clock: Clock, log: Log, options: TrimOptions): Promise<Trimmed> {
  const frames = await trim(bus, clock, log, options);
  const { bytes, bytesMax } = await bus.streamState(options.shard);
  const room = bytesMax > 0 ? Math.max(0, bytesMax - bytes) : Number.POSITIVE_INFINITY;
  return { frames, lookAfterBytes: room * lookAfterShare };
}

async function trim(bus: Bus, clock: Clock, log: Log, options: TrimOptions): Promise<number> {
  const { shard } = options;
  const stream = await bus.streamState(shard);
  if (stream.incarnation !== options.incarnation)
    throw new Outage("bus-unavailable", `the stream of shard ${shard} was made anew: looking at it again`);
  if (stream.messages === 0) return 0;
  const first = stream.firstSequence;
  const allowed = Math.min(options.committed, ...options.keep.map(([from]) => from - 1), stream.lastSequence);
  const oldest = clock.nowMs() - options.replayWindowMs;
  const byAge = allowed < first ? first - 1 : await lastBefore(bus, shard, first, allowed, oldest);
  const excess = excessOf(stream);
  const upTo = Math.max(byAge, Math.min(allowed, first + excess - 1));
  if (upTo >= first) await bus.trim(shard, upTo);
  if (upTo > byAge) shrinks(log, options, stream, { upTo });
  const cut = upTo - first + 1;
  const singles = await singlesOf(bus, options, [upTo + 1, stream.lastSequence], excess - cut);
  if (singles.length === 0) return cut;
  await bus.removeFrames(shard, singles);
  shrinks(log, options, stream, { singles: singles.length });
  return cut + singles.length;
}

/** So many frames are too many for the cap. */
function excessOf({ bytes, bytesMax, messages }: StreamState): number {
  if (bytesMax <= 0 || bytes <= bytesMax * fullShare) return 0;
  return Math.ceil(messages * (1 - (bytesMax * emptyToShare) / bytes));
}

function shrinks(log: Log, { shard }: TrimOptions, { bytes, bytesMax }: StreamState, went: object): void {
  log.warn({ shard, ...went, bytes, bytesMax }, "the replay window shrinks");
}

/** M4. The oldest frames of a range that may go and are there, at most so many. */
async function singlesOf(
  bus: Bus,
  { shard, committed, keep }: TrimOptions,
  [first, last]: Interval,
  most: number,
): Promise<number[]> {
  const end = Math.min(committed, last);
  if (most <= 0 || end < first) return [];
  const gone = new Set(await bus.missing(shard));
  const singles: number[] = [];
  for (const [from, to] of withoutIntervals([[first, end]], mergeIntervals(keep, [])))
    for (let sequence = from; sequence <= to && singles.length < Math.min(most, singlesMost); sequence++)
      if (!gone.has(sequence)) singles.push(sequence);
  return singles;
}

/**
 * The last sequence in [first, last] recorded before `timeMs`, by bisection; first - 1 when there is none. A frame that
 * the record lost says nothing of those before it: it counts as young, and what that leaves goes in a later round.
 */
async function lastBefore(
  bus: Bus,
  shard: number,
  first: number,
  last: number,
  timeMs: number,
): Promise<number> {
  let low = first - 1;
  let high = last;
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    const frame = await bus.frameAt(shard, middle);
    if (frame !== undefined && frame.timeMs < timeMs) low = middle;
    else high = middle - 1;
  }
  return low;
}
