// A clock that moves only when a test moves it. Timers fire in the order of their times.
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  atMs: number;
  order: number;
  callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #timers: Timer[] = [];
  #order = 0;

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Wall time alone: an operator, or NTP, sets it. */
  setWall(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.after(ms, resolve);
      signal?.addEventListener("abort", () => {
        cancel();
        resolve();
      });
    });
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + Math.max(0, ms), order: this.#order++, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  }

  /** When the next timer is due, or undefined. */
  get nextMs(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map((t) => t.atMs));
  }

  advance(ms: number): void {
    const until = this.#monotonicMs + ms;
    for (;;) {
      const due = this.#timers
        .filter((t) => t.atMs <= until)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== due);
      this.#move(Math.max(0, due.atMs - this.#monotonicMs));
      due.callback();
    }
    this.#move(until - this.#monotonicMs);
  }

  #move(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }
}
