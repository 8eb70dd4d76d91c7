// Is the record still the one that the store has read? Asked at each start, and before anything goes on without looking.
import type { Bus, StreamState } from "../bus/bus.ts";
import { holds } from "./intervals.ts";
import type { Interval, ShardState } from "./store.ts";

/** Why not; undefined: it is, as far as the record itself can tell. */
export async function isAnotherRecord(
  bus: Pick<Bus, "frameAt">,
  shard: number,
  { offset, incarnation, frameTimeMs }: Pick<ShardState, "offset" | "incarnation" | "frameTimeMs">,
  stream: StreamState,
): Promise<string | undefined> {
  if (offset === 0) return undefined;
  if (incarnation !== stream.incarnation)
    return `the stream was made anew (it was ${incarnation}, it is ${stream.incarnation})`;
  if (stream.lastSequence < offset) return `it ends at ${stream.lastSequence}, before the offset ${offset}`;
  const frame = await bus.frameAt(shard, offset);
  // 0: the record was adopted, and nothing was committed since.
  return frame === undefined || frameTimeMs === 0 || frame.timeMs === frameTimeMs
    ? undefined
    : `frame ${offset} is of another time than the one that was committed`;
}

/**
 * From which sequence on the record is whole. The trimmer cuts a stream at its beginning, and where a gap is in the way it
 * removes single frames behind it: what lies before the last of those can't be read again. `holes`: what nobody ever read.
 */
export async function wholeFrom(
  bus: Pick<Bus, "missing">,
  shard: number,
  { firstSequence, lastSequence, messages }: StreamState,
  holes: readonly Interval[],
): Promise<number> {
  if (messages === 0 || messages === lastSequence - firstSequence + 1) return firstSequence;
  const last = (await bus.missing(shard)).findLast((sequence) => !holds(holes, sequence));
  return last === undefined ? firstSequence : last + 1;
}
