// The books of a tenant as people read them: what came, and what became of it, by door and time.
//
// B1. `received` is what doors counted; stored, refused and dead are what actors and doors did with it. They are counted
//     apart, so that a difference shows a mistake of ours.
import type { Door } from "../metric/frame.ts";
import type { LedgerRow } from "./store.ts";

/** Of frames that are recorded and not yet committed. */
export interface QueuedRow {
  door: Door;
  minute: number;
  count: number;
}

export const groupings = ["minute", "hour", "total"] as const;
export type Grouping = (typeof groupings)[number];

export interface BookLine {
  /** Start of the minute or hour, epoch seconds; of a total, the first minute there is. */
  from: number;
  door: string;
  /** Everything that was recorded, what is still queued included. */
  received: number;
  stored: number;
  /** By reason, as `dead`. */
  refused: Record<string, number>;
  dead: Record<string, number>;
  queued: number;
  /** received - stored - refused - dead - queued: 0, or the books don't balance. */
  missing: number;
}

/** Sorted by time, then by door. */
export function booksOf(
  rows: readonly LedgerRow[],
  queued: readonly QueuedRow[],
  grouping: Grouping,
): BookLine[] {
  const lines = new Map<string, BookLine>();
  const lineOf = (door: string, minute: number): BookLine => {
    const from = grouping === "hour" ? minute - (minute % 3600) : minute;
    const key = grouping === "total" ? door : `${door} ${from}`;
    let line = lines.get(key);
    if (line === undefined) {
      line = { from, door, received: 0, stored: 0, refused: {}, dead: {}, queued: 0, missing: 0 };
      lines.set(key, line);
    }
    line.from = Math.min(line.from, from);
    return line;
  };
  for (const { door, minute, fate, reason, count } of rows) {
    const line = lineOf(door, minute);
    line.missing += fate === "received" ? count : -count;
    if (fate === "received") line.received += count;
    else if (fate === "stored") line.stored += count;
    else line[fate][reason] = (line[fate][reason] ?? 0) + count;
  }
  for (const { door, minute, count } of queued) {
    const line = lineOf(door, minute);
    line.received += count;
    line.queued += count;
  }
  return [...lines.values()].sort((a, b) => a.from - b.from || (a.door < b.door ? -1 : 1));
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
