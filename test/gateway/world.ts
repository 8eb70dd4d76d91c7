// Doors without processes: batchers of two shards on a memory bus, a real directory, a tenant at home on each shard.
import assert from "node:assert/strict";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { MemoryBus, PublishFault } from "../../src/bus/memory.ts";
import { RawSink } from "../../src/gateway/accept.ts";
import { ShardBatcher } from "../../src/gateway/batch.ts";
import { KeyCache } from "../../src/gateway/key-cache.ts";
import { Gates } from "../../src/gateway/limits.ts";
import { Rates } from "../../src/gateway/rates.ts";
import { Refusals } from "../../src/gateway/refusals.ts";
import { RefusedLines } from "../../src/gateway/refused-lines.ts";
import { UnwantedSenders } from "../../src/gateway/unwanted-senders.ts";
import { RequestAcceptor } from "../../src/gateway/request.ts";
import { Routes } from "../../src/gateway/routes.ts";
import { ShardSpool } from "../../src/gateway/spool.ts";
import { Tally } from "../../src/gateway/tally.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import type { Ladder } from "../../src/metric/bucket.ts";
import { decodeFrame, messageId, type Door, type Frame } from "../../src/metric/frame.ts";
import type { Directory } from "../../src/tenant/directory.ts";
import { tenantReach } from "../../src/tenant/rules.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { hearLog } from "../harness/log.ts";
import { MemoryDisk } from "./spool-disk.ts";
import { volatile } from "./volatile.ts";
import { follow, withWorld, type World as DirectoryWorld } from "../tenant/directory-world.ts";

export const ladder: Ladder = { rungs: [{ stepSeconds: 10, spanSeconds: 172_800 }] };
export const shards = 2;

/** Settings of a gateway whose doors take any free port. */
export const anyPorts = Object.fromEntries(
  ["TCP", "UDP", "PICKLE", "STATSD", "HTTP"].map((door) => [`MILLRACE_${door}_LISTEN`, "127.0.0.1:0"]),
);

export interface Member {
  tenant: Tenant;
  writeKey: string;
  readKey: string;
}

export interface GatewayWorld extends DirectoryWorld {
  directory: Directory;
  /** The gateway's own connection; `fault` decides about each of its publishes. */
  own: MemoryBus;
  fault: (shard: number, id: string) => PublishFault;
  heard: ReturnType<typeof hearLog>;
  batchers: ShardBatcher[];
  /** The disk of the spool, where the test asked for one. */
  disk: MemoryDisk;
  /** Another gateway process of the same name, on the same disk; nobody told the first one. */
  again(): Promise<ShardBatcher[]>;
  routes: Routes;
  acceptor: RequestAcceptor;
  /** members[s] is at home on shard s. */
  members: [Member, Member];
  sink(): RawSink;
  /** Of the UDP door. */
  datagrams(bytes: Buffer, peer: string): void;
  /** All frames of a shard, in their order. */
  frames(shard: number): Promise<Frame[]>;
  /** All lines of a shard's distinct frames, sorted. */
  lines(shard: number): Promise<string[]>;
  /** `reason count` of a shard's distinct frames, summed and sorted. */
  refusals(shard: number): Promise<string[]>;
}

