// A life of a process in the simulation: what it asks of the world takes its time, may fail, and stops for good when
// the life ends, at whatever it was waiting for. Nobody tells it that it died.
//
// M1. Killed between a question and its answer: what was asked may have happened, the answer is never heard.
// M2. Held (as by SIGSTOP, or a long pause): all answers wait, then it goes on as if nothing had been.
import type { Clock } from "../../src/base/clock.ts";
import { Outage } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import type { Bus, Reader } from "../../src/bus/bus.ts";
import type { SpoolFile, SpoolFiles } from "../../src/gateway/spool-files.ts";
import type { Commit, ShardStore } from "../../src/store/store.ts";

export interface Faults {
  /** Chances, each in [0, 1). `on` is the world's switch: at the end of a run nothing fails any more. */
  on: boolean;
  dies: number;
  busFails: number;
  /** The commit is applied, its answer is lost. */
  answerLost: number;
  /** The commit is not applied, and its answer is lost. */
  commitLost: number;
  /** The commit is on its way while its answer is taken for lost: it arrives later, if at all. */
  commitLate: number;
  /** Each verb of the spool's disk. */
  diskFails: number;
  delayMsMost: number;
}

export class Mortal {
  dead = false;
  readonly name: string;
  /** The clock as this life sees it: timers of the dead don't ring. */
  readonly clock: Clock;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: Faults;
  #heldUntilMs = 0;

  constructor(name: string, clock: Clock, random: Random, faults: Faults) {
    this.name = name;
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    this.clock = {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => clock.sleep(ms, signal).then(() => this.#unlessDead()),
      after: (ms, callback) =>
        clock.after(ms, () => {
          if (!this.dead) callback();
        }),
    };
  }

  kill(): void {
    this.dead = true;
  }

  hold(ms: number): void {
    this.#heldUntilMs = this.#clock.monotonicMs() + ms;
  }

  chance(of: number): boolean {
    return this.#faults.on && this.#random.next() < of;
  }

  /** Asks the world. */
  async call<T>(ask: () => Promise<T>): Promise<T> {
    await this.#meanwhile();
    // Kept, so that a rejection that nobody hears is no unhandled one.
    const answer = await ask().then(
      (value) => ({ ok: true as const, value }),
      (error: unknown) => ({ ok: false as const, error }),
    );
    await this.#meanwhile();
    if (answer.ok) return answer.value;
    throw answer.error;
  }

  bus(bus: Bus): Bus {
    const outage = (what: string) => () => Promise.reject(new Outage("bus-timeout", `no answer: ${what}`));
    const ask = <T>(what: string, question: () => Promise<T>): Promise<T> =>
      this.call(this.chance(this.#faults.busFails) ? outage(what) : question);
    const mortal: Pick<
      Bus,
      "publish" | "streamState" | "frameAt" | "trim" | "removeFrames" | "missing" | "read"
    > = {
      publish: (shard, id, data) => this.call(() => bus.publish(shard, id, data)),
      streamState: (shard) => ask("state", () => bus.streamState(shard)),
      frameAt: (shard, sequence) => ask("frame", () => bus.frameAt(shard, sequence)),
      trim: (shard, sequence) => ask("trim", () => bus.trim(shard, sequence)),
      removeFrames: (shard, sequences) => ask("remove", () => bus.removeFrames(shard, sequences)),
      missing: (shard) => ask("missing", () => bus.missing(shard)),
      read: (shard, from, options) =>
        ask("read", async (): Promise<Reader> => {
          const reader = await bus.read(shard, from, {
            onFrame: (frame) => (this.dead ? undefined : options.onFrame(frame)),
            onEnd: (error) => (this.dead ? undefined : options.onEnd(error)),
          });
          return { close: () => reader.close() };
        }),
    };
    return new Proxy(bus, {
      get: (target, property) => {
        const replaced: unknown = Reflect.get(mortal, property);
        if (replaced !== undefined) return replaced;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** A write that a death interrupts may have happened; one that fails has happened in part, or not. */
  files(files: SpoolFiles): { files: SpoolFiles; born: () => void } {
    let isBorn = false;
    const ask = <T>(question: () => Promise<T>): Promise<T> =>
      !isBorn
        ? question()
        : this.call(
            this.chance(this.#faults.diskFails)
              ? () => Promise.reject(new Error("EIO: by chance"))
              : question,
          );
    const file = (of: SpoolFile): SpoolFile => ({
      write: (pieces, at) => ask(() => of.write(pieces, at)),
      read: (at, length) => ask(() => of.read(at, length)),
      sync: () => ask(() => of.sync()),
      close: () => this.call(() => of.close()),
    });
    const mortal: SpoolFiles = {
      makeFolder: (path) => ask(() => files.makeFolder(path)),
      list: (path) => ask(() => files.list(path)),
      create: (path) => ask(async () => file(await files.create(path))),
      open: (path) => ask(async () => file(await files.open(path))),
      readSmall: (path) => ask(() => files.readSmall(path)),
      replaceSmall: (path, text) => ask(() => files.replaceSmall(path, text)),
      remove: (path) => ask(() => files.remove(path)),
    };
    return {
      files: mortal,
      born: () => {
        isBorn = true;
      },
    };
  }

  store(store: ShardStore): ShardStore {
    const outage = () => Promise.reject(new Outage("store-unavailable", `${this.name}: no answer`));
    const commit = (commit: Commit) =>
      this.call(async () => {
        if (this.chance(this.#faults.commitLost)) return outage();
        if (this.chance(this.#faults.commitLate)) {
          const copy = structuredClone(commit);
          this.#clock.after(this.#random.below(1500), () => void store.commit(copy));
          return outage();
        }
        const result = await store.commit(commit);
        return this.chance(this.#faults.answerLost) ? outage() : result;
      });
    return new Proxy(store, {
      get: (of, property) => {
        if (property === "commit") return commit;
        const value: unknown = Reflect.get(of, property, of);
        if (typeof value !== "function") return value;
        const method = value.bind(of) as (...asked: unknown[]) => Promise<unknown>;
        return property === "close" ? method : (...asked: unknown[]) => this.call(() => method(...asked));
      },
    });
  }

  /** Time passes; the life may end in it. */
  async #meanwhile(): Promise<void> {
    if (this.#faults.on) await this.#clock.sleep(this.#random.below(this.#faults.delayMsMost));
    while (this.#clock.monotonicMs() < this.#heldUntilMs)
      await this.#clock.sleep(this.#heldUntilMs - this.#clock.monotonicMs());
    if (this.chance(this.#faults.dies)) this.dead = true;
    await this.#unlessDead();
  }

  #unlessDead(): Promise<void> {
    return this.dead ? new Promise(() => {}) : Promise.resolve();
  }
}
