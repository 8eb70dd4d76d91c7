import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import { isOutage } from "../../src/base/errors.ts";
import { parseTable } from "../../src/gateway/kernel-drops.ts";
import { openUdpDoor, type UdpDoorOptions } from "../../src/gateway/udp.ts";
import { hearLog } from "../harness/log.ts";
import { eventually } from "../harness/system.ts";
import { has, withDoors, type Doors } from "./open-doors.ts";
import { withGateway } from "./world.ts";

async function withSender(
  doors: Doors,
  body: (send: (bytes: string | Buffer) => Promise<void>) => Promise<void>,
): Promise<void> {
  const socket = createSocket("udp4");
  const port = doors.gateway.addresses["udp"]?.port ?? 0;
  try {
    await body(
      (bytes) =>
        new Promise((resolve, reject) => {
          socket.send(bytes, port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error)));
        }),
    );
  } finally {
    socket.close();
  }
}

function counts(doors: { counters: Counters }, what: RegExp): Promise<void> {
  return eventually(String(what), () => Promise.resolve(what.test(doors.counters.text())));
}

test("UDP: many lines in a datagram, a last one without line end, two tenants, up to 64 KB", async () => {
  await withDoors({}, async (doors) => {
    const [a, b] = doors.members;
    await withSender(doors, async (send) => {
      await send(`${a.writeKey}.a 1\n${b.writeKey}.b 2\r\n\n${a.writeKey}.c 3`);
      await has(doors, ["a 1", "c 3"]);
      assert.deepEqual(await doors.lines(1), ["b 2"]);
      let large = "";
      const names: string[] = [];
      for (let n = 10_000; ; n++) {
        const line = `${b.writeKey}.large.n${n} 1\n`;
        if (large.length + line.length > 65_507) break; // the most that fits a datagram of IPv4
        large += line;
        names.push(`large.n${n} 1`);
      }
      assert.ok(names.length > 1000); // more than the router has rows
      await send(large.padEnd(65_507, "\n"));
      await eventually("all lines", async () => (await doors.lines(1)).length === names.length + 1);
      assert.deepEqual((await doors.lines(1)).slice(1), names);
    });
  });
});

test("UDP: a datagram of rubbish costs that datagram, a bad line that line, and nothing is carried over", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    await withSender(doors, async (send) => {
      await send(Buffer.from(Array.from({ length: 1000 }, (_, n) => (n * 7919) & 0xff)));
      await send(Buffer.alloc(0));
      await send(`${writeKey}.${"x".repeat(40_000)}`);
      await send(`${writeKey}.half`);
      await send(`${writeKey}.bad x\n${writeKey}.good 1\nnobody.x 1\n`);
      await has(doors, ["good 1"]);
      await counts(doors, /lines_refused_total\{door="udp",reason="unknown-key"\} [1-9]/);
      await counts(doors, /gateway_datagrams_total\{door="udp"\} 5\n/);
      await eventually("the books", async () =>
        (await doors.refusals(0)).join().includes("bad-value 1,line-too-long 1,malformed 1"),
      );
    });
  });
});

test("A4: lines of a datagram that have no room, or an owner who can't be found, are refused and counted", async () => {
  await withGateway(async (world) => {
    const [full, other] = world.members;
    world.fault = (shard) => (shard === 0 ? "stream-full" : "none");
    const take = (text: string) => world.datagrams(Buffer.from(text), "192.0.2.1");
    const many = `${full.writeKey}.${"x".repeat(900)} 1\n`.repeat(64);
    for (let n = 0; n < 400; n++) take(many);
    take(`${full.writeKey}.late${"x".repeat(900)} 1\n${other.writeKey}.b 1\n`);
    await world.clock.pass(1000);
    assert.deepEqual(await world.lines(1), ["b 1"]);
    world.fault = () => "none";
    await world.clock.pass(5000);
    const lines = await world.lines(0);
    const [refused = ""] = await world.refusals(0);
    assert.equal(lines.length + Number(refused.replace("shard-full ", "")), 400 * 64 + 1);
    assert(lines.length < 400 * 64 && !lines.some((line) => line.startsWith("late")));
    world.bus.disconnect(); // the directory's connection
    take(`nobodysKey.x 1\n${full.writeKey}.c 1`);
    await world.clock.pass(1000);
    assert.match(world.counters.text(), /refused_total\{door="udp",reason="unavailable"\} 1\n/);
    world.bus.reconnect();
    assert((await world.lines(0)).includes("c 1"));
  });
});

