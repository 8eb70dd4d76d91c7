// Opens the doors and joins them to the record.
//
// On close: doors first (they take what has arrived), then the frames on their way are awaited. What the record has not
// taken by then goes to the spool where it came by a raw door; the rest is said with its count, never dropped in silence.
import { join } from "node:path";
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../bus/bus.ts";
import type { Address, Settings } from "../config/settings.ts";
import type { Router } from "../kernel/kernel.ts";
import { createKernelRouter } from "../kernel/kernel-router.ts";
import { createPlainRouter } from "../kernel/plain-router.ts";
import { createStatsdRouter } from "../kernel/statsd-router.ts";
import { hex, type Kind } from "../metric/frame.ts";
import type { Directory } from "../tenant/directory.ts";
import { tenantReach } from "../tenant/rules.ts";
import { RawSink } from "./accept.ts";
import { ShardBatcher } from "./batch.ts";
import { ConnectionBounds } from "./connection-bounds.ts";
import type { DoorContext, OpenDoor } from "./door.ts";
import { doors } from "./doors.ts";
import { KeyCache } from "./key-cache.ts";
import { LargeBuffers } from "../base/large-buffers.ts";
import { Gates } from "./limits.ts";
import { Rates } from "./rates.ts";
import { serveQuestions } from "./questions.ts";
import { Refusals } from "./refusals.ts";
import { RefusedLines } from "./refused-lines.ts";
import { UnwantedSenders } from "./unwanted-senders.ts";
import { RequestAcceptor } from "./request.ts";
import { Routes } from "./routes.ts";
import { ShardSpool } from "./spool.ts";
import type { SpoolFiles } from "./spool-files.ts";
import { Tally } from "./tally.ts";

export interface GatewayOptions {
  settings: Settings;
  bus: Bus;
  directory: Directory;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
  /** This gateway's own folder, and the bytes of all its shards together. Without one raw doors wait in memory alone. */
  spool?: { folder: string; bytes: number; files: SpoolFiles };
}

export interface Gateway {
  /** Where the doors listen, by their names. */
  addresses: Record<string, Address>;
  health(): { ok: boolean; [field: string]: unknown };
  /** Settles within about `withinMs`; answers how many frames neither the record nor the spool has. */
  close(withinMs: number): Promise<number>;
}

/** A shard that has taken nothing for this long makes the gateway unhealthy. */
const stuckMsMax = 10_000;
/** Of the time to close: for what the spool still has to write. */
const parkMsMax = 700;

