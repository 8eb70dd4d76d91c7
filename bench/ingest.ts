// The whole way of a point, measured: TCP door, record with fsync, actor, committed to the store, visible in /render.
//
//   npm run bench -- ingest [--series 10000] [--points 6000000] [--json] [--profile FOLDER]
//   npm run bench -- ingest --growth            10k, 100k, 500k and 2M series, one after the other, as a table
//
// The system is the real one, as `npm start` runs it, in a folder of its own. Throughput counts from the first byte
// sent until the last point is committed. CPU seconds are the machine's own accounting of each process.
//
// First each series comes once (`cold`: it gets its name in the store), then the points that are asked for (`warm`).
// With --at-once there is no such first round: new series and their next points come mixed, as `warm`.
import { parseArgs } from "node:util";
import { System, type Keys } from "../test/harness/system.ts";
import { round } from "./figures.ts";
import { Profile } from "./profile.ts";
import { Sender } from "./sending.ts";
import { machine } from "./store-place.ts";
import { perMillion, Usage } from "./usage.ts";
import { measureVisible, type Visible } from "./visible.ts";

const lookEveryMs = 20;
const growthSeries = [10_000, 100_000, 500_000, 2_000_000];

interface Options {
  series: number;
  points: number;
  tenants: number;
  shards: number;
  connections: number;
  visibleRates: number[];
  visibleSeconds: number;
  diskBudget: string;
  kernel: string;
  atOnce: boolean;
  profile: string | undefined;
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "10000" },
      points: { type: "string", default: "6000000" },
      tenants: { type: "string", default: "8" },
      shards: { type: "string", default: "4" },
      connections: { type: "string", default: "4" },
      "visible-rate": { type: "string", default: "20000,100000" },
      "visible-seconds": { type: "string", default: "10" },
      "disk-budget": { type: "string", default: "16GB" },
      kernel: { type: "string", default: "auto" },
      "at-once": { type: "boolean", default: false },
      profile: { type: "string" },
      growth: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const options: Options = {
    series: Number(values.series),
    points: Number(values.points),
    tenants: Number(values.tenants),
    shards: Number(values.shards),
    connections: Number(values.connections),
    visibleRates: values["visible-rate"].split(",").map(Number),
    visibleSeconds: Number(values["visible-seconds"]),
    diskBudget: values["disk-budget"],
    kernel: values.kernel,
    atOnce: values["at-once"],
    profile: values.profile,
  };
  if (values.growth) {
    const runs: Result[] = [];
    for (const series of growthSeries)
      runs.push(await measure({ ...options, series, visibleSeconds: 0, profile: undefined }));
    say(growthTable(runs));
    if (values.json) process.stdout.write(`${JSON.stringify({ bench: "ingest", growth: runs })}\n`);
    return;
  }
  const result = await measure(options);
  say(JSON.stringify(result, null, 2));
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

interface Phase {
  points: number;
  pointsPerSecond: number;
  /** Until the last point is committed; until the sender had handed over everything. */
  seconds: number;
  sentSeconds: number;
  cpuSecondsPerMillion: Record<string, number>;
  senderCpuSecondsPerMillion: number;
}

interface Result {
  bench: "ingest";
  series: number;
  cold?: Phase;
  warm: Phase;
  rssPeakMb: Record<string, number>;
  rssAnonPeakMb: Record<string, number>;
  visible: Visible[];
  tenants: number;
  shards: number;
  kernel: string;
  machine: ReturnType<typeof machine>;
}

async function measure(options: Options): Promise<Result> {
  const { series, points, shards, kernel } = options;
  const profile = options.profile === undefined ? undefined : await Profile.prepare(options.profile);
  const system = await System.start({
    shards,
    env: { MILLRACE_DISK_BUDGET: options.diskBudget, MILLRACE_KERNEL: kernel, ...profile?.env },
  });
  let sender: Sender | undefined;
  let usage: Usage | undefined;
  try {
    const tenants: Keys[] = [];
    for (let i = 0; i < options.tenants; i++) tenants.push(await system.addTenant(`bench${i}`));
    const load = { port: system.tcpPort, keys: tenants.map((tenant) => tenant.writeKey), series, seed: 1 };
    sender = await Sender.start({ ...load, connections: options.connections });
    usage = new Usage(system);
    const start = { system, sender, usage };
    const cold = options.atOnce ? undefined : await phase(start, series, 0);
    say(`${series} series are there, sending ${points} points`);
    await profile?.start(usage.pids, points);
    const warm = await phase(start, points, cold === undefined ? 0 : series);
    const memory = usage.memory();
    if (profile !== undefined) say(await profile.stop(warm.cpuSeconds));
    const visible: Visible[] = [];
    for (const rate of options.visibleSeconds > 0 ? options.visibleRates : [])
      visible.push(await measureVisible(system, tenants[0] as Keys, sender, rate, options.visibleSeconds));
    return {
      bench: "ingest",
      series,
      ...(cold === undefined ? {} : { cold: cold.figures }),
      warm: warm.figures,
      ...memory,
      visible,
      tenants: tenants.length,
      shards,
      kernel,
      machine: machine(),
    };
  } finally {
    usage?.stop();
    await sender?.end();
    await system.close();
  }
}

/** Sends and waits until all of it is committed, with what was before. */
async function phase(
  { system, sender, usage }: { system: System; sender: Sender; usage: Usage },
  points: number,
  pointsBefore: number,
): Promise<{ figures: Phase; cpuSeconds: Record<string, number> }> {
  const before = usage.cpuSeconds();
  const { done } = await sender.send(points, 0);
  const started = performance.now();
  const { cpuSeconds: senderCpu } = await done;
  const sentMs = performance.now() - started;
  await committed(system, pointsBefore + points);
  const ms = performance.now() - started;
  const after = usage.cpuSeconds();
  return {
    figures: {
      points,
      pointsPerSecond: Math.round(points / (ms / 1000)),
      seconds: round(ms / 1000),
      sentSeconds: round(sentMs / 1000),
      cpuSecondsPerMillion: perMillion(before, after, points),
      senderCpuSecondsPerMillion: round(senderCpu / (points / 1e6)),
    },
    cpuSeconds: Object.fromEntries(
      Object.entries(after).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]),
    ),
  };
}

/** The store has all points and nothing is on its way. */
export async function committed(system: System, points: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${system.nodePort}/metrics`);
    const text = await response.text();
    if (sum(text, "shard_points_total") >= points && sum(text, "shard_offset") === sum(text, "shard_read"))
      return;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

function sum(text: string, name: string): number {
  let total = 0;
  for (const line of text.split("\n"))
    if (line.startsWith(`${name}{`)) total += Number(line.slice(line.lastIndexOf(" ")));
  return total;
}

function growthTable(runs: readonly Result[]): string {
  const cells = (phase: Phase | undefined) => {
    if (phase === undefined) return ["-", "-"];
    const { gateway, node, "nats-server": nats, all } = phase.cpuSecondsPerMillion;
    return [phase.pointsPerSecond.toLocaleString("en"), [gateway, node, nats, all].join(", ")];
  };
  const rows = runs.map((run) => [
    run.series.toLocaleString("en"),
    ...cells(run.cold),
    ...cells(run.warm),
    `${run.rssPeakMb["node"]}, ${run.rssAnonPeakMb["node"]}`,
  ]);
  const cost = "CPU s per million: gateway, node, nats-server, all";
  const head = ["series", "cold points/s", cost, "warm points/s", cost, "node RSS MB: all, own"];
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}
