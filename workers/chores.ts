// What operators want done in a shard's store: a bounded queue that the actor works off between two commits.
//
// Q1. At most so many wait; more are refused at once.
// Q2. Each request is answered exactly once, whatever becomes of the actor: with what was done, or with why not. Who
//     hears nothing but an error does not know whether some of it was done, and asks again: each may be asked again.
// Q3. What the actor has in memory goes with what the store says from then on.
import { Outage } from "../src/base/errors.ts";
import type { ShardStore } from "../src/store/store.ts";
import type { Batch } from "./batch.ts";
import type { Chore, ChoreDone } from "./messages.ts";

export interface Waiting {
  chore: Chore;
  done(done: ChoreDone): void;
  failed(error: unknown): void;
}

export const choresWaitingMax = 16;

export class Chores {
  readonly #waiting: Waiting[] = [];
  #closed = false;

  get count(): number {
    return this.#waiting.length;
  }

  ask(chore: Chore): Promise<ChoreDone> {
    if (this.#closed) return refused("the shard is not run here any more");
    if (this.#waiting.length >= choresWaitingMax)
      return refused(`${choresWaitingMax} requests of operators are waiting already`);
    return new Promise((done, failed) => {
      this.#waiting.push({ chore, done, failed });
    });
  }

  /** The next one is the caller's to answer. */
  take(): Waiting | undefined {
    return this.#waiting.shift();
  }

  close(): void {
    this.#closed = true;
    const error = new Outage("store-unavailable", "the shard stopped before it was this request's turn");
    for (const waiting of this.#waiting.splice(0)) waiting.failed(error);
  }
}

/**
 * `isSure`: the epoch was the shard's. Else it is open, for what a store answers to an old epoch looks like nothing to do:
 * a commit tells.
 */
export async function doChore(
  chore: Chore,
  { store, epoch, batch }: { store: ShardStore; epoch: number; batch: Batch },
): Promise<{ done: ChoreDone; isSure: boolean }> {
  switch (chore.kind) {
    case "delete-series": {
      const { tenant, pattern, most } = chore;
      const { ids, names } = await store.deleteSeries(epoch, tenant, pattern, most);
      batch.drop(ids); // Q3
      return { done: { kind: "series-deleted", names }, isSure: names.length >= most };
    }
    case "drop-letters": {
      const letters = await store.dropLetters(epoch, chore.places);
      return { done: { kind: "letters-dropped", letters }, isSure: letters > 0 };
    }
    case "release": {
      const isSure = (await store.release(epoch, chore.tenant)) === "ok";
      if (isSure) batch.outcasts.release(chore.tenant); // Q3
      return { done: { kind: "released" }, isSure };
    }
    case "bury": {
      const isSure = (await store.bury(epoch, chore.tenant)) === "ok";
      if (isSure) batch.outcasts.purge(chore.tenant); // Q3
      return { done: { kind: "buried" }, isSure };
    }
    case "purge": {
      const { ids, names } = await store.purge(epoch, chore.tenant, chore.most);
      batch.drop(ids); // Q3
      const hasRoom = names.length < chore.most;
      const letters = hasRoom ? await store.purgeLetters(epoch, chore.tenant, chore.most) : 0;
      const left = await store.tenantSeries(chore.tenant);
      const done = { kind: "purged", series: names.length, letters, left } as const;
      return { done, isSure: !hasRoom || letters >= chore.most };
    }
    default:
      return chore satisfies never;
  }
}

function refused(why: string): Promise<never> {
  return Promise.reject(new Outage("store-unavailable", why));
}
