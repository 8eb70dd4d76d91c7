// Which frames a replay has come across: the rules by which live skips what was recorded twice (applied.ts), over frames
// of which each was applied once by somebody.
//
// J1. Of copies of a frame the first one counts. They have the same lines, so it is the same result whichever of them was
//     applied in the end, live or from a gap.
// J2. What is remembered is bounded as in the store: keyed ids for a day of the record's time.
import { hex, type FrameIdentity } from "../src/metric/frame.ts";
import { addNumber, holds } from "../src/store/intervals.ts";
import { keyedKeptMs, type Interval } from "../src/store/store.ts";

export class ReplaySeen {
  readonly #boots = new Map<string, Interval[]>();
  /** When it was recorded, by id, oldest first. */
  readonly #keyed = new Map<string, number>();
  readonly #letters = new Set<string>();

  /** Notes a frame; false: it is a copy. `timeMs`: when it was recorded. */
  isNew(identity: FrameIdentity, timeMs: number): boolean {
    switch (identity.kind) {
      case "boot":
        return this.#isNewNumber(hex(identity.boot), identity.n);
      case "keyed":
        return this.#isNewId(hex(identity.id), timeMs);
      case "retry": {
        const place = `${identity.letter.sequence} ${identity.letter.part}`;
        if (this.#letters.has(place)) return false;
        this.#letters.add(place);
        return true;
      }
      default:
        return identity satisfies never;
    }
  }

  #isNewNumber(boot: string, n: number): boolean {
    let numbers = this.#boots.get(boot);
    if (numbers === undefined) this.#boots.set(boot, (numbers = []));
    if (holds(numbers, n)) return false;
    addNumber(numbers, n);
    return true;
  }

  #isNewId(id: string, timeMs: number): boolean {
    for (const [old, recordedMs] of this.#keyed) {
      if (recordedMs > timeMs - keyedKeptMs) break;
      this.#keyed.delete(old);
    }
    if (this.#keyed.has(id)) return false;
    this.#keyed.set(id, timeMs);
    return true;
  }
}
