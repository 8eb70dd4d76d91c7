// A tenant's canary: a point every so often, and how long after the yes each was to be seen. What a dashboard notices.
import type { Keys, PrivateSystem } from "./private-system.ts";

const everyMs = 250;
const lookMs = 100;
export const canaryName = "drill.canary";

export class Canary {
  readonly #system: PrivateSystem;
  readonly #keys: Keys;
  readonly #onLate: (lateMs: number) => void;
  /** When each was acknowledged, in order; those that were seen are taken off. */
  readonly #waiting: number[] = [];
  /** How late each was that was seen, ms, and when. */
  readonly seen: { atMs: number; lateMs: number }[] = [];
  #acknowledged = 0;
  #visible = 0;
  #sending = true;
  /** One may be on its way still when no more are to be sent. */
  #allSent = false;
  readonly #running: Promise<void>[];

  constructor(system: PrivateSystem, keys: Keys, onLate: (lateMs: number) => void) {
    this.#system = system;
    this.#keys = keys;
    this.#onLate = onLate;
    const sent = this.#send().finally(() => {
      this.#allSent = true;
    });
    this.#running = [sent, this.#look()];
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Sends no more, and waits until all are to be seen, or `withinMs` have passed. Answers how many are not. */
  async stop(withinMs: number): Promise<number> {
    this.#sending = false;
    const over = new Promise<void>((resolve) => {
      setTimeout(resolve, withinMs).unref();
    });
    await Promise.race([Promise.all(this.#running), over]);
    return this.#waiting.length;
  }

  async #send(): Promise<void> {
    let n = 0;
    while (this.#sending) {
      const key = `canary-${this.#keys.id}-${n++}`;
      // The same one until it is acknowledged: a canary that was refused tells of the door, not of the way.
      for (let yes = false; !yes; ) {
        const status = await this.#system
          .sink(this.#keys.writeKey, `${canaryName} 1`, { "Idempotency-Key": key })
          .then(async (response) => {
            await response.arrayBuffer();
            return response.status;
          })
          .catch(() => 0);
        yes = status === 202;
        if (!yes) await pause(lookMs);
      }
      this.#acknowledged++;
      this.#waiting.push(performance.now());
      await pause(everyMs);
    }
  }

  async #look(): Promise<void> {
    while (!this.#allSent || this.#waiting.length > 0) {
      const counts = await this.#system
        .sums(this.#keys.readKey, `${canaryName}:count`)
        .catch(() => undefined);
      const total = counts === undefined ? 0 : [...counts.values()].reduce((sum, count) => sum + count, 0);
      const now = performance.now();
      for (; this.#visible < total && this.#waiting.length > 0; this.#visible++)
        this.seen.push({ atMs: now, lateMs: now - (this.#waiting.shift() as number) });
      const oldest = this.#waiting[0];
      if (oldest !== undefined) this.#onLate(now - oldest);
      await pause(lookMs);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
