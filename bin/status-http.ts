// /health and /metrics of a process that has no other HTTP: by HTTP for scrapers, and over NATS for the api's sum.
import Fastify from "fastify";
import type { Counters } from "../src/base/counters.ts";
import type { Bus } from "../src/bus/bus.ts";
import { metricsSubject } from "../src/bus/subjects.ts";
import type { Address } from "../src/config/settings.ts";
import { listenApp } from "../src/config/listen.ts";

export interface StatusOptions {
  listen: Address;
  /** The setting's variable, for the sentence about a taken port. */
  setting: string;
  health(): { ok: boolean; [field: string]: unknown };
  counters: Counters;
}

export async function openStatus(
  options: StatusOptions,
): Promise<{ address: Address; close(): Promise<void> }> {
  const app = Fastify({ logger: false, forceCloseConnections: true });
  app.get("/health", (_request, reply) => {
    const health = options.health();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  app.get("/metrics", (_request, reply) =>
    reply.type("text/plain; version=0.0.4").send(options.counters.text()),
  );
  return { address: await listenApp(app, options.listen, options.setting), close: () => app.close() };
}

/** Answers whoever sums up the system's counters. */
export async function serveCounters(bus: Bus, counters: Counters): Promise<void> {
  await bus.serve(metricsSubject, () => Buffer.from(counters.text()));
}
