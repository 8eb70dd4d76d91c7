// Lines by TCP, UDP and TLS, with a key and from a tenant's address, until they are seen in /render.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { findRoot } from "../../bin/setup/root.mjs";
import { eventually, freePorts, System } from "../harness/system.ts";

const fixture = (name: string) => join(findRoot(import.meta.url) ?? "", "test", "fixtures", "tls", name);

test("lines by TCP, UDP and TLS arrive in /render, also without a key from a tenant's address", async () => {
  const [tlsPort = 0] = await freePorts(1);
  const system = await System.start({
    env: {
      MILLRACE_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
      MILLRACE_TLS_CERT: fixture("first.pem"),
      MILLRACE_TLS_KEY: fixture("first.key.pem"),
    },
  });
  const udp = createSocket("udp4");
  try {
    const { writeKey, readKey, name } = await system.addTenant("raw");
    const send = async (line: (door: string) => string) => {
      const tls = connect({ port: tlsPort, host: "127.0.0.1", rejectUnauthorized: false });
      await once(tls, "secureConnect");
      tls.end(line("tls"));
      connectTcp(system.tcpPort, "127.0.0.1").end(line("tcp"));
      udp.send(line("udp"), system.tcpPort, "127.0.0.1");
    };
    const arrives = (from: string) =>
      eventually(`lines ${from}`, async () => {
        const found = await system.sums(readKey, `by.*.${from}`);
        return ["tcp", "tls", "udp"].every((door) => found.get(`by.${door}.${from}`) === 7);
      });
    await send((door) => `${writeKey}.by.${door}.key 7\n`);
    await arrives("key");
    const cli = async (...words: string[]) =>
      JSON.parse(await system.millrace("tenant", "address", ...words, "--json")) as object;
    const added = await cli("add", name, "127.0.0.1/32");
    assert.deepEqual({ ...added, id: "" }, { id: "", name, outcome: "changed", addresses: ["127.0.0.1"] });
    await system.addTenant("other");
    await assert.rejects(cli("add", "other", "127.0.0.1"), /raw has this very network/);
    await eventually("the gateway knows", async () => {
      await send((door) => `by.${door}.address 7 ${Math.floor(Date.now() / 1000)}\n`);
      return (await system.sums(readKey, "by.*.address")).size === 3;
    });
    const removed = await cli("remove", name, "127.0.0.1");
    assert.deepEqual({ ...removed, id: "" }, { id: "", name, outcome: "changed", addresses: [] });
  } finally {
    udp.close();
    await system.close();
  }
});
