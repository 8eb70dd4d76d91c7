// The processes of the Procfile, each put together from its parts. Nothing here decides anything.
import { dirname } from "node:path";
import { isOutage } from "../src/base/errors.ts";
import { makeFolder } from "../src/base/folder.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import type { Bus } from "../src/bus/bus.ts";
import { clusterBucket, faultSubject, metricsSubject, tenantsBucket } from "../src/bus/subjects.ts";
import { createQueryPool } from "../src/api/pool.ts";
import { createApi } from "../src/api/server.ts";
import { Watermarks } from "../src/api/watermark.ts";
import { diskBudget, splitBudget, type Budget } from "../src/config/limits.ts";
import { directoryFile, natsUrlOf, restoredFile, spoolFolder, storeFolder } from "../src/config/places.ts";
import { formatAddress, type Settings } from "../src/config/settings.ts";
import { hex } from "../src/metric/frame.ts";
import { openGateway } from "../src/gateway/gateway.ts";
import { systemFiles } from "../src/gateway/spool-files.ts";
import { createLmdbEngine } from "../src/store/lmdb.ts";
import { Directory } from "../src/tenant/directory.ts";
import { allHomes } from "../src/tenant/routing.ts";
import { rulesOf } from "../src/tenant/rules.ts";
import { Coordinator } from "../cluster/coordinator.ts";
import { Control } from "../cluster/control.ts";
import { Fills } from "../cluster/fills.ts";
import { replayQuestions } from "../cluster/replay-verbs.ts";
import { Replays } from "../cluster/replays.ts";
import { Heads } from "../cluster/heads.ts";
import { startProcess } from "../cluster/hosted-process.ts";
import { startThread } from "../cluster/hosted.ts";
import { ClusterNode } from "../cluster/node.ts";
import { Purges } from "../cluster/purges.ts";
import { ShardServices } from "../cluster/services.ts";
import { ShardVerbs } from "../cluster/shard-verbs.ts";
import { readRestored } from "../cluster/restored.ts";
import { tellSeriesLimits } from "../cluster/series-limits.ts";
import { Supervisor } from "../cluster/supervisor.ts";
import { createUpkeepPool } from "../cluster/upkeep-pool.ts";
import { RulesSource } from "../cluster/upkeep-rules.ts";
import { hurryBytesOf, Upkeep } from "../cluster/upkeep.ts";
import { openAdmin } from "./admin/server.ts";
import { ledgerOf } from "./ledger.ts";
import { lockSpool, refuseHalfRestored, type HomeLock } from "./home.ts";
import { clock, type ProcessContext, type Running } from "./process.ts";
import { projectVersion } from "./project.ts";
import { openStatus, serveCounters } from "./status-http.ts";

const random = systemRandom;
/** How long a gateway may take to hand over what it holds; the rest of the five seconds is the others'. */
const gatewayCloseMs = 2500;
const nodeStopMs = 2000;
const askMs = 300;
const tryAgainMs = 500;
const queryThreads = 2;
const queryQueueMax = 256;

async function connect(context: ProcessContext, name: string): Promise<Bus> {
  const { settings, log } = context;
  const url = natsUrlOf(settings);
  return connectNats({
    transport: settings.natsTransport,
    url,
    name: `millrace-${name}`,
    clock,
    random,
    log,
    onWaiting: () => log.warn({ url: withoutSecrets(url) }, "waiting for NATS"),
  });
}

export function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//");
}

/** The budget as `up` finds it at its start: throws settings-invalid when the disk has no room for it. */
export async function checkedBudget(settings: Settings): Promise<Budget> {
  makeFolder(settings.home);
  return splitBudget(await diskBudget(settings.diskBudget, settings.home), settings.shards);
}

/**
 * What a process may use. A budget that is set is not held against the disk again: a process that died while others
 * filled the disk must come back, not find that it would not be founded there today.
 */
export async function budgetOf(settings: Settings): Promise<Budget> {
  if (settings.diskBudget === "auto") return checkedBudget(settings);
  return splitBudget(settings.diskBudget, settings.shards);
}

async function openDirectory(context: ProcessContext, bus: Bus, name: string): Promise<Directory> {
  const file = directoryFile(context.settings, name);
  makeFolder(dirname(file));
  const directory = await Directory.open({ file, clock, log: context.log, counters: context.counters });
  directory.follow(await untilDone(context, () => bus.kv(tenantsBucket)));
  return directory;
}

/** What NATS can't do yet it can do soon: JetStream takes a moment after its server is up. */
async function untilDone<T>(context: ProcessContext, action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!isOutage(error) || !error.retryable) throw error;
      context.log.warn({ code: error.code, why: error.message }, "waits");
      await clock.sleep(tryAgainMs, context.stopping);
    }
  }
}

