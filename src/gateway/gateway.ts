// Opens the doors and joins them to the record.
//
// On close: doors first (they take what has arrived), then the frames on their way are awaited. What the record could
// not take by then is said with its count, never dropped in silence.
import type { Clock } from "../base/clock.ts";
import type { Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Bus } from "../bus/bus.ts";
import type { Address, Settings } from "../config/settings.ts";
import { createPlainRouter } from "../kernel/plain-router.ts";
import type { Directory } from "../tenant/directory.ts";
import { tenantReach } from "../tenant/rules.ts";
import { RawSink, Tally, type AcceptOptions } from "./accept.ts";
import { ShardBatcher } from "./batch.ts";
import { openHttpDoor } from "./http.ts";
import { KeyCache } from "./key-cache.ts";
import { RequestAcceptor } from "./request.ts";
import { Routes } from "./routes.ts";
import { openTcpDoor } from "./tcp.ts";

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
  tcp: Address;
  http: Address;
  health(): { ok: boolean; [field: string]: unknown };
  /** Settles within about `withinMs`; answers how many frames the record does not have. */
  close(withinMs: number): Promise<number>;
}

const tcpIdleMsMax = 600_000;
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
  const router = createPlainRouter();

  const raw: AcceptOptions = {
    door: "tcp",
    router,
    keys: new KeyCache(routes),
    bus,
    clock,
    tally: new Tally(counters, "tcp"),
  };
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

  const tcp = await openTcpDoor({
    listen: settings.tcpListen,
    setting: "MILLRACE_TCP_LISTEN",
    connectionsMax: settings.tcpConnections,
    idleMsMax: tcpIdleMsMax,
    counters,
    clock,
    newSink: () => new RawSink(raw),
  });
  const http = await openHttpDoor({
    listen: settings.httpListen,
    bodyBytesMax: settings.httpBodyMb * 1e6,
    routes,
    acceptor: new RequestAcceptor({
      door: "http",
      router,
      bus,
      clock,
      reachOf: (tenant) => tenantReach(tenant, settings.retention),
      tally: new Tally(counters, "http"),
    }),
    counters,
    log,
    health,
  }).catch(async (error: unknown) => {
    await tcp.close();
    throw error;
  });

  return {
    tcp: tcp.address,
    http: http.address,
    health,
    async close(withinMs) {
      const deadline = clock.sleep(withinMs);
      await Promise.race([Promise.all([tcp.close(), http.close()]), deadline]);
      await Promise.race([Promise.all(batchers.map((batcher) => batcher.drain())), deadline]);
      return batchers.reduce((sum, batcher) => sum + batcher.pendingFrames, 0);
    },
  };
}
