// A clock that stands still until a test moves it. Timers fire in the order of their times, those of one time in the
// order in which they were set.
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  atMs: number;
  callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  /** Whole, as the system's is, whatever fractions jittered waits have. */
  nowMs(): number {
    return Math.floor(this.#nowMs);
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
      const done = () => {
        cancel();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.after(ms, done);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, monotonic ms; undefined when none waits. */
  get nextMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Moves on, calling what is due in its order. */
  advance(ms: number): void {
    const until = this.#monotonicMs + ms;
    for (let due = this.#next(); due !== undefined && due.atMs <= until; due = this.#next()) {
      this.#timers.delete(due);
      this.#move(Math.max(0, due.atMs - this.#monotonicMs));
      due.callback();
    }
    this.#move(until - this.#monotonicMs);
  }

  /** As `advance`, but what each timer sets going comes to rest before the next one: for parts without input or output. */
  async pass(ms: number): Promise<void> {
    const until = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      const next = this.nextMs;
      if (next === undefined || next > until) break;
      this.advance(Math.max(0, next - this.#monotonicMs));
    }
    this.advance(until - this.#monotonicMs);
    await settle();
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer;
    return next;
  }

  #move(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }
}

/** Settles when everything that runs in microtasks has come to rest. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
