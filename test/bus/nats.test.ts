// The real bus keeps the contract on a real nats-server, killed, hung and restarted.
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import assert from "node:assert/strict";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { streamName } from "../../src/bus/subjects.ts";
import { busContract } from "../contract/bus.ts";
import { type NatsServer, startNatsServer } from "../harness/nats-server.ts";
import { bytes, connectedAgain, Heard, listen, watchWords } from "./listen.ts";
import { ManualClock } from "../harness/clock.ts";
import { busFor, limit, open, serverFor } from "./real.ts";

const caps = { bytesMax: 64 * 1024 * 1024, duplicateWindowMs: 60_000 };

/** What somebody does to the server without us. */
async function meddle(
  server: NatsServer,
  act: (jsm: JetStreamManager, nc: NatsConnection) => Promise<unknown>,
): Promise<void> {
  const nc = await connect({ servers: server.url });
  try {
    await act(await jetstreamManager(nc), nc);
  } finally {
    await nc.close();
  }
}

busContract("nats", async () => {
  const server = await startNatsServer();
  const buses = [await open(server)];
  return {
    bus: buses[0] as Bus,
    another: async () => {
      const more = await open(server);
      buses.push(more);
      return more;
    },
    crash: async () => {
      const lost = buses.filter((bus) => bus.connected).map(connectionLost);
      await server.kill9();
      await Promise.all(lost);
    },
    recover: () => server.restart(),
    deleteStream: (shard) => meddle(server, (jsm) => jsm.streams.delete(streamName(shard))),
    passMs: (ms) => sleep(ms), // the server's own clock: nothing to wait for but time
    close: async () => {
      for (const bus of buses) await bus.close();
      await server.close();
    },
  };
});

function connectionLost(bus: Bus): Promise<void> {
  return new Promise((resolve) => {
    const forget = bus.onConnection(() => {
      forget();
      resolve();
    });
  });
}

test("connecting waits for a server that is not there, and says so once", limit, async (t) => {
  const server = await serverFor(t);
  await server.kill9();
  const said: string[] = [];
  const tries = new Heard();
  let count = 0;
  const clock = {
    ...systemClock,
    sleep(ms: number, signal?: AbortSignal) {
      count += 1;
      tries.changed();
      return systemClock.sleep(ms, signal);
    },
  };
  const onWaiting = (why: string) => said.push(why);
  const connecting = busFor(t, server, { clock, onWaiting });
  await tries.until(() => count >= 3);
  await server.restart();
  const bus = await connecting;
  assert.deepEqual(said, [`no NATS at ${server.url}: connection refused`]);
  assert.equal(bus.connected, true);
});

test("the wait for a server can be called off", limit, async (t) => {
  const server = await serverFor(t);
  await server.kill9();
  const stop = new AbortController();
  const connecting = open(server, { onWaiting: () => stop.abort(), signal: stop.signal });
  await assert.rejects(connecting, { code: "bus-unavailable" });
});

test("a server that can't take a large frame is refused with a sentence", limit, async (t) => {
  const server = await serverFor(t, { maxPayload: 1024 * 1024 });
  await assert.rejects(open(server), { code: "settings-invalid", message: /max_payload is 1048576/ });
});

test("a server below 2.10 is refused with a sentence", limit, async (t) => {
  const old = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      if (data.includes("PING")) socket.write("PONG\r\n");
    });
    socket.write(`INFO {"version":"2.9.25","proto":1,"headers":true,"max_payload":8388608}\r\n`);
  });
  await once(old.listen(0, "127.0.0.1"), "listening");
  t.after(() => old.close());
  const address = old.address();
  assert.ok(typeof address === "object" && address !== null);
  await assert.rejects(open({ url: `nats://127.0.0.1:${address.port}` }), {
    code: "server-too-old",
    message: "nats-server is 2.9.25; Millrace needs 2.10 or later.",
  });
});

test("an address that is none is refused with a sentence", limit, async () => {
  for (const url of ["http://127.0.0.1:4222", "nats://", "nats://u:secret@"])
    await assert.rejects(open({ url }), (error: Error) => {
      assert.match(error.message, /is not an address/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
});

test("a publish that is not acknowledged within 5 s says bus-timeout", limit, async (t) => {
  const server = await serverFor(t);
  const clock = new ManualClock();
  const bus = await busFor(t, server, { clock });
  await bus.ensureStream(0, caps);
  server.pause();
  const early = bus.publish(0, "a", bytes("a")).catch(codeOf);
  clock.advance(3_000);
  const late = bus.publish(0, "b", bytes("b")).catch(codeOf);
  clock.advance(2_500);
  assert.equal(await early, "bus-timeout");
  server.resume();
  assert.deepEqual(await late, { sequence: 2, duplicate: false });
  assert.deepEqual(await bus.publish(0, "a", bytes("a")), { sequence: 1, duplicate: true });
  clock.advance(5_500);
  assert.equal(clock.timers, 0);
});

test("a hung server is noticed by its pings; what is resent after it is recorded once", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server, { pingIntervalMs: 300 });
  await bus.ensureStream(0, { ...caps, bytesMax: 512 * 1024 * 1024 });
  const listening = await listen(bus, 0, 1);
  const lost = connectionLost(bus);
  server.pause();
  // More than the sockets hold, so that also the last write hangs.
  const flight = Array.from({ length: 100 }, (_, i) => bus.publish(0, `${i}`, new Uint8Array(256 * 1024)));
  const codes = await Promise.all(flight.map((each) => each.then(() => "ok", codeOf)));
  assert.deepEqual([...new Set(codes)], ["bus-unavailable"]);
  await lost;
  await listening.ended();
  server.resume();
  await connectedAgain(bus);
  for (let i = 0; i < 100; i++) await bus.publish(0, `${i}`, new Uint8Array(256 * 1024));
  assert.equal((await bus.streamState(0)).messages, 100);
});

test("a server that comes back with an empty disk: no stream, and an empty bucket", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  const before = await bus.ensureStream(0, caps);
  await bus.publish(0, "a", bytes("a"));
  const kv = await bus.kv("ONE");
  await kv.put("a", bytes("1"));
  const watch = watchWords(kv);
  await watch.until(1);
  await server.stop();
  await rm(join(server.folder, "jetstream"), { recursive: true });
  await server.restart();
  await connectedAgain(bus);
  await assert.rejects(bus.streamState(0), { code: "stream-missing" });
  assert.notEqual((await bus.ensureStream(0, caps)).incarnation, before.incarnation);
  await watch.until(3);
  assert.deepEqual(watch.words, ["snapshot a=1", "lost", "snapshot"]);
  watch.stop();
});

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