export async function startCoordinator(context: ProcessContext): Promise<Running> {
  const { settings, log, counters } = context;
  refuseHalfRestored(settings);
  const budget = await budgetOf(settings);
  const admin = await openAdmin(context);
  const bus = await connect(context, "coordinator");
  admin.connected(bus);
  const coordinator = new Coordinator({
    bus,
    clock,
    log,
    shards: settings.shards,
    streamBytes: budget.streamBytesPerShard,
    duplicateWindowMs: settings.duplicateWindow,
    restored: readRestored(restoredFile(settings)),
  });
  const status = await openStatus({
    listen: settings.coordinatorListen,
    setting: "MILLRACE_COORDINATOR_LISTEN",
    health: () => coordinator.health(),
    counters,
  });
  await coordinator.start();
  await serveCounters(bus, counters);
  return {
    addresses: {
      status: formatAddress(status.address),
      ...(admin.address !== "" && { admin: admin.address }),
    },
    async stop() {
      await admin.close();
      await coordinator.stop();
      await status.close();
      await bus.close();
    },
  };
}

export async function startNode(context: ProcessContext): Promise<Running> {
  const { settings, log, counters } = context;
  refuseHalfRestored(settings);
  const budgetBytes = (await budgetOf(settings)).storeBytesPerShard;
  const bus = await connect(context, "node");
  const directory = await openDirectory(context, bus, "node");
  const store = { folder: storeFolder(settings), mapBytes: budgetBytes };
  // Not a read-only one: the actors of this process write.
  const reading = createLmdbEngine({ ...store, clock });
  const heads = new Heads((shard) => reading.openReader(shard));
  const instance = hex(random.bytes(8));
  const supervisor = new Supervisor({
    settings,
    instance,
    storeBytes: budgetBytes,
    clock,
    random,
    counters,
    log,
    readHead: (shard) => heads.read(shard),
    onFailed: (shard, failed) => node.keepFailed(shard, failed),
  });
  const stopLimits = tellSeriesLimits({
    tenants: directory,
    standard: settings.tenantSeries,
    tell: (limits) => supervisor.limit(limits),
    clock,
  });
  const node = new ClusterNode({ node: settings.node, bus, supervisor, clock, random, log });
  const rules = new RulesSource({
    tenants: directory,
    standard: settings.retention,
    schemasOf: (tenant) => rulesOf(tenant).schemas,
  });
  const upkeep = new Upkeep({
    shards: () => supervisor.owned(),
    rules: () => rules.current(),
    newPool: () =>
      createUpkeepPool({
        store,
        heapMb: settings.heapMb,
        onThreadError: (error) => log.error({ err: error }, "an upkeep thread died"),
      }),
    threads: settings.upkeepThreads,
    share: settings.upkeepShare,
    hurryBytes: hurryBytesOf(budgetBytes),
    clock,
    random,
    counters,
    log,
  });
  const fills = new Fills({
    settings,
    storeBytes: budgetBytes,
    instance,
    clock,
    random,
    counters,
    log,
    hosts: { thread: startThread, process: startProcess },
    running: () => supervisor.running(),
    wishOf: (shard) => supervisor.wishOf(shard).backfill,
    limits: () => supervisor.limits,
    readHead: (shard) => heads.look(shard, (snapshot) => snapshot.progress()),
  });
  const replays = new Replays({
    settings,
    storeBytes: budgetBytes,
    instance,
    clock,
    random,
    counters,
    log,
    startThread,
    running: () => supervisor.running(),
    wishOf: (shard) => supervisor.wishOf(shard).replay,
    limits: () => supervisor.limits,
    readHead: (shard) => heads.look(shard, (snapshot) => snapshot.progress()),
  });
  const verbs = new ShardVerbs({ bus, heads, supervisor, fills, clock });
  const services = new ShardServices({
    bus,
    node: settings.node,
    instance,
    version: projectVersion(),
    nowMs: clock.nowMs(),
    shards: () => supervisor.shards(),
    view: (shard) => verbs.view(shard),
    asked: (shard) => verbs.asked(shard),
    log,
  });
  const control = new Control({
    node: settings.node,
    bus,
    supervisor,
    verbs,
    openReader: (shard) => reading.openReader(shard),
    budgetBytes,
    families: [
      replayQuestions({
        bus,
        heads,
        replays,
        openStore: (shard) => reading.openShard(shard),
        rules: () => rules.current(),
        wishes: () => bus.kv(clusterBucket),
        clock,
      }),
    ],
    clock,
    log,
  });
  const purges = new Purges({
    tenants: directory,
    open: async () => ({ bucket: await bus.kv(tenantsBucket), kv: await bus.kv(clusterBucket) }),
    supervisor,
    shards: settings.shards,
    clock,
    counters,
    log,
  });
  const status = await openStatus({
    listen: settings.nodeListen,
    setting: "MILLRACE_NODE_LISTEN",
    health: () => ({ ...node.health(), upkeep: upkeep.status() }),
    counters,
  });
  await node.start();
  upkeep.start();
  purges.start();
  fills.start();
  replays.start();
  await control.start();
  await services.start();
  await serveCounters(bus, counters);
  if (process.env["MILLRACE_FAULTS"] !== undefined) await serveFaults(bus, supervisor);
  return {
    addresses: { status: formatAddress(status.address) },
    async stop() {
      stopLimits();
      services.stop();
      const [upkeepEnded] = await Promise.all([
        upkeep.stop(nodeStopMs),
        node.stop(nodeStopMs),
        fills.stop(),
        replays.stop(),
        control.stop(),
        purges.stop(),
      ]);
      await heads.close();
      await status.close();
      await directory.close();
      await bus.close();
      return upkeepEnded ? undefined : false;
    },
  };
}

