// What the record holds, counted again, to be held against the ledger.
//
// R1. Each frame counts once, as actors count it: a gateway's own resend not at all, a keyed one as received again.
// R2. Memory is bounded: more counts than `cellsMax` end the count with a refusal.
import { decodeFrame, hex, type Door } from "../src/metric/frame.ts";
import type { RecordedFrame } from "../src/bus/bus.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { Interval, LedgerRow } from "../src/store/store.ts";

const cellsMax = 5_000_000;

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

  /** `only`: counts these tenants alone. */
  add({ data }: RecordedFrame, only?: ReadonlySet<string>): void {
    this.frames++;
    const decoded = decodeFrame(data);
    if (decoded.kind !== "frame") {
      this.corrupt++;
      return;
    }
    const { identity, receivedAtMs, sections, refusals } = decoded.frame;
    if (identity.kind === "boot") {
      const boot = hex(identity.boot);
      const numbers = this.#boots.get(boot) ?? [];
      if (holds(numbers, identity.n)) return;
      addNumber(numbers, identity.n);
      this.#boots.set(boot, numbers);
    }
    const minute = Math.floor(receivedAtMs / 60_000) * 60;
    // Its lines were received before; an edit may have made them more, or fewer.
    const before = identity.kind === "retry" ? identity.letter.lines : 0;
    for (const { tenant, door, lineCount } of sections) {
      if (only !== undefined && !only.has(tenant)) continue;
      this.lines += lineCount - before;
      this.#count(tenant, door, minute, "received", lineCount - before);
    }
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
    if (before === undefined && this.isFull) return; // R2
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
