// The trimmer: removes from a shard's stream what nobody needs any more.
//
// M1. Never a frame that is not committed, and never one at or behind the first gap. Sequences are committed ones of
//     one incarnation of the stream only.
// M2. Frames older than the replay window go; when the stream nears its cap the oldest go earlier, with a warning:
//     the window has shrunk.
// M3. How soon it must look again follows from the room that is left: a stream that fills between two looks would say
//     no to everybody although its frames may go.
import type { Clock } from "../src/base/clock.ts";
import { Outage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus } from "../src/bus/bus.ts";
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
  const first = stream.firstSequence;
  const allowed = Math.min(options.committed, ...options.keep.map(([from]) => from - 1), stream.lastSequence);
  if (stream.messages === 0 || allowed < first) return 0;

  const oldest = clock.nowMs() - options.replayWindowMs;
  let upTo = await lastBefore(bus, shard, first, allowed, oldest);
  if (stream.bytesMax > 0 && stream.bytes > stream.bytesMax * fullShare) {
    const excess = 1 - (stream.bytesMax * emptyToShare) / stream.bytes;
    const early = Math.min(allowed, first + Math.ceil((stream.lastSequence - first + 1) * excess) - 1);
    if (early > upTo) {
      upTo = early;
      log.warn(
        { shard, upTo: early, bytes: stream.bytes, bytesMax: stream.bytesMax },
        "the replay window shrinks",
      );
    }
  }
  if (upTo < first) return 0;
  await bus.trim(shard, upTo);
  return upTo - first + 1;
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
