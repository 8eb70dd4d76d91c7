// What an actor does just now, in memory that its supervisor shares: an actor that hangs can't be asked, so it leaves a
// mark before each thing it does. Written by one thread, read by another; a mark costs some ten nanoseconds.
//
// A1. A reading is of one moment: a mark that is made meanwhile is either wholly in it or not at all.

export const actorDoings = ["idle", "ingesting", "store", "bus"] as const;
export type ActorDoing = (typeof actorDoings)[number];

export interface CellReading {
  doing: ActorDoing;
  /** Of the frame it is at, or was at last. */
  sequence: number;
  /** Marks made so far, modulo 2^31: as long as it is the same, nothing moved. */
  beats: number;
}

// Int32 at: [0] the guard, odd while a mark is being made; [1] doing; [2], [3] the sequence, low half and high half.
const guardAt = 0;
const doingAt = 1;
const lowAt = 2;
const highAt = 3;
const bytes = 16;
/** A writer that was stopped in the midst of a mark must not hold up its reader. */
const triesMax = 100;

export class ActorCell {
  readonly buffer: SharedArrayBuffer;
  readonly #at: Int32Array;

  constructor(buffer = new SharedArrayBuffer(bytes)) {
    this.buffer = buffer;
    this.#at = new Int32Array(buffer);
  }

  ingesting(sequence: number): void {
    this.#mark(1, sequence);
  }

  idle(): void {
    this.#mark(0);
  }

  /** It waits for another part; the answer says that this is over, and what it did before goes on. */
  waits(part: "store" | "bus"): () => void {
    const before = this.read();
    this.#mark(actorDoings.indexOf(part));
    return () => this.#mark(actorDoings.indexOf(before.doing), before.sequence);
  }

  /** A1. */
  read(): CellReading {
    const at = this.#at;
    for (let tries = 0; ; tries++) {
      const guard = Atomics.load(at, guardAt);
      const doing = actorDoings[Atomics.load(at, doingAt)] ?? "idle";
      const low = Atomics.load(at, lowAt) >>> 0;
      const high = Atomics.load(at, highAt);
      const same = Atomics.load(at, guardAt) === guard && guard % 2 === 0;
      if (same || tries >= triesMax) return { doing, sequence: high * 2 ** 32 + low, beats: guard >>> 1 };
    }
  }

  #mark(doing: number, sequence?: number): void {
    const at = this.#at;
    Atomics.add(at, guardAt, 1);
    Atomics.store(at, doingAt, doing);
    if (sequence !== undefined) {
      Atomics.store(at, lowAt, sequence | 0);
      Atomics.store(at, highAt, Math.floor(sequence / 2 ** 32));
    }
    Atomics.add(at, guardAt, 1);
  }
}
