// A thread that commits one shard of the store's benches, as the shard's actor does in the product.
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import { SeriesSet, Stream } from "./store-load.ts";
import { Shared, type WriterData, type WriterRan, type WriterRun } from "./store-messages.ts";

const data = workerData as WriterData;
const { folder, mapBytes, shard, readSeries } = data;
const shared = new Shared(data.shared);
const weekSeconds = 7 * 86_400;
const waitMs = 5;

/** Times that a local number was given to a new series. */
const generation = new Uint16Array(data.series);
/** Series to replace, and a fraction of one that the next week takes over. */
let churnOwed = 0;
const utf8 = new TextEncoder();

/** Of 8,000 series to read servers.a.*.* are 5,000 over all four shards, servers.a.h1.* a hundred of one. */
function keyOf(local: number) {
  const old = generation[local] ?? 0;
  const part = local < readSeries ? (local < readSeries * 0.625 ? "a" : "b") : "c";
  const end = old === 0 ? "" : `-${old}`;
  const name = `servers.${part}.h${Math.floor(local / 100)}.requests-latency-${local % 100}${end}`;
  return { tenant: local < readSeries ? `read${shard}` : `t${shard}x${local % 2}`, name: utf8.encode(name) };
}

const set = new SeriesSet(data.series, keyOf, data.values, 7 + shard);
const engine = createLmdbEngine({ folder, mapBytes, clock: systemClock });
const store = await engine.openShard(shard);
const claimed = await store.claim({ node: "bench", mapVersion: 1, instance: "i" });
assert(claimed.kind === "claimed", "a claimed shard");
const { epoch } = claimed.state;
let { offset } = claimed.state;
let streamOf: { key: string; stream: Stream } | undefined;

async function run(job: WriterRun): Promise<WriterRan> {
  const { count, stepSeconds, startSeconds, untilSeconds, late } = job;
  // The same flow goes on where it stopped.
  const key = JSON.stringify([count, stepSeconds, startSeconds]);
  if (streamOf?.key !== key) {
    const flow = { set, count, stepSeconds, startSeconds, ...(late === undefined ? {} : { late }) };
    streamOf = { key, stream: new Stream(flow) };
  }
  const { stream } = streamOf;
  const commitMs: number[] = [];
  const tidyMs: number[] = [];
  const ran = { points: 0, waitedMs: 0, retired: 0, forgotten: 0 };
  let nextChurn = stream.seconds - (stream.seconds % weekSeconds) + weekSeconds;
  let nextTidy = stream.seconds + (job.tidySeconds ?? Number.POSITIVE_INFINITY);
  const started = performance.now();
  while (stream.seconds < untilSeconds && ran.points < job.pointsMost) {
    const until = Math.min(untilSeconds, nextTidy, job.churnShare === undefined ? untilSeconds : nextChurn);
    const { deltas, receivedAtMs } = stream.next(Math.min(job.rows, job.pointsMost - ran.points), until);
    if (deltas.count > 0) {
      const began = performance.now();
      await commit(deltas, receivedAtMs);
      commitMs.push(performance.now() - began);
      ran.points += deltas.count;
    }
    shared.setSeconds(shard, stream.seconds);
    if (stream.seconds >= nextChurn && job.churnShare !== undefined) {
      churn(count, job.churnShare);
      nextChurn += weekSeconds;
    }
    if (stream.seconds >= nextTidy) {
      nextTidy += job.tidySeconds ?? 0;
      await tidy(stream.seconds, tidyMs, ran);
    }
    const waiting = performance.now();
    if (job.commitsPerSecond > 0) {
      const due = started + ((commitMs.length + 1) * 1000) / job.commitsPerSecond;
      await systemClock.sleep(Math.max(0, due - performance.now()));
    } else {
      while (shared.behindBytes(shard) > job.behindBytesMost) await systemClock.sleep(waitMs);
      ran.waitedMs += performance.now() - waiting;
    }
  }
  return {
    ...ran,
    endSeconds: stream.seconds,
    commitMs: Float64Array.from(commitMs),
    tidyMs: Float64Array.from(tidyMs),
  };
}

async function commit(deltas: ReturnType<Stream["next"]>["deltas"], receivedAtMs: number): Promise<void> {
  const result = await store.commit({
    epoch,
    from: offset,
    to: offset + 1,
    incarnation: "bench",
    frameTimeMs: receivedAtMs,
    receivedAtMs,
    newSeries: set.newSeries(),
    deltas,
    boots: [
      { boot: "00112233445566778899aabbccddeeff", applied: [[1, offset + 1]], lastAppliedMs: receivedAtMs },
    ],
    keyed: [],
    ledger: [
      {
        tenant: `t${shard}x0`,
        door: "tcp",
        minute: Math.floor(receivedAtMs / 60_000) * 60,
        fate: "stored",
        reason: "",
        count: deltas.count,
      },
    ],
    dead: [],
    holes: [],
  });
  assert(result.kind === "ok", `a commit that is taken, got ${result.kind}`);
  set.named(result.ids);
  offset++;
}

/** Random locals begin a new series: nothing comes for the old one any more. */
function churn(count: number, share: number): void {
  for (churnOwed += count * share; churnOwed >= 1; churnOwed--) {
    const local = Math.floor(set.chance() * count);
    generation[local] = (generation[local] ?? 0) + 1;
    set.ids[local] = 0;
  }
}

async function tidy(nowSeconds: number, tookMs: number[], ran: { retired: number; forgotten: number }) {
  for (let more = true; more; ) {
    const began = performance.now();
    const retired = await store.retire(epoch, nowSeconds);
    tookMs.push(performance.now() - began);
    ran.retired += retired.ids.length;
    const gone = new Set(retired.ids);
    if (gone.size > 0)
      set.ids.forEach((id, local) => {
        if (gone.has(id)) set.ids[local] = 0;
      });
    more = retired.more;
  }
  for (let some = 1; some > 0; ) {
    const began = performance.now();
    const { keyed, boots, ledger, dead } = await store.forget(epoch, nowSeconds * 1000);
    tookMs.push(performance.now() - began);
    some = keyed + boots + ledger + dead;
    ran.forgotten += some;
  }
}

parentPort?.on(
  "message",
  async (job: WriterRun | { kind: "ids" } | { kind: "space" } | { kind: "close" }) => {
    switch (job.kind) {
      case "run":
        return parentPort?.postMessage(await run(job));
      case "ids":
        return parentPort?.postMessage(set.ids.slice(0, readSeries));
      case "space":
        return parentPort?.postMessage(store.space());
      case "close":
        await store.close();
        return parentPort?.postMessage("closed");
    }
  },
);
