// Lets each operation on a bucket wait its turn: who goes next is drawn, so all interleavings come up.
import { type Random, seededRandom } from "../../src/base/random.ts";
import type { TenantBucket } from "../../src/tenant/record.ts";

export class Turns {
  readonly #random: Random;
  #waiting: (() => void)[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  bucket(inner: TenantBucket): TenantBucket {
    const turn = async <T>(act: () => Promise<T>): Promise<T> => {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
      return act();
    };
    return {
      get: (key) => turn(() => inner.get(key)),
      create: (key, value) => turn(() => inner.create(key, value)),
      update: (key, value, revision) => turn(() => inner.update(key, value, revision)),
      watch: (handler) => inner.watch(handler),
    };
  }

  async run(all: Promise<unknown>): Promise<void> {
    const state = { done: false };
    const end = all.finally(() => {
      state.done = true;
    });
    while (!state.done) {
      this.#waiting.splice(this.#random.below(this.#waiting.length), 1)[0]?.();
      for (let i = 0; i < 20; i++) await Promise.resolve();
    }
    await end;
  }
}
