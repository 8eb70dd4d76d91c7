// A node, put together from its parts: shard actors, their upkeep, backfills and replays, and what operators ask of them.
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { clusterBucket, faultSubject, tenantsBucket } from "../../src/bus/subjects.ts";
import { storeFolder } from "../../src/config/places.ts";
import { formatAddress } from "../../src/config/settings.ts";
import { hex } from "../../src/metric/frame.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { rulesOf } from "../../src/tenant/rules.ts";
import { Control } from "../../cluster/control.ts";
import { Fills } from "../../cluster/fills.ts";
import { replayQuestions } from "../../cluster/replay-verbs.ts";
import { Replays } from "../../cluster/replays.ts";
import { Heads } from "../../cluster/heads.ts";
import { startProcess } from "../../cluster/hosted-process.ts";
import { startThread } from "../../cluster/hosted.ts";
import { ClusterNode } from "../../cluster/node.ts";
import { Purges } from "../../cluster/purges.ts";
import { ShardServices } from "../../cluster/services.ts";
import { ShardVerbs } from "../../cluster/shard-verbs.ts";
import { tellSeriesLimits } from "../../cluster/series-limits.ts";
import { Supervisor } from "../../cluster/supervisor.ts";
import { createUpkeepPool } from "../../cluster/upkeep-pool.ts";
import { RulesSource } from "../../cluster/upkeep-rules.ts";
import { hurryBytesOf, Upkeep } from "../../cluster/upkeep.ts";
import { refuseHalfRestored } from "../home.ts";
import { clock, type ProcessContext, type Running } from "../process.ts";
import { projectVersion } from "../project.ts";
import { openStatus, serveCounters } from "../status-http.ts";
import { connect, openDirectory } from "./parts.ts";
import { budgetOf } from "../budget.ts";

const random = systemRandom;
const nodeStopMs = 2000;

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
