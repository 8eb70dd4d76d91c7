// Entry of the thread that rebuilds a tenant's time from the record, behind live data.
import { parentPort, workerData } from "node:worker_threads";
import { ActorCell } from "../src/base/actor-cell.ts";
import { assert } from "../src/base/assert.ts";
import { Backoff } from "../src/base/backoff.ts";
import { giveWay } from "./behind-live.ts";
import { clock, closeLaneThread, openLaneThread, random } from "./lane-thread.ts";
import type { FromShard, ShardThreadData, ToShard } from "./messages.ts";
import { RefusedNames } from "./refused-names.ts";
import { ReplayJob } from "./replay.ts";
import { SeriesLimits } from "./series-limits.ts";

const port = parentPort;
assert(port !== null, "the job is started as a thread");
const task = workerData as ShardThreadData;
const { shard, limits, replay, cell } = task;
assert(replay !== undefined, "the task is one of a replay");
const tell = (message: FromShard): void => port.postMessage(message);

giveWay();
const seriesLimits = new SeriesLimits();
seriesLimits.tell(limits);
let { rate } = replay;
// Until the job is there, nothing is held that a stop could lose.
let stop = (): void => process.exit(0);
let tellRate = (): void => {};
port.on("message", (message: ToShard) => {
  if (message.kind === "stop") stop();
  else if (message.kind === "series-limits") seriesLimits.tell(message.limits);
  else if (message.kind === "rate") {
    ({ rate } = message);
    tellRate();
  }
});

const { log, bus, engine, newAggregator } = await openLaneThread(task, `millrace-replay-${shard}`);
const job = new ReplayJob({
  shard,
  epoch: replay.epoch,
  rate,
  bus,
  openStore: () => engine.openShard(shard),
  openReader: () => engine.openReader(shard),
  newAggregator,
  clock,
  backoff: new Backoff({ firstMs: 100, mostMs: 5000, healthyMs: 30_000 }, clock, random),
  log,
  seriesLimits,
  refusedNames: new RefusedNames(random.bytes(16)),
  cell: new ActorCell(cell),
  onProgress: (progress) => tell({ kind: "replaying", ...progress }),
});
stop = () => job.stop();
tellRate = () => job.tell(rate);

// A thread that dies here is started again by who runs it; the error goes there as it is.
tell({ kind: "replayed", ended: await job.run() });
await closeLaneThread({ bus, log }, shard);
port.close();
