// An actor that runs: a thread of this process, or one of a process of its own (hosted-process.ts), behind one interface.
//
// H1. However it ends, `exited` says once what it died of; nothing of it runs any more then.
// H2. A heap that is full ends the thread, not the process: measured for what grows in pieces. One allocation beyond
//     16 MB at the very limit (a table that doubles) ends the process all the same, as V8 has no way back from there;
//     then the shard goes into a process of its own. Buffers are not counted by the limit: stall.ts bounds them.
import { Worker } from "node:worker_threads";
import { ActorCell, type CellReading } from "../src/base/actor-cell.ts";
import { messageOf } from "../src/base/errors.ts";
import type { FromShard, ShardTask, ShardThreadData, ToShard } from "../workers/messages.ts";

export type DeathCause = "exit" | "error" | "heap" | "memory" | "stalled" | "signal" | "killed";

export interface Death {
  cause: DeathCause;
  /** For a person. */
  why: string;
}

export interface Hosted {
  readonly kind: "thread" | "process";
  /** Of the thread, or of the process. */
  readonly id: number;
  post(message: ToShard): void;
  reading(): CellReading;
  /** Resident memory of the process it runs in. */
  residentBytes(): number;
  /** At once, whatever it does. Settles when it is gone. */
  end(): Promise<void>;
  readonly exited: Promise<Death>;
}

export type StartHosted = (task: ShardTask, onMessage: (message: FromShard) => void) => Hosted;

/** A file of this build, by its path from here: sources and builds end differently. */
export function entryUrl(path: string): URL {
  return new URL(`${path}${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url);
}

export const startThread: StartHosted = (task, onMessage) => {
  const cell = new ActorCell();
  const entry = entryOf(task);
  const workerData: ShardThreadData = { ...task, cell: cell.buffer };
  const worker = newWorker(entry, `${entry}-${task.shard}`, task.settings.heapMb, workerData);
  return hostOf(worker, cell, task.settings.heapMb, onMessage);
};

export function newWorker(entry: string, name: string, heapMb: number, workerData: unknown): Worker {
  return new Worker(entryUrl(`../workers/${entry}`), {
    workerData,
    name,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
}

export function hostOf(
  worker: Worker,
  cell: ActorCell,
  heapMb: number,
  onMessage: (message: FromShard) => void,
): Hosted {
  const id = worker.threadId;
  let thrown: Death | undefined;
  worker.on("message", onMessage);
  worker.on("error", (error) => {
    thrown = deathOf(error, heapMb);
  });
  return {
    kind: "thread",
    id,
    post: (message) => worker.postMessage(message),
    reading: () => cell.read(),
    residentBytes: () => process.memoryUsage.rss(),
    end: async () => void (await worker.terminate()),
    exited: new Promise((resolve) => {
      worker.on("exit", (code) =>
        resolve(thrown ?? { cause: "exit", why: `its thread ended with exit ${code}` }),
      );
    }),
  };
}

function entryOf({ fill, replay }: ShardTask): string {
  if (replay !== undefined) return "replaying";
  return fill === undefined ? "shard" : "fill";
}

function deathOf(error: unknown, heapMb: number): Death {
  const isHeap = error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
  return isHeap
    ? { cause: "heap", why: `out of memory: its heap reached the limit of ${heapMb} MB` }
    : { cause: "error", why: messageOf(error) };
}
