// From send to visible: while a steady load runs, new series come in by HTTP, and each is asked for in /render until
// it is there.
import type { Keys, System } from "../test/harness/system.ts";
import type { Sender } from "./sending.ts";

const probeEveryMs = 100;
const lookEveryMs = 10;
const giveUpMs = 30_000;

export interface Latencies {
  probes: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface Visible extends Latencies {
  pointsPerSecond: number;
}

export async function measureVisible(
  system: System,
  tenant: Keys,
  sender: Sender,
  rate: number,
  seconds: number,
): Promise<Visible> {
  const { done } = await sender.send(rate * seconds, rate);
  const taken = await probeFor(system, tenant, `probe.r${rate}`, seconds * 1000);
  await done;
  return { pointsPerSecond: rate, ...latenciesOf(taken) };
}

/** A new series every so often, and how long each took until it was to be seen, ms. `name`: of no series so far. */
export async function probeFor(system: System, tenant: Keys, name: string, ms: number): Promise<number[]> {
  const until = performance.now() + ms;
  const probes: Promise<number>[] = [];
  while (performance.now() < until) {
    const taken = probe(system, tenant, `${name}.n${probes.length}`);
    taken.catch(() => {});
    probes.push(taken);
    await sleep(probeEveryMs);
  }
  return Promise.all(probes);
}

export function latenciesOf(takenMs: readonly number[]): Latencies {
  const sorted = takenMs.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { probes: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

export async function probe(system: System, tenant: Keys, name: string): Promise<number> {
  const started = performance.now();
  const body = `${name} 1 ${Math.floor(Date.now() / 1000)}\n`;
  const response = await system.sink(tenant.writeKey, body);
  if (response.status !== 202) throw new Error(`the probe was answered ${response.status}`);
  while ((await system.render(tenant.readKey, name, "-1min")).length === 0) {
    if (performance.now() - started > giveUpMs) throw new Error(`${name} did not become visible`);
    await sleep(lookEveryMs);
  }
  return performance.now() - started;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
