// Starting the threads of the store's benches and asking them: one question at a time, each with one answer.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

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
