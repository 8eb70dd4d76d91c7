// Entry of an actor's thread: its own NATS connection, its own store, one shard.
import { parentPort } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { ActorCell } from "../src/base/actor-cell.ts";
import { Backoff } from "../src/base/backoff.ts";
import { isOutage, messageOf, Outage } from "../src/base/errors.ts";
import { clock, closeLaneThread, openLaneThread, random } from "./lane-thread.ts";
import type { Chore, ChoreDone, FromShard, ToShard } from "./messages.ts";
import { RefusedNames } from "./refused-names.ts";
import { SeriesLimits } from "./series-limits.ts";
import { awaitTask } from "./spare.ts";
import { RefusedLines } from "../src/gateway/refused-lines.ts";
import { ShardActor } from "./shard-actor.ts";

const port = parentPort;
assert(port !== null, "the actor is started as a thread");
const task = awaitTask(port);
const { shard, mapVersion, instance, settings, limits, lastDeath, first, cell } = task;
const tell = (message: FromShard): void => port.postMessage(message);

const seriesLimits = new SeriesLimits();
seriesLimits.tell(limits);

const refusedLines = new RefusedLines(clock);

// Until the actor is there, nothing is held that a stop could lose.
let stop = (): void => process.exit(0);
let doChore = (_chore: Chore): Promise<ChoreDone> =>
  Promise.reject(new Outage("store-unavailable", "the shard is only just starting"));
port.on("message", (message: ToShard) => {
  if (message.kind === "stop") stop();
  else if (message.kind === "series-limits") seriesLimits.tell(message.limits);
  else if (message.kind === "rate") return;
  else if (message.kind === "refused-lines") {
    const { request, tenant } = message;
    tell({ kind: "refused-lines", request, lines: refusedLines.of(tenant) });
  } else {
    const { request } = message;
    doChore(message).then(
      (done) => tell({ ...done, request }),
      (error: unknown) => {
        const code = isOutage(error) ? error.code : "store-unavailable";
        tell({ kind: "chore-failed", request, code, why: messageOf(error) });
      },
    );
  }
});

const { log, bus, engine, newAggregator } = await openLaneThread(task, `millrace-shard-${shard}`);
const actor = new ShardActor({
  shard,
  owner: { node: settings.node, mapVersion, instance },
  bus,
  openStore: () => engine.openShard(shard),
  openReader: () => engine.openReader(shard),
  newAggregator,
  clock,
  backoff: new Backoff({ firstMs: 100, mostMs: 5000, healthyMs: 30_000 }, clock, random),
  log,
  commitMs: settings.commitMs,
  replayWindowMs: settings.replayWindow,
  seriesLimits,
  lastDeath,
  refusedLines,
  refusedNames: new RefusedNames(random.bytes(16)),
  cell: new ActorCell(cell),
  first,
  onFirst: tell,
  onProgress: (progress) => tell({ kind: "progress", ...progress }),
  onReady: () => tell({ kind: "ready" }),
});

stop = () => actor.stop();
doChore = (chore) => actor.chore(chore);

// A thread that dies here is started again by its supervisor; the error goes there as it is.
const ended = await actor.run();
tell(ended);
await closeLaneThread({ bus, log }, shard);
port.close();
