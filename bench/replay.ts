// A recorded stream is aggregated again: what a shard that lost its store does, or one that catches up.
//
//   npm run bench -- replay [--points 20000000] [--series 10000] [--json]
//
// The real system records the points, its node is killed and its store taken away; the node that takes its place
// starts at offset 0 and commits everything again (`replay`). Then as many threads as there are shards read the same
// streams and aggregate, but commit nothing (`reading`): what is left of the cost without a store.
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { System, type Keys, type LogLine } from "../test/harness/system.ts";
import { round } from "./figures.ts";
import { committed } from "./ingest.ts";
import type { ReadDone, ReadTask } from "./replay-reader.ts";
import { Sender } from "./sending.ts";
import { machine } from "./store-place.ts";
import { perMillion, Usage } from "./usage.ts";

const reader = new URL(
  `./replay-reader${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "10000" },
      points: { type: "string", default: "20000000" },
      tenants: { type: "string", default: "8" },
      shards: { type: "string", default: "4" },
      "disk-budget": { type: "string", default: "16GB" },
      kernel: { type: "string", default: "auto" },
      json: { type: "boolean", default: false },
    },
  });
  const { kernel } = values;
  const shards = Number(values.shards);
  const series = Number(values.series);
  const points = Number(values.points);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const system = await System.start({
    shards,
    env: { MILLRACE_DISK_BUDGET: values["disk-budget"], MILLRACE_KERNEL: kernel },
  });
  try {
    say(`recording ${points} points of ${series} series`);
    const frames = await record(system, series, points, Number(values.tenants));
    say(`${frames} frames, again from the first`);
    const replay = await again(system, shards, points);
    say("reading alone");
    const result = {
      bench: "replay",
      points,
      series,
      frames,
      replay,
      reading: await readAlone(system, shards, points, kernel),
      shards,
      kernel,
      machine: machine(),
    };
    say(JSON.stringify(result, null, 2));
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    await system.close();
  }
}

/** Answers how many frames there are. */
async function record(system: System, series: number, points: number, tenantCount: number): Promise<number> {
  const tenants: Keys[] = [];
  for (let i = 0; i < tenantCount; i++) tenants.push(await system.addTenant(`bench${i}`));
  const keys = tenants.map((tenant) => tenant.writeKey);
  const sender = await Sender.start({ port: system.tcpPort, keys, series, connections: 4, seed: 1 });
  const { done } = await sender.send(points, 0);
  await done;
  await sender.end();
  await committed(system, points);
  const health = await system.nodeHealth();
  return health.shards.reduce((sum, { progress }) => sum + (progress?.offset ?? 0), 0);
}

/** Kills the node, takes its store away, and waits until the next one has committed everything. */
async function again(system: System, shards: number, points: number) {
  const from = system.log.length;
  const reads = () =>
    system.log.slice(from).filter((line) => line.process === "node" && line.msg === "shard reads");
  await rename(join(system.home, "store"), join(system.home, "store-before"));
  const killedMs = Date.now();
  process.kill(system.pid("node"), "SIGKILL");
  await system.until(() => reads().length === shards, "a node that reads all shards");
  if (reads().some((line) => line["offset"] !== 0)) throw new Error("a shard did not start at offset 0");
  const ready = (line: LogLine) => line.process === "node" && line.msg === "ready";
  await system.until(() => system.log.slice(from).some(ready), "the node's ready");
  const usage = new Usage(system);
  try {
    const startedMs = Math.min(...reads().map((line) => Date.parse(String(line["time"]))));
    await committed(system, points);
    const seconds = (Date.now() - startedMs) / 1000;
    // The node is new: what it used, it used for this.
    const { node = 0 } = usage.cpuSeconds();
    return {
      pointsPerSecond: Math.round(points / seconds),
      seconds: round(seconds),
      secondsFromKill: round((Date.now() - killedMs) / 1000),
      cpuSecondsPerMillion: perMillion({}, { node }, points)["node"],
      nodeRssAnonPeakMb: usage.memory().rssAnonPeakMb["node"],
    };
  } finally {
    usage.stop();
  }
}

/** Reads and aggregates all streams at once, a thread each; throws when a point is missing. */
async function readAlone(system: System, shards: number, points: number, kernel: string) {
  const url = `nats://127.0.0.1:${system.natsPort}`;
  const workers = Array.from({ length: shards }, (_, shard) => {
    const workerData: ReadTask = { url, shard, kernel };
    const worker = new Worker(fileURLToPath(reader), { workerData });
    const next = () =>
      new Promise<ReadDone>((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      });
    return { worker, next, ready: next() };
  });
  await Promise.all(workers.map(({ ready }) => ready));
  const started = performance.now();
  const before = process.cpuUsage();
  const done = workers.map(({ worker, next }) => {
    const answer = next();
    worker.postMessage("go");
    return answer;
  });
  const counted = (await Promise.all(done)).reduce((sum, each) => sum + each.points, 0);
  const seconds = (performance.now() - started) / 1000;
  const { user, system: kernelTime } = process.cpuUsage(before);
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
  if (counted !== points) throw new Error(`${counted} points were read, ${points} were recorded`);
  return {
    pointsPerSecond: Math.round(points / seconds),
    seconds: round(seconds),
    cpuSecondsPerMillion: round((user + kernelTime) / points),
  };
}
