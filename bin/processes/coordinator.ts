// The coordinator, put together from its parts: streams and buckets, who runs what, and the admin API.
import { restoredFile } from "../../src/config/places.ts";
import { formatAddress } from "../../src/config/settings.ts";
import { Coordinator } from "../../cluster/coordinator.ts";
import { readRestored } from "../../cluster/restored.ts";
import { openAdmin } from "../admin/server.ts";
import { refuseHalfRestored } from "../home.ts";
import { clock, type ProcessContext, type Running } from "../process.ts";
import { openStatus, serveCounters } from "../status-http.ts";
import { connect } from "./parts.ts";
import { budgetOf } from "../budget.ts";

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
