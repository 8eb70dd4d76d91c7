// A gateway, put together from its parts: the doors, and the spool behind them.
import { isOutage } from "../../src/base/errors.ts";
import { makeFolder } from "../../src/base/folder.ts";
import { systemRandom } from "../../src/base/random.ts";
import { spoolFolder } from "../../src/config/places.ts";
import { formatAddress, type Settings } from "../../src/config/settings.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { systemFiles } from "../../src/gateway/spool-files.ts";
import { lockSpool, type HomeLock } from "../home.ts";
import { clock, type ProcessContext, type Running } from "../process.ts";
import { serveCounters } from "../status-http.ts";
import { connect, openDirectory } from "./parts.ts";
import { budgetOf } from "../budget.ts";

/** How long a gateway may take to hand over what it holds; the rest of the five seconds is the others'. */
const gatewayCloseMs = 2500;

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
    random: systemRandom,
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
