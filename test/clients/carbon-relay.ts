// Graphite's own carbon-relay as Debian has it: lines in, pickles out.
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually, freePorts } from "../harness/system.ts";
import { during, type Client } from "./client.ts";

const count = 1200; // more than the 500 points that it puts into a message

export const carbonRelay: Client = {
  name: "carbon-relay",
  from: "debian",
  expected: { "relayed.n0": 0, "relayed.n7": 3.5, [`relayed.n${count - 1}`]: (count - 1) / 2 },
  async send({ system, keys, folder, debian }, arrived) {
    const [line = 0, pickle = 0, query = 0] = await freePorts(3);
    const home = join(folder, "carbon");
    mkdirSync(join(home, "storage"), { recursive: true });
    const conf = join(home, "carbon.conf");
    const lines = [
      "[relay]",
      "LINE_RECEIVER_INTERFACE = 127.0.0.1",
      `LINE_RECEIVER_PORT = ${line}`,
      "PICKLE_RECEIVER_INTERFACE = 127.0.0.1",
      `PICKLE_RECEIVER_PORT = ${pickle}`,
      `CACHE_QUERY_PORT = ${query}`,
      "RELAY_METHOD = consistent-hashing",
      "REPLICATION_FACTOR = 1",
      `DESTINATIONS = 127.0.0.1:${system.picklePort}:a`,
      "DESTINATION_PROTOCOL = pickle",
      "CARBON_METRIC_INTERVAL = 0",
      `STORAGE_DIR = ${join(home, "storage")}`,
      `LOG_DIR = ${home}`,
      `PID_DIR = ${home}`,
      "USER =",
      "",
    ];
    writeFileSync(conf, lines.join("\n"));
    // It wants the file to be there, and reads nothing of it.
    writeFileSync(join(home, "storage-schemas.conf"), "");
    const env = { PYTHONPATH: join(debian, "usr/lib/python3/dist-packages"), PYTHONWARNINGS: "ignore" };
    const words = [
      join(debian, "usr/bin/carbon-relay"),
      "--config",
      conf,
      "--logdir",
      home,
      "--nodaemon",
      "start",
    ];
    await during("python3", words, env, async () => {
      await eventually("the relay takes connections", () => canConnect(line));
      const socket = connect(line, "127.0.0.1");
      const now = Math.floor(Date.now() / 1000);
      for (let n = 0; n < count; n++) socket.write(`${keys.writeKey}.relayed.n${n} ${n / 2} ${now}\n`);
      socket.end();
      await arrived();
    });
  },
};

export function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
