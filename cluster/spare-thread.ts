// A spare thread for the next actor of a node: it has read its code already, which is most of what a death would cost.
//
// S1. One at most. While there is none, an actor's thread is started as ever.
// S2. It is made again when nothing has been started for a while: never while shards start.
import type { Worker } from "node:worker_threads";
import { ActorCell } from "../src/base/actor-cell.ts";
import type { Clock } from "../src/base/clock.ts";
import type { Settings } from "../src/config/settings.ts";
import type { ShardThreadData, SpareThreadData } from "../workers/messages.ts";
import { hostOf, newWorker, startThread, type StartHosted } from "./hosted.ts";

/** S2. */
const quietMs = 1000;

interface Spare {
  worker: Worker;
  wake: Int32Array;
}

export class SpareThread {
  readonly #clock: Clock;
  readonly #heapMb: number;
  #spare: Spare | undefined;
  #cancel: () => void = () => {};
  #isClosed = false;

  constructor({ clock, settings }: { clock: Clock; settings: Settings }) {
    this.#clock = clock;
    this.#heapMb = settings.heapMb;
  }

  readonly start: StartHosted = (task, onMessage) => {
    const spare = this.#spare;
    this.#spare = undefined;
    this.#makeLater();
    if (spare === undefined) return startThread(task, onMessage);
    const cell = new ActorCell();
    const hosted = hostOf(spare.worker, cell, this.#heapMb, onMessage);
    spare.worker.postMessage({ ...task, cell: cell.buffer } satisfies ShardThreadData);
    // In this order: it looks once.
    Atomics.store(spare.wake, 0, 1);
    Atomics.notify(spare.wake, 0);
    return hosted;
  };

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    const spare = this.#spare;
    this.#spare = undefined;
    await spare?.worker.terminate();
  }

  #makeLater(): void {
    this.#cancel();
    if (!this.#isClosed) this.#cancel = this.#clock.after(quietMs, () => this.#make());
  }

  #make(): void {
    const wake = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const worker = newWorker("shard", "shard", this.#heapMb, { spare: wake } satisfies SpareThreadData);
    const spare = { worker, wake };
    const gone = (): void => {
      if (this.#spare === spare) this.#spare = undefined;
    };
    // One that can't be made is none; an actor's own thread will say why.
    worker.on("error", gone);
    worker.on("exit", gone);
    this.#spare = spare;
  }
}
