// One side of bench/record.ts, in a process of its own: it publishes frames as fast as they are taken, or reads what is
// there. It uses the bus as gateways and actors do, and nothing above it.
//
// R1. Frames are made before the clock starts, and one is not used again before its answer has come.
import { systemClock } from "../src/base/clock.ts";
import { systemRandom } from "../src/base/random.ts";
import type { Bus } from "../src/bus/bus.ts";
import { connectNats } from "../src/bus/nats.ts";
import type { TransportName } from "../src/bus/nats-transport.ts";

export interface PartTask {
  role: "publish" | "read";
  url: string;
  transport: TransportName;
  shards: number;
  frameBytes: number;
  /** Of each shard. */
  frames: number;
  /** On their way at a time, of each shard. */
  inFlight: number;
}

export type ToPart = { kind: "prepare"; task: PartTask } | { kind: "go" } | { kind: "end" };
export type FromPart = { kind: "ready" } | { kind: "done"; seconds: number; cpuSeconds: number };

let buses: Bus[] = [];
let task: PartTask | undefined;

process.on("message", (message: ToPart) => void obey(message));

async function obey(message: ToPart): Promise<void> {
  if (message.kind === "prepare") {
    ({ task } = message);
    // A gateway has one connection, each actor its own.
    const count = task.role === "publish" ? 1 : task.shards;
    const options = { url: task.url, transport: task.transport, clock: systemClock, random: systemRandom };
    buses = await Promise.all(
      Array.from({ length: count }, () => connectNats({ ...options, name: "bench-record" })),
    );
    tell({ kind: "ready" });
  } else if (message.kind === "go" && task !== undefined) {
    const started = performance.now();
    const before = process.cpuUsage();
    await (task.role === "publish" ? publishAll(task) : readAll(task));
    const { user, system } = process.cpuUsage(before);
    const seconds = (performance.now() - started) / 1000;
    tell({ kind: "done", seconds, cpuSeconds: (user + system) / 1e6 });
  } else {
    for (const bus of buses) await bus.close();
    process.disconnect();
  }
}

function tell(message: FromPart): void {
  process.send?.(message);
}

async function publishAll({ shards, frameBytes, frames, inFlight }: PartTask): Promise<void> {
  const [bus] = buses as [Bus];
  const boot = Buffer.from(systemRandom.bytes(16)).toString("base64url");
  const lane = async (shard: number, first: number) => {
    const frame = Buffer.alloc(frameBytes, "one.of.many.metrics 5213.07 1795371234\n");
    for (let n = first; n < frames; n += inFlight) await bus.publish(shard, `${boot}.${shard}.${n}`, frame); // R1
  };
  await Promise.all(
    Array.from({ length: shards * inFlight }, (_, i) => lane(i % shards, Math.floor(i / shards))),
  );
}

async function readAll({ frameBytes, frames }: PartTask): Promise<void> {
  await Promise.all(
    buses.map(
      (bus, shard) =>
        new Promise<void>((resolve, reject) => {
          const onFrame = ({ sequence, data }: { sequence: number; data: Uint8Array }) => {
            if (data.length !== frameBytes) reject(new Error(`frame ${sequence} has ${data.length} bytes`));
            bus.release(data);
            if (sequence === frames) resolve();
          };
          bus.read(shard, 1, { onFrame, onEnd: reject }).catch(reject);
        }),
    ),
  );
}