async function open(options: Partial<UdpDoorOptions>) {
  const counters = new Counters();
  const heard = hearLog();
  const door = await openUdpDoor({
    listen: { host: "127.0.0.1", port: 0 },
    setting: "MILLRACE_UDP_LISTEN",
    receiveBufferBytes: 1 << 20,
    sockets: 1,
    name: "udp",
    onDatagram() {},
    counters,
    log: heard.log,
    clock: systemClock,
    ...options,
  });
  return { door, counters, heard };
}

test("U1: what the kernel drops of our socket is counted", async () => {
  if (!existsSync("/proc/net/udp")) return; // another system: nothing is promised
  let got = 0;
  let stuck = false;
  const { door, counters } = await open({
    receiveBufferBytes: 4096,
    onDatagram() {
      got++;
      // What arrives while this thread is busy has only the kernel's small buffer.
      const until = performance.now() + 200;
      if (!stuck) while (performance.now() < until);
      stuck = true;
    },
  });
  const socket = createSocket("udp4");
  const sent = 2000;
  const all = Array.from({ length: sent }, () => {
    return new Promise((resolve) => socket.send(Buffer.alloc(500), door.address.port, "127.0.0.1", resolve));
  });
  await Promise.all(all);
  socket.close();
  await door.close();
  const dropped = Number(/dropped_total\{door="udp"\} (\d+)/.exec(counters.text())?.[1]);
  assert(dropped > 0);
  assert.equal(got + dropped, sent);
});

test("U2: closing takes what has arrived; a taken port and more sockets than Node can share are said", async () => {
  let got = 0;
  const { door, heard } = await open({ sockets: 4, onDatagram: () => got++, receiveBufferBytes: 512 << 20 });
  const [major = 0] = process.versions.node.split(".").map(Number);
  assert.equal(
    heard.messages().some((said) => /can't share a UDP port/.test(said)),
    major < 23,
  );
  assert(heard.messages().some((said) => /less receive buffer than MILLRACE_UDP_RECEIVE_BUFFER/.test(said)));
  if (major < 23)
    await assert.rejects(
      open({ listen: door.address }),
      (error) => isOutage(error, "port-taken") && /MILLRACE_UDP_LISTEN/.test(error.message),
    );
  const socket = createSocket("udp4");
  socket.connect(door.address.port, "127.0.0.1");
  await once(socket, "connect");
  for (let n = 0; n < 100; n++) socket.send("x"); // at once: all lie in the kernel when the door closes
  await door.close();
  socket.close(); // before any check: what is open would keep a failed test waiting
  assert.equal(got, 100);
  await assert.rejects(
    open({ listen: { host: "192.0.2.1", port: 0 } }),
    (error) => isOutage(error, "settings-invalid") && /MILLRACE_UDP_LISTEN/.test(error.message),
  );
});

test("the kernel's table, as several versions of it look", () => {
  const f = (line: string, ...expected: [number, string, number][]) =>
    assert.deepEqual(
      parseTable(`   sl  local_address rem_address ...\n${line}\n`),
      expected.map(([port, inode, drops]) => ({ port, inode, drops })),
    );
  const rest = "07 00000000:00000000 00:00000000 00000000     0        0 1411819 2 00000000d9114c9e";
  f(`10196: 0100007F:07D3 00000000:0000 ${rest} 16360   `, [2003, "1411819", 16360]);
  f(`  12: ${"0".repeat(32)}:1FBD ${"0".repeat(32)}:0000 ${rest} 0`, [8125, "1411819", 0]);
  f("10196: 0100007F:07D3 00000000:0000 07");
  f("nonsense");
  f("");
});
