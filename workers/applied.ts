// Which frames were applied before, in the store or in the batch at hand: D2 of batch.ts.
//
// A frame is noted with the first lines of it that count, whole or not: a copy of it that comes in the other lane while
// the rest of it waits is a copy all the same.
import { hex, type Frame, type FrameIdentity } from "../src/metric/frame.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import type { BootApplied, Commit, Interval, LetterPlace } from "../src/store/store.ts";

interface Boot {
  /** All that was applied, in the store and in this batch. */
  applied: Interval[];
  /** What this batch adds. */
  added: Interval[];
  lastAppliedMs: number;
}

/** What only the store knows. */
export type Question = { kind: "keyed"; id: Uint8Array } | { kind: "letter"; place: LetterPlace };

export class Applied {
  readonly #boots = new Map<string, Boot>();
  #keyed = new Map<string, { id: Uint8Array; appliedAtMs: number }>();
  #retried = new Map<string, LetterPlace>();

  constructor(boots: readonly BootApplied[]) {
    for (const { boot, applied, lastAppliedMs } of boots)
      this.#boots.set(boot, { applied: applied.map(([a, b]) => [a, b]), added: [], lastAppliedMs });
  }

  /** Undefined: `isNew` needs no answer of the store. */
  questionOf({ identity }: Frame): Question | undefined {
    if (identity.kind === "keyed" && !this.#keyed.has(hex(identity.id)))
      return { kind: "keyed", id: identity.id };
    if (identity.kind === "retry" && !this.#retried.has(keyOf(identity.letter)))
      return { kind: "letter", place: placeOf(identity.letter) };
    return undefined;
  }

  /** Notes the frame; false where it was applied before. `timeMs`: the broker's, so that the same record gives the same. */
  isNew({ identity }: Frame, timeMs: number): boolean {
    switch (identity.kind) {
      case "boot":
        return this.#isNewNumber(hex(identity.boot), identity.n, timeMs);
      case "keyed": {
        const key = hex(identity.id);
        if (this.#keyed.has(key)) return false;
        this.#keyed.set(key, { id: Uint8Array.from(identity.id), appliedAtMs: timeMs });
        return true;
      }
      case "retry": {
        const key = keyOf(identity.letter);
        if (this.#retried.has(key)) return false;
        this.#retried.set(key, placeOf(identity.letter));
        return true;
      }
      default:
        return identity satisfies never;
    }
  }

  /** What was noted since the last commit. */
  noted(): Pick<Commit, "boots" | "keyed" | "retried"> {
    const boots: BootApplied[] = [];
    for (const [boot, { added, lastAppliedMs }] of this.#boots)
      if (added.length > 0) boots.push({ boot, applied: added, lastAppliedMs });
    const retried = [...this.#retried.values()];
    return { boots, keyed: [...this.#keyed.values()], ...(retried.length > 0 && { retried }) };
  }

  committed(): void {
    for (const boot of this.#boots.values()) boot.added = [];
    this.#keyed = new Map();
    this.#retried = new Map();
  }

  #isNewNumber(name: string, n: number, timeMs: number): boolean {
    let boot = this.#boots.get(name);
    if (boot === undefined) this.#boots.set(name, (boot = { applied: [], added: [], lastAppliedMs: 0 }));
    if (holds(boot.applied, n)) return false;
    addNumber(boot.applied, n);
    addNumber(boot.added, n);
    boot.lastAppliedMs = Math.max(boot.lastAppliedMs, timeMs);
    return true;
  }
}

function placeOf({ sequence, part }: LetterPlace): LetterPlace {
  return { sequence, part };
}

function keyOf({ sequence, part }: Extract<FrameIdentity, { kind: "retry" }>["letter"]): string {
  return `${sequence} ${part}`;
}
