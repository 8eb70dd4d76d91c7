// etsy's statsd: its graphite backend sends to our TCP door what it made of packets, and our StatsD door makes the same
// of the same packets, under the same names.
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, freePorts } from "../harness/system.ts";
import { during, type Client } from "./client.ts";

const packets = [
  "etsy.hits:2|c\netsy.hits:3|c|@0.5",
  "etsy.level:4|g",
  "etsy.level:+3|g",
  "etsy.users:a|s\netsy.users:b|s",
];
const timings = Array.from({ length: 40 }, (_, i) => `etsy.took:${(i + 1) * 3}|ms`).join("\n");
/** What both must show, as etsy computes it. */
const shown = {
  "counters.etsy.hits.count": 8,
  "gauges.etsy.level": 7,
  "sets.etsy.users.count": 2,
  "timers.etsy.took.count": 40,
  "timers.etsy.took.lower": 3,
  "timers.etsy.took.upper": 120,
  "timers.etsy.took.sum": 2460,
  "timers.etsy.took.mean": 61.5,
};

export const statsd: Client = {
  name: "statsd",
  from: "npm",
  expected: Object.fromEntries(
    Object.entries(shown).flatMap(([name, value]) => [
      [`stats.${name}`, value],
      // A flush may cut counts in two: then it shows a part of them.
      [`etsys.${name}:max`, value],
    ]),
  ),
  async send({ system, keys, folder, npm }, arrived) {
    const [port = 0, management = 0] = await freePorts(2);
    const config = join(folder, "config.js");
    writeFileSync(
      config,
      `{ port: ${port}, address: "127.0.0.1", mgmt_port: ${management}, mgmt_address: "127.0.0.1",
  backends: ["./backends/graphite"], graphiteHost: "127.0.0.1", graphitePort: ${system.tcpPort},
  flushInterval: 3000, deleteIdleStats: true,
  graphite: { legacyNamespace: false, globalPrefix: "${keys.writeKey}.etsys" } }
`,
    );
    const program = join(npm, "node_modules", "statsd", "stats.js");
    await during(process.execPath, [program, config], {}, async () => {
      await eventually("statsd listens", () => answers(management));
      await Promise.all([
        send(port, [...packets, timings]),
        send(
          system.statsdPort,
          [...packets, timings].map((packet) => keyed(packet, keys.writeKey)),
        ),
      ]);
      await arrived();
    });
  },
};

function keyed(packet: string, key: string): string {
  return packet
    .split("\n")
    .map((line) => `${key}.${line}`)
    .join("\n");
}

async function send(port: number, lines: readonly string[]): Promise<void> {
  const socket = createSocket("udp4");
  for (const line of lines)
    await new Promise<void>((resolve, reject) =>
      socket.send(line, port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error))),
    );
  await new Promise<void>((resolve) => socket.close(() => resolve()));
}

async function answers(port: number): Promise<boolean> {
  const { connect } = await import("node:net");
  return await new Promise<boolean>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