/** The fault door of tests, shut unless MILLRACE_FAULTS is set: ends one actor's thread as a crash would. */
async function serveFaults(bus: Bus, supervisor: Supervisor): Promise<void> {
  await bus.serve(faultSubject, async (payload) => {
    const killed = await supervisor.kill(Number(Buffer.from(payload).toString()));
    return Buffer.from(String(killed));
  });
}

/** Two gateways on one home have copies of their own. */
function copyName(gateway: string): string {
  return gateway === "gateway" ? gateway : `gateway-${gateway}`;
}

export async function startGateway(context: ProcessContext): Promise<Running> {
  const { settings, log, counters } = context;
  makeFolder(settings.home);
  const spool = openSpool(settings, log);
  const bytes = (await budgetOf(settings)).spoolBytes;
  const bus = await connect(context, "gateway");
  const directory = await openDirectory(context, bus, copyName(settings.gateway));
  const gateway = await openGateway({
    settings,
    bus,
    directory,
    clock,
    random,
    counters,
    log,
    spool: { folder: spoolFolder(settings), bytes, files: systemFiles },
  });
  await serveCounters(bus, counters);
  return {
    addresses: Object.fromEntries(
      Object.entries(gateway.addresses).map(([name, address]) => [name, formatAddress(address)]),
    ),
    async stop() {
      const frames = await gateway.close(gatewayCloseMs);
      if (frames > 0)
        log.error({ frames, page: true }, "stopped with frames that neither the record nor the spool has");
      spool?.release();
      await directory.close();
      await bus.close();
    },
  };
}

/** The spool's lock; undefined where its disk fails: the doors open all the same, and the spool says no until it works. */
function openSpool(settings: Settings, log: ProcessContext["log"]): HomeLock | undefined {
  try {
    return lockSpool(settings);
  } catch (error) {
    if (!isOutage(error, "settings-invalid")) throw error;
    log.error({ why: error.message, page: true }, "spool: its folder can't be locked");
    return undefined;
  }
}

export async function startApi(context: ProcessContext): Promise<Running> {
  const { settings, log, counters } = context;
  const budget = await budgetOf(settings);
  const bus = await connect(context, "api");
  const directory = await openDirectory(context, bus, "api");
  const watermarks = new Watermarks(bus, settings.shards, clock);
  const api = await createApi({
    ladder: settings.retention,
    lookup: (key) => directory.lookupKey(key),
    homes: (tenant) => allHomes(tenant, settings.shards),
    watermark: (home) => watermarks.of(home),
    aside: (home) => watermarks.aside(home),
    ledger: (tenant, range, by) => ledgerOf(bus, tenant.id, allHomes(tenant, settings.shards), range, by),
    queries: createQueryPool({
      store: { folder: storeFolder(settings), mapBytes: budget.storeBytesPerShard },
      threads: queryThreads,
      queueMax: queryQueueMax,
      heapMb: settings.heapMb,
      onThreadError: (error) => log.error({ err: error }, "a query thread died"),
    }),
    health: () => ({ healthy: true, detail: { record: bus.connected, directory: directory.live } }),
    otherTexts: async () =>
      (await bus.ask(metricsSubject, new Uint8Array(), askMs)).map((text) =>
        Buffer.from(text).toString("utf8"),
      ),
    clock,
    counters,
    log,
  });
  const port = await api.listen(settings.apiListen);
  watermarks.start();
  return {
    addresses: { api: formatAddress({ ...settings.apiListen, port }) },
    async stop() {
      await watermarks.stop();
      await api.close();
      await directory.close();
      await bus.close();
    },
  };
}
