// The doors with real sockets, on the memory bus: what senders see and what is recorded.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import { eventually } from "../harness/system.ts";
import { has, withDoors } from "./open-doors.ts";

test("TCP: lines in pieces, a last one without line end, half a line of a connection that broke", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    const slow = await doors.dial();
    for (const piece of [
      writeKey.slice(0, 5),
      writeKey.slice(5),
      ".a",
      " 1\n",
      `${writeKey}.b 2\n${writeKey}`,
    ]) {
      slow.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    slow.end(".c 3");
    await once(slow, "close");
    const broken = await doors.dial();
    broken.write(`${writeKey}.d 4\n${writeKey}.half 5`);
    await has(doors, ["a 1", "b 2", "c 3", "d 4"]);
    broken.resetAndDestroy();
    await once(broken, "close");
    const next = await doors.dial();
    next.end(`${writeKey}.e 5`);
    await has(doors, ["a 1", "b 2", "c 3", "d 4", "e 5"]);
  });
});

test("TCP: a thousand connections that send a byte each leave room for one that sends lines; the bound holds", async () => {
  await withDoors({ MILLRACE_TCP_CONNECTIONS: "1001" }, async (doors) => {
    const { writeKey } = doors.members[0];
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => doors.dial()));
    for (const socket of sockets) socket.write("w");
    const busy = await doors.dial();
    busy.write(`${writeKey}.a 1\n`);
    await has(doors, ["a 1"]);
    // One more: the bound holds, and who never said a key goes.
    const again = await doors.dial();
    again.write(`${writeKey}.b 2\n`);
    await has(doors, ["a 1", "b 2"]);
    const holds = [/gateway_connections\{door="tcp"\} 1001\n/, /tcp",reason="stranger"\} 1\n/];
    await eventually("the bound", () =>
      Promise.resolve(holds.every((what) => what.test(doors.counters.text()))),
    );
  });
});

test("TCP: while the bus is away a sender is not read without bound; then everything arrives", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    doors.own.disconnect();
    const socket = await doors.dial();
    const chunk = Buffer.from(`${writeKey}.${"x".repeat(900)} 1\n`.repeat(1000));
    let sent = 0;
    for (; sent < 60; sent++) if (!socket.write(chunk) && socket.writableLength > 20 * chunk.length) break;
    await eventually("it is paused", () =>
      Promise.resolve(doors.counters.text().includes('accepted_total{door="tcp",shard="0"} 1')),
    );
    doors.own.reconnect();
    socket.end();
    const expected = (sent === 60 ? 60 : sent + 1) * 1000;
    await eventually("all lines", async () => (await doors.lines(0)).length === expected);
  });
});

test("HTTP: each answer to each kind of key and body", async () => {
  await withDoors({ MILLRACE_HTTP_BODY_MB: "1" }, async (doors) => {
    const { tenant, writeKey, readKey } = doors.members[0];
    const kv = await doors.bus.kv(tenantsBucket);
    const state = (word: string) => kv.put(tenantKeyOf(tenant.id), encodeJson({ ...tenant, state: word }));
    const f = async (key: string, body: string, status: number, headers = {}) => {
      const [got, answer] = await doors.post(key, body, headers);
      assert.equal(got, status, JSON.stringify(answer));
      return answer;
    };
    assert.deepEqual(await f(writeKey, "a 1\nx\n", 202), {
      accepted: 1,
      refused: [{ line: 2, reason: "malformed", text: "x" }],
    });
    await f(writeKey, "x\n", 400);
    await f(writeKey, "", 400);
    await f("nobody", "a 1\n", 401);
    await f(readKey, "a 1\n", 403);
    await f(writeKey, "a 1\n".repeat(300_000), 413);
    await f(writeKey, "a 1\n", 400, { "Idempotency-Key": "x".repeat(256) });
    await f(writeKey, "b 1\n", 202, { "Idempotency-Key": "k" });
    await f(writeKey, "b 1\n", 202, { "Idempotency-Key": "k" });
    await state("suspended");
    await f(writeKey, "a 1\n", 403);
    await state("deleted");
    await f(writeKey, "a 1\n", 410);
    await state("active");
    await f(writeKey, "c 1\n", 202);
    await has(doors, ["a 1", "b 1", "c 1"]);
  });
});

test("HTTP: a directory or a record that is away is 503, with what is recorded", async () => {
  await withDoors({}, async (doors) => {
    const { writeKey } = doors.members[0];
    doors.bus.disconnect(); // the directory's connection
    assert.deepEqual(await doors.post("nobody", "a 1\n"), [
      503,
      { error: "the directory of tenants can't be reached", recorded: "none" },
    ]);
    assert.equal((await doors.post(writeKey, "a 1\n"))[0], 202);
    doors.bus.reconnect();
    doors.own.disconnect();
    assert.deepEqual(await doors.post(writeKey, "b 1\n"), [
      503,
      { error: "the record can't be reached", recorded: "none" },
    ]);
    doors.own.reconnect();
    assert.equal((await doors.post(writeKey, "c 1\n"))[0], 202);
    await has(doors, ["a 1", "c 1"]);
  });
});