export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, bus, directory, clock, random, counters, log } = options;
  const boot = random.bytes(16);
  const spools = await openSpools(options);
  const buffers = new LargeBuffers();
  const batchers = Array.from(
    { length: settings.shards },
    (_, shard) => new ShardBatcher({ shard, boot, bus, clock, counters, log, buffers, spool: spools[shard] }),
  );
  const rates = new Rates({ id: hex(boot), bus, clock, counters });
  const gates = new Gates(rates, settings);
  const routes = new Routes(directory, batchers, clock, settings.retention, (tenant) => gates.of(tenant));
  const routers: Partial<Record<Kind, Router>> = {
    plaintext: settings.kernel === "plain" ? createPlainRouter() : createKernelRouter(),
    statsd: createStatsdRouter(),
  };
  const keys = new KeyCache(routes);
  const lines = new RefusedLines(clock);
  const senders = new UnwantedSenders(clock, counters);
  const refusals = new Refusals(lines, senders);
  const health = () => {
    const stuck = batchers
      .filter((batcher) => batcher.stuckMs() > stuckMsMax)
      .map((batcher) => batcher.shard);
    return {
      ok: bus.connected && stuck.length === 0,
      record: bus.connected,
      directory: directory.live,
      stuck,
      ...(spools.length > 0 && { spool: spoolHealth(spools, clock) }),
    };
  };
  const routerOf = (kind: Kind): Router => {
    const router = routers[kind];
    assert(router !== undefined, `a router for ${kind}`);
    return router;
  };

  const context: DoorContext = {
    settings,
    bus,
    routes,
    clock,
    random,
    counters,
    log,
    refusals,
    bounds: new ConnectionBounds(settings.tcpConnections, settings.tenantConnections),
    sinks(door, kind) {
      const common = { door, kind, router: routerOf(kind), keys, bus, clock, refusals };
      const tally = new Tally(counters, door);
      return (peer, connection) => new RawSink({ ...common, tally, peer, ...(connection && { connection }) });
    },
    datagrams(door, kind) {
      const common = { door, kind, router: routerOf(kind), keys, bus, clock, refusals };
      const sink = new RawSink({ ...common, tally: new Tally(counters, door), peer: "", lossy: true });
      return (bytes, peer) => sink.takeDatagram(bytes, peer);
    },
    acceptor: (door) =>
      new RequestAcceptor({
        door,
        router: routerOf("plaintext"),
        bus,
        clock,
        reachOf: (tenant) => tenantReach(tenant, settings.retention),
        gateOf: (tenant) => gates.of(tenant),
        tally: new Tally(counters, door),
        refusals,
      }),
    health,
  };
  await rates.start();
  const open = await openAll(context).catch((error: unknown) => {
    rates.stop();
    throw error;
  });
  const stopAnswering = await serveQuestions(bus, settings.gateway, lines, senders);

  return {
    addresses: Object.assign({}, ...open.map((door) => door.addresses)) as Record<string, Address>,
    health,
    async close(withinMs) {
      stopAnswering();
      const parkMs = spools.length > 0 ? Math.min(parkMsMax, withinMs / 2) : 0;
      const deadline = clock.sleep(withinMs - parkMs);
      await Promise.race([Promise.all(open.map((door) => door.close())), deadline]);
      rates.stop();
      await Promise.race([Promise.all(batchers.map((batcher) => batcher.drain())), deadline]);
      const left = Promise.all(batchers.map((batcher) => batcher.park()));
      const unwritten = (await Promise.race([left, clock.sleep(parkMs)])) ?? spools.map((s) => s.unwritten);
      const bytes = spools.reduce((sum, spool) => sum + spool.status().bytes, 0);
      if (bytes > 0) log.warn({ bytes }, "stopped with frames in the spool: the next start forwards them");
      return [...unwritten, ...batchers.map((b) => b.pendingFrames)].reduce((sum, n) => sum + n, 0);
    },
  };
}

function openSpools({
  settings,
  spool,
  clock,
  random,
  counters,
  log,
}: GatewayOptions): Promise<ShardSpool[]> {
  if (spool === undefined) return Promise.resolve([]);
  const { files, folder, bytes } = spool;
  const bytesMax = Math.floor(bytes / settings.shards);
  const common = { bytesMax, files, clock, random, counters, log };
  return Promise.all(
    Array.from({ length: settings.shards }, (_, shard) =>
      ShardSpool.open({ ...common, shard, folder: join(folder, `shard-${shard}`) }),
    ),
  );
}

/** The sums, and each shard that has something in its spool or can't write it. */
function spoolHealth(spools: readonly ShardSpool[], clock: Clock): object {
  const shards = spools.flatMap((spool, shard) => {
    const { oldestMs, ...status } = spool.status();
    const oldestSeconds = oldestMs === 0 ? 0 : Math.max(0, Math.round((clock.nowMs() - oldestMs) / 1000));
    return status.bytes > 0 || status.failing ? [{ shard, ...status, oldestSeconds }] : [];
  });
  return {
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    frames: shards.reduce((sum, { frames }) => sum + frames, 0),
    oldestSeconds: Math.max(0, ...shards.map(({ oldestSeconds }) => oldestSeconds)),
    shards,
  };
}

/** All or none: one that can't open closes those before it. */
async function openAll(context: DoorContext): Promise<OpenDoor[]> {
  const open: OpenDoor[] = [];
  try {
    for (const opener of doors) {
      const door = await opener(context);
      if (door !== undefined) open.push(door);
    }
  } catch (error) {
    await Promise.all(open.map((door) => door.close()));
    throw error;
  }
  return open;
}
