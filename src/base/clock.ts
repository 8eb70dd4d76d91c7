// Time comes in by the door: whoever starts a part hands it a clock, so a simulation can drive it.

export interface Clock {
  /** Wall time, milliseconds since the epoch. May jump, also backwards: never measure a span with it. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. Spans and deadlines use it. */
  monotonicMs(): number;
  /** Settles after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back after `ms`; the answer cancels. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    });
  },
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
