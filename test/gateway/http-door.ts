// The HTTP door alone, with a real socket, on a memory bus, for one tenant at home on shard 0.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { Tally } from "../../src/gateway/tally.ts";
import { ShardBatcher } from "../../src/gateway/batch.ts";
import { openHttpDoor } from "../../src/gateway/http.ts";
import { RequestAcceptor } from "../../src/gateway/request.ts";
import { Routes } from "../../src/gateway/routes.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { addTenant } from "../../src/tenant/admin.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { hearLog } from "../harness/log.ts";
import { framesOf } from "./world.ts";

export async function openDoor(t: TestContext, bodyBytesMax: number) {
  const folder = mkdtempSync(join(tmpdir(), "millrace-http-"));
  const clock = systemClock;
  const random = seededRandom(11);
  const bus = createMemoryBus({ clock, random });
  await bus.ensureStream(0, { bytesMax: 1e9, duplicateWindowMs: 1000 });
  const kv = await bus.kv(tenantsBucket);
  const added = await addTenant(kv, "a", { clock, random });
  assert(added.kind === "added");
  const counters = new Counters();
  const { log } = hearLog();
  const ladder = { rungs: [{ stepSeconds: 10, spanSeconds: 172_800 }] };
  const directory = await Directory.open({ file: join(folder, "copy.json"), clock });
  directory.follow(kv);
  while (!directory.live) await clock.sleep(5);
  const batcher = new ShardBatcher({ shard: 0, boot: random.bytes(16), bus, clock, counters, log });
  const door = await openHttpDoor({
    listen: { host: "127.0.0.1", port: 0 },
    bodyBytesMax,
    routes: new Routes(directory, [batcher], clock, ladder),
    acceptor: new RequestAcceptor({
      door: "http",
      router: createKernelRouter(),
      bus,
      clock,
      reachOf: () => [{ fromSeconds: 0, spanSeconds: 172_800 }],
      tally: new Tally(counters, "http"),
    }),
    counters,
    log,
    health: () => ({ ok: true }),
  });
  t.after(async () => {
    await door.close();
    await directory.close();
    await bus.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://${door.address.host}:${door.address.port}/api/v1/sink`;
  /** Sends a head, and a body or none; the first line of the answer, once it comes. */
  const post = (key: string, length: number, body = "") => {
    const socket = connect(door.address.port, door.address.host);
    const head = `POST /api/v1/sink HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${length}`;
    socket.write(`${head}\r\n\r\n${body}`);
    const answer = once(socket, "data").then(([data]) => String(data).split("\r\n")[0]);
    answer.catch(() => {});
    return { socket, answer };
  };
  /** A whole request by fetch. */
  const send = async (body: string | Buffer, headers: Record<string, string> = {}) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${added.writeKey}`, ...headers },
      body,
    });
    return [response.status, await response.json()] as [number, Record<string, unknown>];
  };
  /** All recorded lines, in their order. */
  const lines = async () =>
    (await framesOf(bus, 0))
      .flatMap((frame) => frame.sections)
      .flatMap((section) => Buffer.from(section.lines).toString().split("\n").slice(0, -1));
  const { writeKey, readKey } = added;
  return { post, send, lines, url, bus, counters, writeKey, readKey, address: door.address };
}
