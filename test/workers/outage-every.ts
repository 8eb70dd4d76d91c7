// A store that does not answer every so often, whatever it is asked; what it was asked to do it has done, or not, in turn.
import { Outage } from "../../src/base/errors.ts";
import type { ShardStore } from "../../src/store/store.ts";

export class OutageEvery {
  readonly #every: number;
  #asked = 0;
  count = 0;

  constructor(every: number) {
    this.#every = every;
  }

  store(store: ShardStore): ShardStore {
    return new Proxy(store, {
      get: (of, property) => {
        const value: unknown = Reflect.get(of, property, of);
        if (typeof value !== "function") return value;
        const method = value.bind(of) as (...asked: unknown[]) => Promise<unknown>;
        if (property === "close" || property === "claim") return method;
        return async (...asked: unknown[]) => {
          if (++this.#asked % this.#every !== 0) return await method(...asked);
          this.count++;
          if (this.count % 2 === 0) await method(...asked);
          throw new Outage("store-unavailable", "by turns");
        };
      },
    });
  }
}
