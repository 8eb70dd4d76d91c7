// What a batch writes beside the points: rows of the ledger, and dead letters.
//
// K1. What a door says that it received is booked beside what became of it, counted apart: so the books can be checked.
// K2. Letters of single lines are bounded in each commit; what is over the bound is in the ledger all the same.
import type { Door, Kind } from "../src/metric/frame.ts";
import type { Reason } from "../src/metric/reason.ts";
import type { DeadLetter, LedgerRow } from "../src/store/store.ts";

/** K2. The last letter says that there were more. */
const lineLettersMax = 10_000;

/** Where lines come from. */
export interface Origin {
  sequence: number;
  tenant: string;
  door: Door;
  kind: Kind;
  /** Of receivedAtMs: epoch seconds. */
  minute: number;
  receivedAtMs: number;
}

export class Books {
  readonly #ledger = new Map<string, LedgerRow>();
  #dead: DeadLetter[] = [];

  /** Letters since the last commit. */
  get letters(): number {
    return this.#dead.length;
  }

  rows(): { ledger: LedgerRow[]; dead: DeadLetter[] } {
    return { ledger: [...this.#ledger.values()], dead: this.#dead };
  }

  committed(): void {
    this.#ledger.clear();
    this.#dead = [];
  }

  add(
    { tenant, door, minute }: Pick<Origin, "tenant" | "door" | "minute">,
    fate: LedgerRow["fate"],
    reason: string,
    count: number,
  ): void {
    if (count === 0) return;
    const key = `${tenant} ${door} ${minute} ${fate} ${reason}`;
    const row = this.#ledger.get(key);
    if (row === undefined) this.#ledger.set(key, { tenant, door, minute, fate, reason, count });
    else row.count += count;
  }

  /** A line, by its number in the frame. */
  buryLine(origin: Origin, line: number, reason: Reason, detail: string, bytes: Uint8Array): void {
    this.add(origin, "dead", reason, 1);
    const last = this.#dead.at(-1);
    if (this.#dead.length >= lineLettersMax && last !== undefined) {
      last.detail = `and more of this commit: ${this.#dead.length} letters are the bound; the record has the lines`;
      return;
    }
    this.#push(origin, line, reason, detail, 1, bytes);
  }

  /** Lines of a section, from this one on, whole. */
  burySection(
    origin: Origin,
    line: number,
    reason: Reason,
    detail: string,
    lines: number,
    bytes: Uint8Array,
  ): void {
    this.add(origin, "dead", reason, lines);
    this.#push(origin, line, reason, detail, lines, bytes);
  }

  /** A frame of which nobody knows whose lines it holds: no ledger has it. */
  buryFrame(sequence: number, timeMs: number, reason: Reason, detail: string, bytes: Uint8Array): void {
    const nobody = { sequence, tenant: "", door: "", kind: "plaintext" as const, receivedAtMs: timeMs };
    this.#push(nobody, 0, reason, detail, 1, bytes);
  }

  #push(
    {
      sequence,
      tenant,
      door,
      kind,
      receivedAtMs,
    }: Pick<DeadLetter, "sequence" | "tenant" | "door" | "kind" | "receivedAtMs">,
    part: number,
    reason: Reason,
    detail: string,
    lines: number,
    bytes: Uint8Array,
  ): void {
    const copied = Uint8Array.from(bytes);
    this.#dead.push({
      sequence,
      part,
      tenant,
      door,
      reason,
      detail,
      receivedAtMs,
      kind,
      lines,
      bytes: copied,
    });
  }
}
