// Both transports on a real server: what goes comes back, over plain sockets and TLS, in pieces, and after a connection
// was lost in the middle of a message.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findRoot } from "../../bin/setup/root.mjs";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { connectedAgain } from "./listen.ts";
import { busFor, limit, serverFor } from "./real.ts";
import { publishFrames, readFrames } from "./round-trip.ts";

const transports = ["own", "library"] as const;
const frames = 24;
const fixtures = join(findRoot(import.meta.url) ?? "", "test", "fixtures", "tls");

for (const transport of transports) {
  test(
    `${transport}: what is published is read, before and after the server was killed`,
    limit,
    async (t) => {
      const server = await serverFor(t);
      const bus = await busFor(t, server, { transport });
      for (const shard of [0, 1]) {
        await publishFrames(bus, shard, frames);
        await readFrames(bus, shard, 1, frames);
        await server.kill9();
        await server.restart();
        await connectedAgain(bus);
        await readFrames(bus, shard, 1, frames);
      }
    },
  );

  test(`${transport}: messages that are cut anywhere, and broken off in the middle`, limit, async (t) => {
    const server = await serverFor(t);
    const seed = systemRandom.below(2 ** 31);
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    await publishFrames(await busFor(t, server), 0, frames);
    // The greeting and the first messages byte by byte, then pieces of any size.
    const cut = (sent: number) => 1 + (sent < 6_000 ? 0 : random.below(random.below(4) === 0 ? 9 : 200_000));
    const proxy = await CuttingProxy.before(t, server.port, cut);
    const bus = await busFor(t, { url: proxy.url }, { transport });
    await readFrames(bus, 0, 1, frames);
    for (let round = 1; round <= 3; round++) {
      proxy.breakAfter = 300_000 + random.below(2_000_000);
      await assert.rejects(readFrames(bus, 0, 1, frames), { code: "bus-unavailable" });
      assert.equal(proxy.broken, round);
      await connectedAgain(bus);
      await readFrames(bus, 0, 1, frames);
    }
  });
}

test("over TLS, by both", limit, async (t) => {
  const cert = join(fixtures, "first.pem");
  const server = await serverFor(t, { tls: { cert, key: join(fixtures, "first.key.pem") } });
  const file = fileURLToPath(new URL("./over-tls.js", import.meta.url));
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [file, `tls://localhost:${server.port}`], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: cert },
    timeout: 30_000,
  });
  assert.equal(stdout, "own\nlibrary\n");
});
