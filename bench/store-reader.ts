// A thread that reads the store's benches' shards as a query thread of the api does: a snapshot per shard and query,
// closed at the query's end.
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import { giveBack } from "../src/store/cells.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import type { ShardReader, Snapshot } from "../src/store/store.ts";
import type { ReaderData, ReaderRan, ReaderRun, SizeRan, SizeRun } from "./store-messages.ts";

const data = workerData as ReaderData;
const engine = createLmdbEngine({ ...data, readOnly: true, clock: systemClock });
const readers: ShardReader[] = [];
for (let shard = 0; shard < data.shards; shard++) readers.push(await engine.openReader(shard));
const random = seededRandom(11);

async function withSnapshot<T>(
  shard: number,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T | undefined> {
  const snapshot = await readers[shard]?.snapshot();
  try {
    return snapshot === undefined ? undefined : await use(snapshot);
  } finally {
    snapshot?.close();
  }
}

/** Up to a hundred series are of one shard, as a tenant's are; more come from all. */
function shardsOf(count: number): number[] {
  return count <= 100 ? [random.below(readers.length)] : readers.map((_, shard) => shard);
}

/** Distinct ones of those that live: the others are 0. */
function choose(all: Uint32Array, count: number): number[] {
  const ids = all.filter((id) => id > 0);
  const out = new Set<number>();
  while (out.size < Math.min(count, ids.length)) out.add(ids[random.below(ids.length)] ?? 0);
  return [...out];
}

async function query(job: ReaderRun): Promise<{ series: number; filled: number }> {
  const shards = shardsOf(job.count);
  const each = Math.ceil(job.count / shards.length);
  let series = 0;
  let filled = 0;
  let samples = 0;
  for (const shard of shards) {
    const chosen = choose(job.ids[shard] ?? new Uint32Array(0), job.find === undefined ? each : 0);
    await withSnapshot(shard, async (snapshot) => {
      const wanted = job.find?.[shard];
      const ids =
        wanted === undefined
          ? chosen
          : (await snapshot.findSeries(wanted.tenant, wanted.pattern, each)).map(({ id }) => id);
      const cells = await snapshot.fetch(ids, job, ["sum"]);
      series += ids.length;
      for (let i = 0; i < cells.points.length; i += 97, samples++) if ((cells.points[i] ?? 0) > 0) filled++;
      giveBack(cells);
    });
  }
  return { series, filled: samples === 0 ? 0 : filled / samples };
}

async function read(job: ReaderRun): Promise<ReaderRan> {
  const queryMs: number[] = [];
  let last = { series: 0, filled: 0 };
  const until = performance.now() + job.secondsMost * 1000;
  // The first one opens and compiles: not counted, nor the one that is under way when the time is up left out.
  for (let i = 0; i <= job.queriesMost && (i < 2 || performance.now() < until); i++) {
    const began = performance.now();
    last = await query(job);
    if (i > 0) queryMs.push(performance.now() - began);
  }
  return { queryMs: Float64Array.from(queryMs), ...last };
}

async function size({ tenants }: SizeRun): Promise<SizeRan> {
  const sum: SizeRan = { series: 0, points: 0, bytes: 0 };
  for (const { shard, tenant } of tenants)
    await withSnapshot(shard, async (snapshot) => {
      const { series, points, bytes } = await snapshot.tenantSize(tenant);
      sum.series += series;
      sum.points += points;
      sum.bytes += bytes;
    });
  return sum;
}

parentPort?.on("message", async (job: ReaderRun | SizeRun | { kind: "close" }) => {
  switch (job.kind) {
    case "read":
      return parentPort?.postMessage(await read(job));
    case "size":
      return parentPort?.postMessage(await size(job));
    case "close":
      for (const reader of readers) await reader.close();
      return parentPort?.postMessage("closed");
  }
});
