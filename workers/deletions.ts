// Series that the node wants deleted: a bounded queue that the actor works off between two commits.
//
// Q1. At most so many wait; more are refused at once.
// Q2. Each request is answered exactly once, whatever becomes of the actor: with the names that went, or with why not.
//     Who hears nothing but an error does not know whether some of them went, and asks again.
import { Outage } from "../src/base/errors.ts";
import type { SeriesToDelete } from "./messages.ts";

export interface Waiting extends SeriesToDelete {
  done(names: string[]): void;
  failed(error: unknown): void;
}

export const deletionsWaitingMax = 16;

export class Deletions {
  readonly #waiting: Waiting[] = [];
  #closed = false;

  get count(): number {
    return this.#waiting.length;
  }

  /** Answers the names that went, sorted. */
  ask(deletion: SeriesToDelete): Promise<string[]> {
    if (this.#closed) return refused("the shard is not run here any more");
    if (this.#waiting.length >= deletionsWaitingMax)
      return refused(`${deletionsWaitingMax} deletions are waiting already`);
    return new Promise((done, failed) => {
      this.#waiting.push({ ...deletion, done, failed });
    });
  }

  /** The next one is the caller's to answer. */
  take(): Waiting | undefined {
    return this.#waiting.shift();
  }

  close(): void {
    this.#closed = true;
    const error = new Outage("store-unavailable", "the shard stopped before it was this deletion's turn");
    for (const deletion of this.#waiting.splice(0)) deletion.failed(error);
  }
}

function refused(why: string): Promise<never> {
  return Promise.reject(new Outage("store-unavailable", why));
}
