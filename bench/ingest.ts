// The whole way of a point, measured: TCP door, record with fsync, actor, committed to the store, visible in /render.
//
// The system is the real one, as `npm start` runs it, in a folder of its own. Throughput counts from the first byte
// sent until the last point is committed. CPU seconds are the kernel's own accounting of each process.
import { fork, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { System, type Keys } from "../test/harness/system.ts";
import type { FromSender, Load } from "./sender.ts";
import { machine } from "./store-place.ts";

const processes = ["gateway", "node", "nats-server", "api", "coordinator"] as const;
const ticksPerSecond = 100;
const probeEveryMs = 50;

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "10000" },
      points: { type: "string", default: "5000000" },
      tenants: { type: "string", default: "8" },
      shards: { type: "string", default: "4" },
      connections: { type: "string", default: "4" },
      "visible-rate": { type: "string", default: "20000" },
      "visible-seconds": { type: "string", default: "15" },
      "disk-budget": { type: "string", default: "8GB" },
      json: { type: "boolean", default: false },
    },
  });
  const series = Number(values.series);
  const points = Number(values.points);
  const say = (text: string) => process.stderr.write(`${text}\n`);

  const system = await System.start({
    shards: Number(values.shards),
    env: { MILLRACE_DISK_BUDGET: values["disk-budget"] },
  });
  try {
    const tenants: Keys[] = [];
    for (let i = 0; i < Number(values.tenants); i++) tenants.push(await system.addTenant(`bench${i}`));
    const keys = tenants.map((tenant) => tenant.writeKey);
    const load: Load = {
      port: system.tcpPort,
      keys,
      series,
      points,
      rate: 0,
      connections: Number(values.connections),
      seed: 1,
    };

    say(`sending ${points} points of ${series} series`);
    const pids = Object.fromEntries(processes.map((name) => [name, system.pid(name)]));
    const before = usage(pids);
    const sender = await startSender(load);
    const started = performance.now();
    await sender.done;
    const sentMs = performance.now() - started;
    await committed(system, points);
    const ingestMs = performance.now() - started;
    const after = usage(pids);
    const cpu = Object.fromEntries(
      processes.map((name) => [
        name,
        round(((after[name]?.cpu ?? 0) - (before[name]?.cpu ?? 0)) / (points / 1e6)),
      ]),
    );
    const result = {
      bench: "ingest",
      series,
      points,
      tenants: tenants.length,
      shards: Number(values.shards),
      seconds: round(ingestMs / 1000),
      sentSeconds: round(sentMs / 1000),
      pointsPerSecond: Math.round(points / (ingestMs / 1000)),
      cpuSecondsPerMillion: { ...cpu, all: round(Object.values(cpu).reduce((sum, value) => sum + value, 0)) },
      rssAnonMb: Object.fromEntries(
        processes.map((name) => [name, Math.round((after[name]?.rssAnonKb ?? 0) / 1024)]),
      ),
      rssPeakMb: Object.fromEntries(
        processes.map((name) => [name, Math.round((after[name]?.rssKb ?? 0) / 1024)]),
      ),
      visible: await visible(
        system,
        tenants,
        { ...load, rate: Number(values["visible-rate"]) },
        Number(values["visible-seconds"]),
      ),
      machine: machine(),
    };
    say(JSON.stringify(result, null, 2));
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await system.close();
  }
}

interface Sender {
  done: Promise<void>;
  child: ChildProcess;
}

/** Settles when the sender is connected and begins. */
function startSender(load: Load): Promise<Sender> {
  const file = `./sender${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`;
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), { stdio: "inherit" });
  child.send(load);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    const done = new Promise<void>((settle, fail) => {
      child.once("exit", (code) =>
        code === 0 ? settle() : fail(new Error(`the sender ended with ${code}`)),
      );
    });
    child.on("message", (message: FromSender) => {
      if (message.kind === "started") resolve({ done, child });
    });
  });
}

/** The store has all points and nothing is on its way. */
async function committed(system: System, points: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${system.nodePort}/metrics`);
    const text = await response.text();
    if (sum(text, "shard_points_total") >= points && sum(text, "shard_offset") === sum(text, "shard_read"))
      return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function sum(text: string, name: string): number {
  let total = 0;
  for (const line of text.split("\n"))
    if (line.startsWith(`${name}{`)) total += Number(line.slice(line.lastIndexOf(" ")));
  return total;
}

/** From send to visible in /render, ms, while a steady load runs: one new probe series at a time. */
async function visible(system: System, tenants: Keys[], load: Load, seconds: number) {
  const sender = await startSender({ ...load, points: load.rate * seconds });
  const tenant = tenants[0] as Keys;
  const taken: number[] = [];
  const until = performance.now() + seconds * 1000;
  for (let probe = 0; performance.now() < until; probe++) {
    const name = `probe.n${probe}`;
    const started = performance.now();
    const body = `${name} 1 ${Math.floor(Date.now() / 1000)}\n`;
    const response = await system.sink(tenant.writeKey, body);
    if (response.status !== 202) throw new Error(`the probe was answered ${response.status}`);
    while ((await system.render(tenant.readKey, name, "-1min")).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    taken.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, probeEveryMs));
  }
  await sender.done;
  taken.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(taken[Math.min(taken.length - 1, Math.floor(taken.length * share))] ?? 0);
  return { pointsPerSecond: load.rate, probes: taken.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

interface Usage {
  cpu: number;
  /** The most it ever had, mapped store files included. */
  rssKb: number;
  /** Its own memory now, without mapped files. */
  rssAnonKb: number;
}

function usage(pids: Record<string, number>): Record<string, Usage> {
  return Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const cpu = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
      const kb = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
      return [name, { cpu, rssKb: kb("VmHWM"), rssAnonKb: kb("RssAnon") }];
    }),
  );
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
