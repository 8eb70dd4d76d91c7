// collectd's write_graphite, over TCP and over UDP.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { during, type Client } from "./client.ts";

export const collectd: Client = {
  name: "collectd",
  from: "debian",
  expected: {
    "collectd.tcp.web1.load.load.shortterm": undefined,
    "collectd.udp.web1.load.load.shortterm": undefined,
    "collectd.tcp.web1.uptime.uptime": undefined,
  },
  async send({ system, keys, folder, debian }, arrived) {
    const file = join(folder, "collectd.conf");
    const node = (protocol: string) => `
  <Node "${protocol}">
    Host "127.0.0.1"
    Port "${system.tcpPort}"
    Protocol "${protocol}"
    Prefix "${keys.writeKey}.collectd.${protocol}."
    SeparateInstances true
  </Node>`;
    const lines = [
      `Hostname "web1"`,
      `FQDNLookup false`,
      `Interval 1`,
      `BaseDir "${folder}"`,
      `PIDFile "${join(folder, "collectd.pid")}"`,
      `PluginDir "${join(debian, "usr/lib/collectd")}"`,
      `TypesDB "${join(debian, "usr/share/collectd/types.db")}"`,
      `LoadPlugin load`,
      `LoadPlugin uptime`,
      `<LoadPlugin write_graphite>\n  FlushInterval 1\n</LoadPlugin>`,
      `<Plugin write_graphite>${node("tcp")}${node("udp")}\n</Plugin>`,
      "",
    ];
    writeFileSync(file, lines.join("\n"));
    await during(join(debian, "usr/sbin/collectd"), ["-f", "-C", file], {}, arrived);
  },
};
