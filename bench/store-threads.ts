// Starting the threads of the store's benches and asking them: one question at a time, each with one answer.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { SpaceUsed } from "../src/store/environment.ts";
import type { ToUpkeep, UpkeepRan } from "./store-messages.ts";

export class Asked {
  readonly #worker: Worker;
  #failed: unknown;

  constructor(file: string, workerData: unknown) {
    const ending = import.meta.url.slice(import.meta.url.lastIndexOf("."));
    this.#worker = new Worker(new URL(`./${file}${ending}`, import.meta.url), { workerData });
    this.#worker.on("error", (error) => {
      this.#failed = error;
    });
  }

  async ask<T>(question: object): Promise<T> {
    if (this.#failed !== undefined) throw this.#failed;
    const answer = once(this.#worker, "message") as Promise<[T]>;
    this.#worker.postMessage(question);
    return (await answer)[0];
  }

  async end(): Promise<void> {
    if (this.#failed !== undefined) return;
    await this.ask({ kind: "close" });
    await this.#worker.terminate();
  }
}

export interface Spread {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export function spread(...parts: readonly Float64Array[]): Spread {
  const all = Float64Array.from(parts.flatMap((part) => Array.from(part))).sort();
  const at = (share: number) => round(all[Math.min(all.length - 1, Math.floor(all.length * share))] ?? 0);
  return { count: all.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

export function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
}

export function sumOf(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

export async function ask<T>(threads: readonly Asked[], question: object): Promise<T[]> {
  return await Promise.all(threads.map((thread) => thread.ask<T>(question)));
}

export interface UpkeepFigures {
  steps: Record<string, { step: Spread; rows: number; mb: number }>;
  overtaken: number;
  /** Of a shard. */
  backlogMbMost: number;
  /** Of all shards, as it was left. */
  backlogMb: number;
}

export async function upkeep(threads: { upkeeps: readonly Asked[] }, job: ToUpkeep): Promise<UpkeepFigures> {
  const ran = (await ask<UpkeepRan | string>(threads.upkeeps, job)).filter(
    (each) => typeof each !== "string",
  );
  const works = new Set(ran.flatMap(({ steps }) => Object.keys(steps)));
  const steps = [...works].map((work) => {
    const parts = ran.flatMap((each) => each.steps[work] ?? []);
    const figure = {
      step: spread(...parts.map(({ stepMs }) => stepMs)),
      rows: sumOf(parts.map(({ rows }) => rows)),
      mb: round(sumOf(parts.map(({ bytes }) => bytes)) / 2 ** 20),
    };
    return [work, figure] as const;
  });
  return {
    steps: Object.fromEntries(steps),
    overtaken: sumOf(ran.map((each) => each.overtaken)),
    backlogMb: round(sumOf(ran.map((each) => each.backlogBytes)) / 2 ** 20),
    backlogMbMost: round(Math.max(0, ...ran.map((each) => each.backlogBytesMost)) / 2 ** 20),
  };
}

export async function space(threads: { writers: readonly Asked[] }): Promise<SpaceUsed> {
  const each = await ask<SpaceUsed>(threads.writers, { kind: "space" });
  return {
    usedBytes: sumOf(each.map(({ usedBytes }) => usedBytes)),
    fileBytes: sumOf(each.map(({ fileBytes }) => fileBytes)),
  };
}
