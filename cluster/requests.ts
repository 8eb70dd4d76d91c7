// Questions to an actor's thread that wait for their answers: by number, few at a time, each with an end.
import type { Clock } from "../src/base/clock.ts";
import type { FromShard, ToShard } from "../workers/messages.ts";

type WithoutNumber<T> = T extends unknown ? Omit<T, "request"> : never;
export type Question = WithoutNumber<Extract<ToShard, { request: number }>>;
export type Answer = Extract<FromShard, { request: number }>;

export type Requested = { kind: "answered"; answer: Answer } | { kind: "none"; why: string };

const waitingMax = 64;

export class Requests {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (result: Requested) => void>();
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `send` gets the number that the answer must have. */
  ask(withinMs: number, send: (request: number) => void): Promise<Requested> {
    if (this.#waiting.size >= waitingMax)
      return Promise.resolve({ kind: "none", why: `${waitingMax} questions wait for its actor already` });
    const request = ++this.#last;
    return new Promise((resolve) => {
      const end = (result: Requested) => {
        cancel();
        this.#waiting.delete(request);
        resolve(result);
      };
      const cancel = this.#clock.after(withinMs, () =>
        end({ kind: "none", why: `its actor gave no answer in ${Math.round(withinMs / 1000)} s` }),
      );
      this.#waiting.set(request, end);
      send(request);
    });
  }

  /** One that nobody waits for any more is nothing. */
  answered(request: number, answer: Answer): void {
    this.#waiting.get(request)?.({ kind: "answered", answer });
  }

  endAll(why: string): void {
    for (const end of this.#waiting.values()) end({ kind: "none", why });
  }
}
