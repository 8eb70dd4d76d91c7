// The StatsD door with real sockets, on the memory bus.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually } from "../harness/system.ts";
import { has, withDoors, type Doors } from "./open-doors.ts";

function portOf(doors: Doors): number {
  return doors.gateway.addresses["statsd"]?.port ?? 0;
}

async function sendUdp(port: number, ...packets: string[]): Promise<void> {
  const socket = createSocket("udp4");
  for (const packet of packets)
    await new Promise<void>((resolve, reject) =>
      socket.send(packet, port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error))),
    );
  socket.close();
}

test("UDP: several metrics in a packet, with and without a line end; keys are stripped, sections are of kind statsd", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    await sendUdp(
      portOf(doors),
      `${writeKey}.a:1|c\n${writeKey}.b:320|ms|@0.1|#env:prod`,
      `${writeKey}.c:+1|g\r\n\n`,
      `${writeKey}.d:x|c\n${writeKey}._sc|x|0\nnokey:1|c\n${writeKey}.e:u|s`,
    );
    await has(doors, ["a:1|c", "b:320|ms|@0.1|#env:prod", "c:+1|g", "e:u|s"]);
    const sections = (await doors.frames(0)).flatMap((frame) => frame.sections);
    assert.deepEqual([...new Set(sections.map(({ door, kind }) => `${door} ${kind}`))], ["statsd statsd"]);
    const count = sections.reduce((sum, { lineCount }) => sum + lineCount, 0);
    assert.equal(count, 4);
    const text = doors.counters.text();
    assert.match(text, /gateway_lines_refused_total\{door="statsd",reason="no-key"\} 1\n/);
    await sendUdp(portOf(doors), `${writeKey}.f:1|c`);
    await eventually("the refusals in a frame", async () => {
      const refusals = await doors.refusals(0);
      return refusals.join() === "bad-type 1,bad-value 1";
    });
  });
});

test("TCP on the same port: lines in pieces, a last one without line end", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    const socket = connect(portOf(doors), "127.0.0.1");
    await once(socket, "connect");
    for (const piece of [`${writeKey}.a:1`, "|c\n", `${writeKey}.b:2|c\n${writeKey}.c`]) {
      socket.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end(":3|ms");
    await has(doors, ["a:1|c", "b:2|c", "c:3|ms"]);
  });
});

test("off is off", async () => {
  await withDoors({ MILLRACE_STATSD_LISTEN: "off" }, async (doors) => {
    assert.equal(doors.gateway.addresses["statsd"], undefined);
    await Promise.resolve();
  });
});
