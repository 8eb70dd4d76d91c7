// A journal of the memory bus.
import type { Clock } from "../base/clock.ts";
import type { JournalEntry, JournalOptions } from "./bus.ts";

export class MemoryJournal {
  options: JournalOptions;
  readonly #clock: Clock;
  #entries: JournalEntry[] = [];
  #last = 0;

  constructor(options: JournalOptions, clock: Clock) {
    this.options = options;
    this.#clock = clock;
  }

  append(data: Uint8Array): number {
    this.#last += 1;
    this.#entries.push({
      sequence: this.#last,
      timeMs: this.#clock.nowMs(),
      data: Uint8Array.from(data),
    });
    this.#expire();
    return this.#last;
  }

  last(most: number, before: number): JournalEntry[] {
    this.#expire();
    const older = this.#entries.filter(({ sequence }) => sequence < before);
    return older.slice(-most).toReversed();
  }

  #expire(): void {
    const { bytesMax, keptMs } = this.options;
    const oldestMs = this.#clock.nowMs() - keptMs;
    this.#entries = this.#entries.filter(({ timeMs }) => timeMs > oldestMs);
    let bytes = this.#entries.reduce((sum, { data }) => sum + data.length, 0);
    while (bytes > bytesMax) bytes -= this.#entries.shift()?.data.length ?? bytes;
  }
}
