// One upkeep thread: a piscina pool of size one, whose worker is workers/upkeep.ts. A thread that dies costs the job it
// had, which rejects; the pool starts another one for the next.
//
// U1. A thread is ended only when it holds nothing of LMDB any more (src/store/environment.ts, L1, says why): `close`
//     first has it close all, and only then ends it. While it has not answered, `close` waits: whoever can't wait
//     longer ends the process.
import { Piscina } from "piscina";
import type { UpkeepAnswer, UpkeepJob, UpkeepWorkerData } from "../workers/messages.ts";

export interface UpkeepPool {
  /** Rejects for our bugs and when the thread died. */
  run(job: UpkeepJob): Promise<UpkeepAnswer>;
  /** Call it when no job is under way. */
  close(): Promise<void>;
}

export interface UpkeepPoolOptions {
  store: UpkeepWorkerData;
  heapMb: number;
  /** Another worker than workers/upkeep.ts: for tests of what a bad one can do. */
  worker?: URL;
  /** The thread died between two jobs. */
  onThreadError(error: unknown): void;
}

const worker = new URL(
  `../workers/upkeep${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

export function createUpkeepPool(options: UpkeepPoolOptions): UpkeepPool {
  const pool = new Piscina<UpkeepJob, UpkeepAnswer>({
    filename: (options.worker ?? worker).href,
    workerData: options.store,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: 1,
    // Waiting in Atomics.wait would hold up what the store engine does between jobs.
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: options.heapMb },
  });
  pool.on("error", (error) => options.onThreadError(error));
  return {
    run: (job) => pool.run(job),
    async close() {
      // Of a thread that died there is nothing to close.
      await pool.run({ kind: "close-all" }).catch((error: unknown) => options.onThreadError(error));
      await pool.close();
    },
  };
}
