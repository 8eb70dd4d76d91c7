// A real server and connections to it that end with the test, also with one that failed.
import type { TestContext } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats, type NatsOptions } from "../../src/bus/nats.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../harness/nats-server.ts";

/** What never comes ends the test. */
export const limit = { timeout: 60_000 };

export async function serverFor(t: TestContext, options?: NatsServerOptions): Promise<NatsServer> {
  const server = await startNatsServer(options);
  t.after(() => server.close());
  return server;
}

/** Connects with the system's clock and chance, unless `more` says otherwise. */
export function open(server: { url: string }, more: Partial<NatsOptions> = {}): Promise<Bus> {
  return connectNats({ url: server.url, name: "test", clock: systemClock, random: systemRandom, ...more });
}

export async function busFor(
  t: TestContext,
  server: { url: string },
  more: Partial<NatsOptions> = {},
): Promise<Bus> {
  const bus = await open(server, more);
  t.after(() => bus.close());
  return bus;
}
