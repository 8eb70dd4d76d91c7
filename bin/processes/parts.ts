// What the processes share: the connection to NATS, and the directory of tenants behind it.
import { dirname } from "node:path";
import { isOutage } from "../../src/base/errors.ts";
import { makeFolder } from "../../src/base/folder.ts";
import { systemRandom } from "../../src/base/random.ts";
import { connectNats } from "../../src/bus/nats.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { directoryFile, natsUrlOf, withoutSecrets } from "../../src/config/places.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { clock, type ProcessContext } from "../process.ts";

const tryAgainMs = 500;

export async function connect(context: ProcessContext, name: string): Promise<Bus> {
  const { settings, log } = context;
  const url = natsUrlOf(settings);
  return connectNats({
    transport: settings.natsTransport,
    url,
    name: `millrace-${name}`,
    clock,
    random: systemRandom,
    log,
    onWaiting: () => log.warn({ url: withoutSecrets(url) }, "waiting for NATS"),
  });
}

export async function openDirectory(context: ProcessContext, bus: Bus, name: string): Promise<Directory> {
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
