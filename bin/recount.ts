// What the record holds, counted again, to be held against the ledger.
//
// R1. Each frame counts once, as actors count it: a gateway's own resend not at all, a keyed one as received again, a
//     dead letter's retry once.
// R2. Of a frame that is committed in part its first lines count, then the next ones; its refusals with the last.
// R3. Memory is bounded: more counts than `cellsMax` end the count with a refusal.
import { decodeFrame, hex, type Door, type FrameIdentity, type Section } from "../src/metric/frame.ts";
import { FrameLines, receivedWithin } from "../src/metric/frame-lines.ts";
import type { RecordedFrame } from "../src/bus/bus.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { Interval, LedgerRow } from "../src/store/store.ts";

const cellsMax = 5_000_000;

const wholeFrame = Number.POSITIVE_INFINITY;

/** What the actor decides is not in the record: whose lines it refuses, and which keyed frame came before. */
const actorsOwn = new Set(["duplicate", "series-limit", "quarantined", "tenant-deleted"]);

export interface Difference {
  tenant: string;
  door: string;
  minute: number;
  /** "received", or the reason of a refusal. */
  what: string;
  record: number;
  ledger: number;
}

export class Recount {
  /** tenant -> `door minute what` -> count */
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #boots = new Map<string, Interval[]>();
  readonly #retried = new Set<string>();
  #cells = 0;
  frames = 0;
  corrupt = 0;
  lines = 0;

  get tenants(): string[] {
    return [...this.#counts.keys()];
  }

  /** More than can be counted in memory. */
  get isFull(): boolean {
    return this.#cells >= cellsMax;
  }

  /** `only`: counts these tenants alone. `from`, `to`: of the frame's lines; those before `from` were added earlier. */
  add({ data }: RecordedFrame, only?: ReadonlySet<string>, from = 0, to = wholeFrame): void {
    if (from === 0) this.frames++;
    const decoded = decodeFrame(data);
    if (decoded.kind !== "frame") {
      this.corrupt++;
      return;
    }
    const { identity, receivedAtMs, sections, refusals } = decoded.frame;
    if (identity.kind === "boot" && from === 0) {
      const boot = hex(identity.boot);
      const numbers = this.#boots.get(boot) ?? [];
      if (holds(numbers, identity.n)) return;
      addNumber(numbers, identity.n);
      this.#boots.set(boot, numbers);
    }
    if (identity.kind === "retry" && from === 0) {
      const place = `${identity.letter.sequence}.${identity.letter.part}`;
      if (this.#retried.has(place)) return;
      this.#retried.add(place);
    }
    const minute = Math.floor(receivedAtMs / 60_000) * 60;
    const lines = new FrameLines(decoded.frame);
    for (const [number, section] of sections.entries()) {
      const { tenant, door } = section;
      if (only !== undefined && !only.has(tenant)) continue;
      const count = receivedOf(identity, lines, number, section, from, to);
      this.lines += count;
      this.#count(tenant, door, minute, "received", count);
    }
    if (to !== wholeFrame && to < lines.total) return;
    for (const refusal of refusals) {
      const { tenant, door, reason, count } = refusal;
      if (only !== undefined && !only.has(tenant)) continue;
      this.lines += count;
      this.#count(tenant, door, refusal.minute, "received", count);
      if (!actorsOwn.has(reason)) this.#count(tenant, door, refusal.minute, reason, count);
    }
  }

  #count(tenant: string, door: Door, minute: number, what: string, count: number): void {
    if (count === 0) return;
    const counts = this.#counts.get(tenant) ?? new Map<string, number>();
    this.#counts.set(tenant, counts);
    const key = `${door} ${minute} ${what}`;
    const before = counts.get(key);
    if (before === undefined && this.isFull) return; // R3
    if (before === undefined) this.#cells++;
    counts.set(key, (before ?? 0) + count);
  }

  /** Where the ledger's rows of these minutes say something else. */
  differences(
    tenant: string,
    rows: readonly LedgerRow[],
    range: { from: number; until: number },
  ): Difference[] {
    const booked = new Map<string, number>();
    for (const { door, minute, fate, reason, count } of rows) {
      if (fate !== "received" && (fate !== "refused" || actorsOwn.has(reason))) continue;
      const key = `${door} ${minute} ${fate === "received" ? fate : reason}`;
      booked.set(key, (booked.get(key) ?? 0) + count);
    }
    const counted = this.#counts.get(tenant) ?? new Map<string, number>();
    const out: Difference[] = [];
    for (const key of new Set([...booked.keys(), ...counted.keys()])) {
      const [door = "", minuteText = "", what = ""] = key.split(" ");
      const minute = Number(minuteText);
      const record = counted.get(key) ?? 0;
      const ledger = booked.get(key) ?? 0;
      if (record === ledger || minute < range.from || minute > range.until) continue;
      out.push({ tenant, door, minute, what, record, ledger });
    }
    return out.sort((a, b) => a.minute - b.minute || (a.door < b.door ? -1 : 1));
  }
}

/** Of lines [from, to) of the frame, what this section's were booked as received. */
function receivedOf(
  identity: FrameIdentity,
  lines: FrameLines,
  number: number,
  section: Section,
  from: number,
  to: number,
): number {
  // Received before, and booked at once; an edit may have made its lines more, or fewer.
  if (identity.kind === "retry") return from === 0 ? section.lineCount - identity.letter.lines : 0;
  if (from === 0 && to === wholeFrame) return section.lineCount;
  return receivedWithin(lines, number, section, from, Math.min(to, lines.total));
}