test("a reader whose consumer was deleted ends", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  await bus.ensureStream(0, caps);
  const listening = await listen(bus, 0, 1);
  await bus.publish(0, "1", bytes("x"));
  await listening.until(1);
  await meddle(server, async (jsm) => {
    for await (const info of jsm.consumers.list(streamName(0)))
      await jsm.consumers.delete(streamName(0), info.name);
  });
  await listening.ended();
  assert.equal(listening.ends.length, 1);
});

test("F1: a delivery that went astray ends the reader before a later frame is given", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  for (const frames of [1, 10]) {
    await bus.ensureStream(frames, caps);
    const listening = await listen(bus, frames, 1);
    await bus.publish(frames, "first", bytes("first"));
    await listening.until(1);
    // A second asker at the reader's consumer: the server serves both in turns.
    await meddle(server, async (jsm, thief) => {
      const [consumer] = await jsm.consumers.list(streamName(frames)).next();
      const stolen = thief.subscribe("stolen");
      const subject = `$JS.API.CONSUMER.MSG.NEXT.${streamName(frames)}.${consumer?.name}`;
      thief.publish(subject, JSON.stringify({ batch: frames, expires: 10_000_000_000 }), { reply: "stolen" });
      await thief.flush();
      for (let n = 1; n <= 2 * frames; n++) await bus.publish(frames, `${n}`, bytes(`${n}`));
      await listening.ended();
      assert.ok(stolen.getReceived() > 0);
    });
    const why = listening.ends[0]?.message ?? "";
    assert.match(why, /^delivery \d+ came after \d+$|^the server sent \d+ messages, \d+ came$/);
    const given = listening.frames.map((frame) => frame.sequence);
    assert.deepEqual(
      given,
      Array.from(given, (_, i) => i + 1),
    );
  }
});

test("closed readers and watches leave no consumer behind", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  await bus.ensureStream(0, caps);
  for (let i = 0; i < 5; i++) await (await listen(bus, 0, 1)).reader.close();
  let consumers = -1;
  await meddle(server, async (jsm) => {
    consumers = (await jsm.streams.info(streamName(0))).state.consumer_count;
  });
  assert.equal(consumers, 0);
});

test("a watch whose bucket was deleted and made anew starts over", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  const kv = await bus.kv("ONE");
  for (let i = 0; i < 20; i++) await kv.put("a", bytes(`${i}`));
  const watch = watchWords(kv);
  await watch.until(1);
  await meddle(server, (jsm) => jsm.streams.delete("KV_ONE"));
  await watch.until(3);
  await kv.put("b", bytes("1"));
  await watch.until(4);
  assert.deepEqual(watch.words, ["snapshot a=19", "lost", "snapshot", "change b=1"]);
  watch.stop();
});

test("a bucket that was deleted is made again by the next use", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  const kv = await bus.kv("ONE");
  await kv.put("a", bytes("1"));
  await meddle(server, (jsm) => jsm.streams.delete("KV_ONE"));
  await assert.rejects(kv.put("a", bytes("2")), { name: "Outage" });
  assert.ok((await kv.put("a", bytes("3"))) > 0);
});

test("a snapshot is complete although keys change while it is on its way", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  const kv = await bus.kv("ONE");
  const keys = Array.from({ length: 1_000 }, (_unused, i) => `key.${i}`);
  await Promise.all(keys.map((key) => kv.put(key, bytes("old"))));
  const watch = watchWords(kv);
  await Promise.all(keys.map((key) => kv.put(key, bytes("new"))));
  await watch.until(1);
  assert.equal(watch.words[0]?.split(" ").length, 1_001);
  watch.stop();
});

test("a stream somebody made by hand has its creation time as incarnation", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  await meddle(server, (jsm) => jsm.streams.add({ name: streamName(0), subjects: ["millrace.in.0"] }));
  const state = await bus.ensureStream(0, caps);
  assert.match(state.incarnation, /^\d{4}-\d\d-\d\dT/);
  assert.equal((await bus.streamState(0)).incarnation, state.incarnation);
  assert.equal(state.bytesMax, caps.bytesMax);
});

test("more reserved than the server has is stream-full", limit, async (t) => {
  const server = await serverFor(t, { maxFileStore: 10 * 1024 * 1024 });
  const bus = await busFor(t, server);
  await assert.rejects(bus.ensureStream(0, caps), { code: "stream-full" });
});
