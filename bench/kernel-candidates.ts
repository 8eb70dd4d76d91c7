// What the benches of the kernel compare: the kernel and its plain twin, each in its two halves, and the floor below
// both.
import { seededRandom } from "../src/base/random.ts";
import { createKernel } from "../src/kernel/instance.ts";
import { createKernelAggregator } from "../src/kernel/kernel-aggregator.ts";
import type { Aggregator, Router } from "../src/kernel/kernel.ts";
import { Layout } from "../src/kernel/layout.ts";
import { createKernelRouter } from "../src/kernel/kernel-router.ts";
import { createPlainAggregator } from "../src/kernel/plain-aggregator.ts";
import { createPlainRouter } from "../src/kernel/plain-router.ts";
import type { Frame } from "./kernel-lines.ts";

export const candidates = ["plain", "kernel"] as const;
export type Candidate = (typeof candidates)[number];

const options = () => ({ stepSeconds: 1, seed: seededRandom(2).bytes(8) });

export const aggregators: Record<Candidate, () => Aggregator> = {
  plain: () => createPlainAggregator(options()),
  kernel: () => createKernelAggregator(options()),
};

export const routers: Record<Candidate, () => Router> = {
  plain: createPlainRouter,
  kernel: createKernelRouter,
};

/** Lays all frames into a kernel's memory; answers a function that counts their line ends there, by SIMD. */
export function createFloor(all: readonly Frame[]): () => number {
  const layout = new Layout();
  const places = all.map(({ bytes }) => layout.add(bytes.length));
  const { exports, bytes: memory } = createKernel(layout);
  for (const [i, { bytes }] of all.entries()) memory.set(bytes, places[i]?.at);
  return () => {
    let lines = 0;
    for (const { at, bytes } of places) lines += exports.countLines(at, at + bytes);
    return lines;
  };
}