export async function withGateway(
  body: (world: GatewayWorld) => Promise<void>,
  spoolBytes?: number,
  newRouter = createKernelRouter,
): Promise<void> {
  await withWorld(async (base) => {
    for (let shard = 0; shard < shards; shard++)
      await base.bus.ensureStream(shard, { bytesMax: 1e9, duplicateWindowMs: 1000 });
    const directory = await base.open();
    await follow(directory, base.bus);
    const members: Member[] = [];
    for (let n = 0; members.filter(Boolean).length < shards; n++) {
      const added = await base.add(`tenant-${n}`);
      members[homeOf(added.tenant, shards)] ??= added;
    }
    const [first, second] = members;
    assert(first !== undefined && second !== undefined);
    const heard = hearLog();
    const counters = new Counters();
    const own: MemoryBus = base.bus.another({ onPublish: (shard, id) => world.fault(shard, id) });
    const reachOf = (tenant: Tenant) => tenantReach(tenant, ladder);
    const common = { bus: own, clock: base.clock };
    const disk = new MemoryDisk();
    let lives = 10;
    const again = async () => {
      const random = seededRandom(++lives);
      const boot = random.bytes(16);
      const out: ShardBatcher[] = [];
      for (let shard = 0; shard < shards; shard++) {
        const of = { ...common, shard, random, counters, log: heard.log };
        const at = { folder: `spool/shard-${shard}`, files: disk };
        const spool =
          spoolBytes === undefined
            ? undefined
            : await ShardSpool.open({ ...of, ...at, bytesMax: spoolBytes / shards });
        out.push(new ShardBatcher({ ...of, boot, spool }));
      }
      return out;
    };
    const batchers = await again();
    const rates = new Rates({ id: "this one", bus: own, clock: base.clock, counters });
    const gates = new Gates(rates, { tenantPoints: "off", tenantSeries: "off" });
    const gateOf = (tenant: Tenant) => gates.of(tenant);
    const routes = new Routes(directory, batchers, base.clock, ladder, gateOf);
    const router = newRouter();
    const keys = new KeyCache(routes);
    const refusals = new Refusals(new RefusedLines(base.clock), new UnwantedSenders(base.clock, counters));
    const raw = (door: Door) => {
      return {
        ...common,
        door,
        kind: "plaintext" as const,
        router,
        keys,
        refusals,
        tally: new Tally(counters, door),
      };
    };
    const datagramSink = new RawSink({ ...raw("udp"), peer: "", lossy: true });
    const world: GatewayWorld = {
      ...base,
      counters,
      directory,
      own,
      fault: () => "none",
      heard,
      batchers,
      disk,
      again,
      routes,
      acceptor: new RequestAcceptor({
        ...common,
        door: "http",
        router,
        reachOf,
        gateOf,
        tally: new Tally(counters, "http"),
      }),
      members: [first, second],
      sink: () => volatile(new RawSink({ ...raw("tcp"), peer: "127.0.0.1" })),
      datagrams: (bytes, peer) => datagramSink.takeDatagram(bytes, peer),
      frames: (shard) => framesOf(base.bus, shard),
      lines: async (shard) =>
        distinct(await framesOf(base.bus, shard))
          .flatMap((frame) => frame.sections)
          .flatMap(({ lines }) => Buffer.from(lines).toString().split("\n").slice(0, -1))
          .sort(),
      refusals: async (shard) => {
        const sums = new Map<string, number>();
        for (const { reason, count } of distinct(await framesOf(base.bus, shard)).flatMap((f) => f.refusals))
          sums.set(reason, (sums.get(reason) ?? 0) + count);
        return [...sums].map(([reason, count]) => `${reason} ${count}`).sort();
      },
    };
    await rates.start();
    await base.clock.pass(0);
    await body(world);
    rates.stop();
    await directory.close();
  });
}

export async function framesOf(bus: Bus, shard: number): Promise<Frame[]> {
  const out: Frame[] = [];
  const { firstSequence, lastSequence } = await bus.streamState(shard);
  for (let sequence = Math.max(1, firstSequence); sequence <= lastSequence; sequence++) {
    const frame = await bus.frameAt(shard, sequence);
    const decoded = decodeFrame(frame?.data ?? new Uint8Array(0));
    assert(decoded.kind === "frame");
    out.push(decoded.frame);
  }
  return out;
}

export function nameOf({ identity }: Frame): string {
  return messageId(0, identity);
}

function distinct(frames: readonly Frame[]): Frame[] {
  return [...new Map(frames.map((frame) => [nameOf(frame), frame])).values()];
}
