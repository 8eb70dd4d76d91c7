// What every thread that reads a shard's record has: a NATS connection and a store of its own, and aggregators.
import { systemClock } from "../src/base/clock.ts";
import { messageOf } from "../src/base/errors.ts";
import { makeLog, type Log } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import type { Bus } from "../src/bus/bus.ts";
import { connectNats } from "../src/bus/nats.ts";
import { natsUrlOf, storeFolder } from "../src/config/places.ts";
import type { Settings } from "../src/config/settings.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";
import { createKernelAggregator } from "../src/kernel/kernel-aggregator.ts";
import { createPlainAggregator } from "../src/kernel/plain-aggregator.ts";
import { createLmdbEngine, type LmdbEngine } from "../src/store/lmdb.ts";
import { withFaults } from "./faults.ts";

/** As fine as any ladder may be: which rungs the rows go into, upkeep decides by rules that the actor doesn't know. */
const bucketSeconds = 1;

export const clock = systemClock;
export const random = systemRandom;

export interface LaneThread {
  log: Log;
  bus: Bus;
  engine: LmdbEngine;
  newAggregator: () => Aggregator;
}

/** Settles when NATS is there. */
export async function openLaneThread(
  { settings, storeBytes }: { settings: Settings; storeBytes: number },
  name: string,
): Promise<LaneThread> {
  const log = makeLog("node", settings.logLevel);
  const bus = await connectNats({
    transport: settings.natsTransport,
    url: natsUrlOf(settings),
    name,
    clock,
    random,
    log,
  });
  const engine = createLmdbEngine({ folder: storeFolder(settings), mapBytes: storeBytes, clock });
  const create = settings.kernel === "plain" ? createPlainAggregator : createKernelAggregator;
  const isFaulty = (process.env["MILLRACE_FAULTS"] ?? "") !== "";
  const newAggregator = (): Aggregator => {
    const aggregator = create({ stepSeconds: bucketSeconds, seed: random.bytes(8) });
    return isFaulty ? withFaults(aggregator) : aggregator;
  };
  return { log, bus, engine, newAggregator };
}

/** What it holds of NATS goes; a thread that ends well ends also where that fails. */
export async function closeLaneThread(
  { bus, log }: Pick<LaneThread, "bus" | "log">,
  shard: number,
): Promise<void> {
  await bus
    .close()
    .catch((error: unknown) => log.warn({ shard, why: messageOf(error) }, "closing the bus failed"));
}
