// carbon-c-relay: lines without a key in, lines with the key that it puts in front out.
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually, freePorts } from "../harness/system.ts";
import { canConnect } from "./carbon-relay.ts";
import { during, type Client } from "./client.ts";

export const carbonCRelay: Client = {
  name: "carbon-c-relay",
  from: "debian",
  expected: { "crelay.a": 1, "crelay.b": 2 },
  async send({ system, keys, folder, debian }, arrived) {
    const [port = 0] = await freePorts(1);
    const file = join(folder, "relay.conf");
    const lines = [
      `listen type linemode 127.0.0.1:${port} proto tcp;`,
      `cluster millrace forward 127.0.0.1:${system.tcpPort};`,
      `rewrite ^(.*)$ into ${keys.writeKey}.\\1;`,
      `match ^${keys.writeKey}\\. send to millrace stop;`,
      "",
    ];
    writeFileSync(file, lines.join("\n"));
    const words = ["-f", file, "-w", "1"];
    await during(join(debian, "usr/bin/carbon-c-relay"), words, {}, async () => {
      await eventually("the relay takes connections", () => canConnect(port));
      const now = Math.floor(Date.now() / 1000);
      connect(port, "127.0.0.1").end(`crelay.a 1 ${now}\ncrelay.b 2 ${now}\n`);
      await arrived();
    });
  },
};
