// What of a tenant is recorded and not yet committed: counted from the frames behind the offset, never as a remainder.
import type { Clock } from "../src/base/clock.ts";
import type { Bus } from "../src/bus/bus.ts";
import { readRange } from "../src/bus/read-range.ts";
import { decodeFrame, hex, type Door } from "../src/metric/frame.ts";
import type { QueuedRow } from "../src/store/books.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { BootApplied, Interval } from "../src/store/store.ts";

/** A person waits for the answer. */
const bounds = { bytesMax: 64 << 20, msMax: 2000 };

export interface QueuedQuestion {
  bus: Bus;
  clock: Clock;
  shard: number;
  tenant: string;
  offset: number;
  /** What was applied up to the offset: a frame that is resent behind it is not queued again. */
  boots: readonly BootApplied[];
  /** Minutes, both included. */
  from: number;
  until: number;
}

export async function countQueued(
  asked: QueuedQuestion,
): Promise<{ queued: QueuedRow[]; queuedMore: boolean }> {
  const { bus, clock, shard, tenant, offset, from, until } = asked;
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
  const read = await readRange(bus, clock, shard, offset + 1, lastSequence, bounds, ({ data }) => {
    const decoded = decodeFrame(data);
    if (decoded.kind !== "frame") return;
    const { identity, receivedAtMs, sections, refusals } = decoded.frame;
    if (identity.kind === "retry") return; // received long ago: until it is applied it stands as dead
    if (identity.kind === "boot") {
      const boot = hex(identity.boot);
      const numbers = applied.get(boot) ?? [];
      if (holds(numbers, identity.n)) return;
      addNumber(numbers, identity.n);
      applied.set(boot, numbers);
    }
    const minute = Math.floor(receivedAtMs / 60_000) * 60;
    for (const section of sections)
      if (section.tenant === tenant) add(section.door, minute, section.lineCount);
    for (const refusal of refusals)
      if (refusal.tenant === tenant) add(refusal.door, refusal.minute, refusal.count);
  });
  return { queued: [...rows.values()], queuedMore: read < lastSequence };
}
