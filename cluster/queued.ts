// What of a tenant is recorded and not yet committed: counted from the frames behind the offset and those in gaps, never as
// a remainder. Of a frame that is committed in part it is the rest.
import type { Clock } from "../src/base/clock.ts";
import type { Bus, RecordedFrame } from "../src/bus/bus.ts";
import { readRange } from "../src/bus/read-range.ts";
import { decodeFrame, hex, type Door } from "../src/metric/frame.ts";
import { FrameLines, receivedWithin } from "../src/metric/frame-lines.ts";
import type { QueuedRow } from "../src/store/books.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { Interval, ShardState } from "../src/store/store.ts";

/** A person waits for the answer: all ranges together. */
const bytesMost = 64 << 20;
const msMost = 2000;

/** `boots`: what was applied. A frame that is resent behind it is not queued again. */
export interface QueuedQuestion extends Pick<ShardState, "offset" | "boots" | "gaps" | "parts"> {
  bus: Bus;
  clock: Clock;
  shard: number;
  tenant: string;
  /** Minutes, both included. */
  from: number;
  until: number;
}

export async function countQueued(
  asked: QueuedQuestion,
): Promise<{ queued: QueuedRow[]; queuedMore: boolean }> {
  const { bus, clock, shard, tenant, offset, gaps, parts, from, until } = asked;
  const applied = new Map<string, Interval[]>(
    asked.boots.map((boot) => [boot.boot, boot.applied.map(([a, b]) => [a, b])]),
  );
  const rows = new Map<string, QueuedRow>();
  const add = (door: Door, minute: number, count: number) => {
    if (minute < from || minute > until || count === 0) return;
    const key = `${door} ${minute}`;
    const row = rows.get(key) ?? { door, minute, count: 0 };
    row.count += count;
    rows.set(key, row);
  };
  const { lastSequence } = await bus.streamState(shard);
  const ranges: Interval[] = [...gaps, [offset + 1, lastSequence]];
  const endMs = clock.monotonicMs() + msMost;
  let bytes = 0;
  for (const [first, last] of ranges) {
    const bounds = { bytesMax: bytesMost - bytes, msMax: Math.max(0, endMs - clock.monotonicMs()) };
    const read = await readRange(bus, clock, shard, first, last, bounds, (frame) => {
      bytes += frame.data.length;
      count(frame);
    });
    if (read < last) return { queued: [...rows.values()], queuedMore: true };
  }
  return { queued: [...rows.values()], queuedMore: false };

  function count({ sequence, data }: RecordedFrame): void {
    const decoded = decodeFrame(data);
    if (decoded.kind !== "frame") return;
    const { identity, receivedAtMs, sections, refusals } = decoded.frame;
    const done = parts.find((part) => part.sequence === sequence)?.lines ?? 0;
    // Received long ago: until its first line is applied it stands as dead.
    if (identity.kind === "retry" && done === 0) return;
    if (identity.kind === "boot") {
      const boot = hex(identity.boot);
      const numbers = applied.get(boot) ?? [];
      if (holds(numbers, identity.n)) return;
      addNumber(numbers, identity.n);
      applied.set(boot, numbers);
    }
    const minute = Math.floor(receivedAtMs / 60_000) * 60;
    const lines = new FrameLines(decoded.frame);
    for (const [number, section] of sections.entries()) {
      if (section.tenant !== tenant) continue;
      const rest = done === 0 ? section.lineCount : receivedWithin(lines, number, section, done, lines.total);
      add(section.door, minute, rest);
    }
    for (const refusal of refusals)
      if (refusal.tenant === tenant) add(refusal.door, refusal.minute, refusal.count);
  }
}
