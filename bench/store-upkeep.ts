// A thread that keeps shards of the store's benches up, as a node's job does in the product.
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import { parseLadder } from "../src/metric/bucket.ts";
import { compileLadderRules } from "../src/metric/ladder-rules.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import type { ShardUpkeep } from "../src/store/store.ts";
import { sumOf } from "./store-threads.ts";
import { Shared, type ToUpkeep, type UpkeepData, type UpkeepRan } from "./store-messages.ts";

const data = workerData as UpkeepData;
const shared = new Shared(data.shared);
const parsed = parseLadder(data.ladder);
assert(parsed.kind === "ladder", `a ladder, got ${data.ladder}`);
const ladders = compileLadderRules(1, parsed.ladder, new Map());
const engine = createLmdbEngine({ folder: data.folder, mapBytes: data.mapBytes, clock: systemClock });
const kept = new Map<number, ShardUpkeep>();
for (const shard of data.shards) kept.set(shard, await engine.openUpkeep(shard));
const idleMs = 20;

let taken: Record<string, { stepMs: number[]; rows: number; bytes: number }> = {};
let overtaken = 0;
let backlogBytesMost = 0;
const backlog = new Map<number, number>();
let running: Promise<void> | undefined;
let pausing = false;

/** Whether there was something to do. */
async function step(shard: number, upkeep: ShardUpkeep, all: boolean): Promise<boolean> {
  const began = performance.now();
  const result = await upkeep.step({ nowSeconds: shared.seconds(shard), ladders, all });
  backlog.set(shard, result.backlogBytes);
  if (result.backlogBytes > backlogBytesMost) backlogBytesMost = result.backlogBytes;
  shared.setBehindBytes(shard, result.kind === "idle" ? 0 : result.backlogBytes);
  if (result.kind === "idle") return false;
  if (result.kind === "overtaken") {
    overtaken++;
    return true;
  }
  const work = (taken[result.work] ??= { stepMs: [], rows: 0, bytes: 0 });
  work.stepMs.push(performance.now() - began);
  work.rows += result.rows;
  work.bytes += result.bytes;
  return true;
}

async function run(): Promise<void> {
  while (!pausing) {
    let worked = false;
    for (const [shard, upkeep] of kept) worked = (await step(shard, upkeep, false)) || worked;
    if (!worked) await systemClock.sleep(idleMs);
  }
}

async function drain(all: boolean): Promise<void> {
  for (const [shard, upkeep] of kept) while (await step(shard, upkeep, all));
}

/** What was done since the last report. */
function report(): UpkeepRan {
  const steps = Object.fromEntries(
    Object.entries(taken).map(([work, { stepMs, rows, bytes }]) => [
      work,
      { stepMs: Float64Array.from(stepMs), rows, bytes },
    ]),
  );
  const ran = { steps, overtaken, backlogBytesMost, backlogBytes: sumOf(backlog.values()) };
  taken = {};
  backlogBytesMost = 0;
  overtaken = 0;
  return ran;
}

parentPort?.on("message", async (job: ToUpkeep | { kind: "close" }) => {
  switch (job.kind) {
    case "start":
      pausing = false;
      running = run();
      return parentPort?.postMessage("started");
    case "pause":
      pausing = true;
      await running;
      return parentPort?.postMessage(report());
    case "drain":
      await drain(job.all);
      return parentPort?.postMessage(report());
    case "close":
      for (const upkeep of kept.values()) await upkeep.close();
      return parentPort?.postMessage("closed");
  }
});
