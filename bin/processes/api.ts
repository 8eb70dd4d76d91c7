// The api, put together from its parts: Graphite's queries on threads of their own.
import { metricsSubject } from "../../src/bus/subjects.ts";
import { createQueryPool } from "../../src/api/pool.ts";
import { createApi } from "../../src/api/server.ts";
import { Watermarks } from "../../src/api/watermark.ts";
import { storeFolder } from "../../src/config/places.ts";
import { formatAddress } from "../../src/config/settings.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import { ledgerOf } from "../ledger.ts";
import { clock, type ProcessContext, type Running } from "../process.ts";
import { connect, openDirectory } from "./parts.ts";
import { budgetOf } from "../budget.ts";

const askMs = 300;
const queryThreads = 2;
const queryQueueMax = 256;

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
