// Opens the doors and joins them to the record.
//
// On close: doors first (they take what has arrived), then the frames on their way are awaited. What the record could
// not take by then is said with its count, never dropped in silence.
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../bus/bus.ts";
import type { Address, Settings } from "../config/settings.ts";
import type { Router } from "../kernel/kernel.ts";
import { createPlainRouter } from "../kernel/plain-router.ts";
import type { Kind } from "../metric/frame.ts";
import type { Directory } from "../tenant/directory.ts";
import { tenantReach } from "../tenant/rules.ts";
import { RawSink } from "./accept.ts";
import { ShardBatcher } from "./batch.ts";
import { ConnectionBounds } from "./connection-bounds.ts";
import type { DoorContext, OpenDoor } from "./door.ts";
import { doors } from "./doors.ts";
import { KeyCache } from "./key-cache.ts";
import { Refusals } from "./refusals.ts";
import { RequestAcceptor } from "./request.ts";
import { Routes } from "./routes.ts";
import { Tally } from "./tally.ts";

export interface GatewayOptions {
  settings: Settings;
  bus: Bus;
  directory: Directory;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
}

export interface Gateway {
  /** Where the doors listen, by their names. */
  addresses: Record<string, Address>;
  health(): { ok: boolean; [field: string]: unknown };
  /** Settles within about `withinMs`; answers how many frames the record does not have. */
  close(withinMs: number): Promise<number>;
}

/** A shard that has taken nothing for this long makes the gateway unhealthy. */
const stuckMsMax = 10_000;

export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, bus, directory, clock, random, counters, log } = options;
  const boot = random.bytes(16);
  const batchers = Array.from(
    { length: settings.shards },
    (_, shard) => new ShardBatcher({ shard, boot, bus, clock, counters, log }),
  );
  const routes = new Routes(directory, batchers, clock, settings.retention);
  const routers: Partial<Record<Kind, Router>> = { plaintext: createPlainRouter() };
  const keys = new KeyCache(routes);
  const refusals = new Refusals();
  const health = () => {
    const stuck = batchers
      .filter((batcher) => batcher.stuckMs() > stuckMsMax)
      .map((batcher) => batcher.shard);
    return {
      ok: bus.connected && stuck.length === 0,
      record: bus.connected,
      directory: directory.live,
      stuck,
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
        tally: new Tally(counters, door),
      }),
    health,
  };
  const open = await openAll(context);

  return {
    addresses: Object.assign({}, ...open.map((door) => door.addresses)) as Record<string, Address>,
    health,
    async close(withinMs) {
      const deadline = clock.sleep(withinMs);
      await Promise.race([Promise.all(open.map((door) => door.close())), deadline]);
      await Promise.race([Promise.all(batchers.map((batcher) => batcher.drain())), deadline]);
      return batchers.reduce((sum, batcher) => sum + batcher.pendingFrames, 0);
    },
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
