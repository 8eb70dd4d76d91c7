// Which lines of the record were buried, frame by frame: pages of the store's dead letters, read as they are needed.
import { letterSequence } from "../src/store/eras.ts";
import type { Buried, LetterPlace, ShardReader } from "../src/store/store.ts";

const pageLetters = 1000;

export class BuriedLines {
  readonly #reader: ShardReader;
  readonly #era: number;
  #behind: LetterPlace;
  #page: Buried[] = [];
  #isLast = false;

  /** `from`: the first frame that will be asked for. */
  constructor(reader: ShardReader, era: number, from: number) {
    this.#reader = reader;
    this.#era = era;
    this.#behind = { sequence: letterSequence(era, from - 1), part: 0xffff_ffff };
  }

  /** Letters of one frame. Frames are asked for in their order. */
  async of(frame: number): Promise<Buried[]> {
    const sequence = letterSequence(this.#era, frame);
    const found: Buried[] = [];
    for (;;) {
      const later = this.#page.findIndex((letter) => letter.sequence > sequence);
      if (later === 0) return found;
      const done = later < 0 ? this.#page.length : later;
      for (const letter of this.#page.slice(0, done)) if (letter.sequence === sequence) found.push(letter);
      this.#page = this.#page.slice(done);
      if (this.#page.length > 0 || this.#isLast) return found;
      await this.#next();
    }
  }

  /** Whether the letter at this place was retried, and so is in the store by the frame that did it. */
  async wasRetried({ sequence, part }: LetterPlace): Promise<boolean> {
    const behind = part > 0 ? { sequence, part: part - 1 } : { sequence: sequence - 1, part: 0xffff_ffff };
    const found = await this.#read(2, behind);
    return found.some((each) => each.sequence === sequence && each.part === part && each.fate === "retried");
  }

  async #next(): Promise<void> {
    this.#page = await this.#read(pageLetters, this.#behind);
    this.#behind = this.#page.at(-1) ?? this.#behind;
    this.#isLast = this.#page.length === 0;
  }

  async #read(most: number, behind: LetterPlace): Promise<Buried[]> {
    const snapshot = await this.#reader.snapshot();
    try {
      return await snapshot.buried(most, behind);
    } finally {
      snapshot.close();
    }
  }
}
