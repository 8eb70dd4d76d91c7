// First deeds: what an operator asks of a shard whose actor hangs or can't begin. The actor that hung was ended; the next
// one does this between its claim, which fences whoever still lives, and its first read.
//
// F1. Each is one change of the store: whoever dies before it has done nothing, who dies after it has only not said so.
//     Done again it finds nothing more to do.
// F2. A skip never jumps over a record that is not the one that was read: that is for `adopt`, which a person decides.
import { Outage } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Bus, RecordedFrame, StreamState } from "../src/bus/bus.ts";
import { decodeFrame } from "../src/metric/frame.ts";
import { isAnotherRecord } from "../src/store/record.ts";
import type { ShardState, ShardStore } from "../src/store/store.ts";
import type { FirstDeed, FromShard } from "./messages.ts";

export type FirstDone = Extract<FromShard, { kind: "skipped" | "adopted" }>;

export interface FirstParts {
  bus: Pick<Bus, "streamState" | "frameAt">;
  store: Pick<ShardStore, "skip" | "adopt">;
  state: ShardState;
  shard: number;
  log: Log;
}

/**
 * How far before the time of the last committed frame an adopted record is read again: frames that are known by their
 * numbers or keyed ids (kept for 24 h) count once all the same, and clocks of brokers may differ.
 */
const readAgainMs = 12 * 3_600_000;

export function doFirst(deed: FirstDeed, parts: FirstParts): Promise<FirstDone | "fenced"> {
  return deed.kind === "skip" ? skip(parts) : adopt(parts);
}

async function skip(parts: FirstParts): Promise<FirstDone | "fenced"> {
  const { bus, log, shard, state, store } = parts;
  const stream = await bus.streamState(shard);
  const wrong = await isAnotherRecord(bus, shard, state, stream);
  if (wrong !== undefined)
    throw new Outage("record-rewound", `shard ${shard} can't skip, its record is another one: ${wrong}`);
  const to = stream.lastSequence;
  if (to <= state.offset) return { kind: "skipped", gap: undefined };
  const frame = await bus.frameAt(shard, to);
  const at = {
    incarnation: stream.incarnation,
    frameTimeMs: frame?.timeMs ?? state.frameTimeMs,
    receivedAtMs: receivedAt(frame, state),
  };
  if ((await store.skip(state.epoch, to, at)) === "fenced") return "fenced";
  const gap: [number, number] = [state.offset + 1, to];
  log.warn(
    { shard, from: gap[0], to },
    "shard skipped to the newest frame: the rest is set aside for backfill",
  );
  return { kind: "skipped", gap };
}

async function adopt(parts: FirstParts): Promise<FirstDone | "fenced"> {
  const { bus, log, shard, state, store } = parts;
  const stream = await bus.streamState(shard);
  // F1.
  if ((await isAnotherRecord(bus, shard, state, stream)) === undefined)
    return { kind: "adopted", offset: state.offset, hole: undefined };
  const offset = (await firstAfter(bus, shard, stream, state.frameTimeMs - readAgainMs)) - 1;
  // Of a record that is gone nobody knows how far it went: one sequence stands for all that was not committed.
  const isGone = stream.incarnation !== state.incarnation;
  const hole: [number, number] | undefined = isGone ? [state.offset + 1, state.offset + 1] : undefined;
  const { incarnation } = stream;
  const frameTimeMs = offset === 0 ? 0 : ((await bus.frameAt(shard, offset))?.timeMs ?? 0);
  if ((await store.adopt(state.epoch, { incarnation, offset, frameTimeMs, hole })) === "fenced")
    return "fenced";
  log.error({ shard, was: state.offset, offset, hole, page: true }, "the record was adopted as it is now");
  return { kind: "adopted", offset, hole };
}

/** The first sequence whose frame was recorded after `timeMs`. A frame that is missing counts as later: none is passed. */
async function firstAfter(
  bus: Pick<Bus, "frameAt">,
  shard: number,
  { firstSequence, lastSequence }: StreamState,
  timeMs: number,
): Promise<number> {
  // A stream that never held anything begins at 0.
  let low = Math.max(1, firstSequence);
  let high = lastSequence + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const frame = await bus.frameAt(shard, middle);
    if (frame !== undefined && frame.timeMs <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function receivedAt(frame: RecordedFrame | undefined, state: ShardState): number {
  const decoded = frame && decodeFrame(frame.data);
  return decoded?.kind === "frame"
    ? Math.max(decoded.frame.receivedAtMs, state.receivedAtMs)
    : state.receivedAtMs;
}
