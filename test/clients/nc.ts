// nc, as everybody tries a Graphite port: a line over TCP, and one over UDP.
import { join } from "node:path";
import { run, type Client } from "./client.ts";

export const nc: Client = {
  name: "nc",
  from: "debian",
  expected: { "nc.tcp": 1.5, "nc.udp": 2 },
  async send({ system, keys, debian }, arrived) {
    const program = join(debian, "bin/nc.openbsd");
    const now = Math.floor(Date.now() / 1000);
    const to = ["127.0.0.1", String(system.tcpPort)];
    await run(program, ["-N", ...to], `${keys.writeKey}.nc.tcp 1.5 ${now}\n`);
    await run(program, ["-u", "-w1", ...to], `${keys.writeKey}.nc.udp 2 ${now}\n`);
    await arrived();
  },
};
