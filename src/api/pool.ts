// Query threads: a bounded piscina pool whose workers open the stores read-only (workers/query.ts).
//
// Q1. A query runs on a thread of its own: however heavy, the event loop that serves the others goes on.
// Q2. A query that does not stop by itself in time loses its thread, and nothing else; the pool starts a new one.
// Q3. The queue is bounded: what does not fit is refused at once, not kept waiting.
import { Piscina } from "piscina";
import { messageOf, Outage } from "../base/errors.ts";
import type { QueryAnswer, QueryJob, QueryRunner } from "./messages.ts";

/** What a worker needs to open the stores; plain values, for they cross to a thread. */
export interface QueryWorkerData {
  /** The folder of the LMDB engine. */
  folder: string;
  mapBytes: number;
}

export interface QueryPoolOptions {
  store: QueryWorkerData;
  threads: number;
  /** Queries that may wait for a thread. */
  queueMax: number;
  /** Heap of one thread, MB: a query that needs more loses its thread. */
  heapMb: number;
  /** Another worker than workers/query.ts: for tests of what a bad one can do. */
  worker?: URL;
  /** A thread died between queries. The pool starts another one. */
  onThreadError(error: unknown): void;
}

/** Thrown by `run` when the queue is full. */
export class QueueFull extends Error {}

/** The worker's file has the extension of this one: source and build alike. */
const worker = new URL(
  `../../workers/query${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

export function createQueryPool(options: QueryPoolOptions): QueryRunner {
  const pool = new Piscina<QueryJob, QueryAnswer>({
    filename: (options.worker ?? worker).href,
    workerData: options.store,
    // All threads are there from the start: a first query should not wait for one.
    minThreads: options.threads,
    maxThreads: options.threads,
    concurrentTasksPerWorker: 1,
    // Waiting in Atomics.wait would hold up what the store engine does between queries.
    atomics: "disabled",
    resourceLimits: { maxOldGenerationSizeMb: options.heapMb },
  });
  pool.on("error", (error) => options.onThreadError(error));
  let closed = false;
  /** Running and waiting. Counted here, because piscina's own bound lets one or two more in. */
  let open = 0;
  return {
    async run(job, signal) {
      if (closed) throw closedOutage();
      if (open >= options.threads + options.queueMax) throw new QueueFull("the queue of queries is full");
      open += 1;
      try {
        return await pool.run(job, { signal });
      } catch (error) {
        if (closed) throw closedOutage(error);
        if (error instanceof Error && error.name === "AbortError") return overtime;
        if (isHeapFull(error)) return tooBig;
        throw error;
      } finally {
        open -= 1;
      }
    },
    async close() {
      closed = true;
      try {
        await pool.destroy();
      } catch (error) {
        throw new Outage("store-unavailable", `query threads did not end: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
  };
}

const overtime: QueryAnswer = {
  kind: "refused",
  reason: "time",
  why: "the query took too long and was ended",
};
const tooBig: QueryAnswer = {
  kind: "refused",
  reason: "memory",
  why: "the query needed too much memory: ask for fewer series or a shorter time",
};

function closedOutage(cause?: unknown): Outage {
  return new Outage("store-unavailable", "the query threads are closed", { cause });
}

function isHeapFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}
