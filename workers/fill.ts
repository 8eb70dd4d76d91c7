// Entry of a fill lane's thread: fills the gaps of one shard behind live data.
import { parentPort, workerData } from "node:worker_threads";
import { ActorCell } from "../src/base/actor-cell.ts";
import { assert } from "../src/base/assert.ts";
import { Backoff } from "../src/base/backoff.ts";
import { giveWay } from "./behind-live.ts";
import { FillActor } from "./fill-actor.ts";
import { clock, closeLaneThread, openLaneThread, random } from "./lane-thread.ts";
import type { FromShard, ShardThreadData, ToShard } from "./messages.ts";
import { RefusedNames } from "./refused-names.ts";
import { SeriesLimits } from "./series-limits.ts";

const port = parentPort;
assert(port !== null, "the fill lane is started as a thread");
const task = workerData as ShardThreadData;
const { shard, instance, limits, lastDeath, fill, cell } = task;
assert(fill !== undefined, "the task is one of filling gaps");
const { epoch } = fill;
const tell = (message: FromShard): void => port.postMessage(message);

giveWay();
const seriesLimits = new SeriesLimits();
seriesLimits.tell(limits);
let { rate } = fill;
// Until the actor is there, nothing is held that a stop could lose.
let stop = (): void => process.exit(0);
port.on("message", (message: ToShard) => {
  if (message.kind === "stop") stop();
  else if (message.kind === "series-limits") seriesLimits.tell(message.limits);
  else if (message.kind === "rate") ({ rate } = message);
});

const { log, bus, engine, newAggregator } = await openLaneThread(task, `millrace-fill-${shard}`);
const actor = new FillActor({
  shard,
  epoch,
  instance,
  bus,
  openStore: () => engine.openShard(shard),
  openReader: () => engine.openReader(shard),
  newAggregator,
  clock,
  backoff: new Backoff({ firstMs: 100, mostMs: 5000, healthyMs: 30_000 }, clock, random),
  log,
  seriesLimits,
  refusedNames: new RefusedNames(random.bytes(16)),
  lastDeath,
  rate: () => rate,
  cell: new ActorCell(cell),
  onProgress: (progress) => tell({ kind: "filling", ...progress }),
});
stop = () => actor.stop();

// A thread that dies here is started again by who runs it; the error goes there as it is.
tell(await actor.run());
await closeLaneThread({ bus, log }, shard);
port.close();
