// A stretch of a shard's record, read to its end once: for whoever counts, not for actors.
//
// R1. Frames come in order, each once. What the record no longer holds is left out.
// R2. It ends: at the last sequence asked for, at a bound, or with the outage that ended it.
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import type { Bus, RecordedFrame } from "./bus.ts";

export interface RangeBounds {
  bytesMax: number;
  msMax: number;
}

/** Answers the last sequence that was read: `to`, unless a bound came first. Rejects with an Outage. */
export async function readRange(
  bus: Bus,
  clock: Clock,
  shard: number,
  from: number,
  to: number,
  bounds: RangeBounds,
  onFrame: (frame: RecordedFrame) => void,
): Promise<number> {
  const { firstSequence, lastSequence } = await bus.streamState(shard);
  const begin = Math.max(1, from, firstSequence);
  let end = Math.min(to, lastSequence);
  // A frame that is gone never comes: the last one that is there is the end.
  while (end >= begin && (await bus.frameAt(shard, end)) === undefined) end--;
  if (begin > end) return to;
  let bytes = 0;
  let at = begin - 1;
  let settle: { resolve(): void; reject(error: Error): void } | undefined;
  const over = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Heard before anybody waits for it, when opening fails.
  over.catch(() => {});
  const cancel = clock.after(bounds.msMax, () => settle?.resolve());
  let open = true;
  const reader = await bus.read(shard, begin, {
    onFrame(frame) {
      if (!open || frame.sequence > end) return settle?.resolve();
      at = frame.sequence;
      bytes += frame.data.length;
      onFrame(frame);
      if (at >= end || bytes >= bounds.bytesMax) {
        open = false;
        settle?.resolve();
      }
    },
    onEnd: (error) =>
      settle?.reject(error instanceof Outage ? error : new Outage("bus-unavailable", error.message)),
  });
  try {
    await over;
  } finally {
    open = false;
    cancel();
    await reader.close();
  }
  return at >= end ? to : at;
}
