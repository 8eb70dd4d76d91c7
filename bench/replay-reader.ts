// A thread that reads a shard's stream from its first frame to its last and aggregates it, as an actor does, but has no
// store: its columns go nowhere. Told "go", it begins; it answers how many points counted.
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import { makeLog } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import { createKernelAggregator } from "../src/kernel/kernel-aggregator.ts";
import { createPlainAggregator } from "../src/kernel/plain-aggregator.ts";
import { decodeFrame } from "../src/metric/frame.ts";

export interface ReadTask {
  url: string;
  shard: number;
  kernel: string;
}

export interface ReadDone {
  points: number;
}

const commitPoints = 500_000;

const port = parentPort;
assert(port !== null, "the reader is started as a thread");
const { url, shard, kernel } = workerData as ReadTask;
const bus = await connectNats({
  url,
  name: `bench-replay-${shard}`,
  clock: systemClock,
  random: systemRandom,
  log: makeLog("bench", "error"),
  onWaiting: () => {},
});
const createAggregator = kernel === "plain" ? createPlainAggregator : createKernelAggregator;
const aggregator = createAggregator({ stepSeconds: 1, seed: systemRandom.bytes(8) });
const tenants = new Map<string, number>();
const { firstSequence, lastSequence } = await bus.streamState(shard);

port.on("message", () => void readAll());
port.postMessage({ points: 0 } satisfies ReadDone);

async function readAll(): Promise<void> {
  let points = 0;
  let open = 0;
  await new Promise<void>((resolve, reject) => {
    if (lastSequence === 0) resolve();
    const onFrame = ({ sequence, data }: { sequence: number; data: Uint8Array }) => {
      const counted = ingest(data);
      points += counted;
      open += counted;
      if (open >= commitPoints) {
        aggregator.commit();
        open = 0;
      }
      if (sequence === lastSequence) resolve();
    };
    bus.read(shard, firstSequence, { onFrame, onEnd: reject }).catch(reject);
  });
  aggregator.commit();
  port?.postMessage({ points } satisfies ReadDone);
}

function ingest(data: Uint8Array): number {
  const decoded = decodeFrame(data);
  if (decoded.kind !== "frame") throw new Error("the record holds something that is no frame");
  let points = 0;
  for (const { tenant, lines } of decoded.frame.sections) {
    let number = tenants.get(tenant);
    if (number === undefined) tenants.set(tenant, (number = tenants.size));
    points += aggregator.ingest(number, lines, decoded.frame.receivedAtMs, (reason) => {
      throw new Error(`a line was refused with reason ${reason}`);
    });
  }
  return points;
}
