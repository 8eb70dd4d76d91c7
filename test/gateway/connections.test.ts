// Bounds of connections, slow and hostile senders, and senders known by their address, with real sockets.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import { eventually } from "../harness/system.ts";
import { has, withDoors, type Doors } from "./open-doors.ts";

function counts(doors: Doors, what: RegExp): Promise<void> {
  return eventually(String(what), () => Promise.resolve(what.test(doors.counters.text())), 10_000);
}

/** However it ends. */
function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume();
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

test("T3: one connection over its tenant's bound is closed and counted, those there and others' stay", async () => {
  await withDoors({ MILLRACE_TENANT_CONNECTIONS: "2" }, async (doors) => {
    const [a, b] = doors.members;
    const there = [await doors.dial(), await doors.dial()];
    for (const [n, socket] of there.entries()) socket.write(`${a.writeKey}.first${n} 1\n`);
    await has(doors, ["first0 1", "first1 1"]);
    const surplus = await doors.dial();
    surplus.write(`nobody.x 1\n${a.writeKey}.surplus 1\n${a.writeKey}.surplus 2\n`);
    await gone(surplus);
    await counts(doors, /refused_total\{door="tcp",reason="tenant-connections"\} 1\n/);
    const other = await doors.dial();
    other.write(`${b.writeKey}.other 1\n`);
    for (const [n, socket] of there.entries()) socket.write(`${a.writeKey}.still${n} 1\n`);
    await has(doors, ["first0 1", "first1 1", "still0 1", "still1 1"]);
    await eventually("the other's", async () => (await doors.lines(1)).join() === "other 1");
    // A place is free when its connection is gone.
    there[0]?.end();
    await counts(doors, /gateway_connections\{door="tcp"\} 2\n/);
    (await doors.dial()).write(`${a.writeKey}.then 1\n`);
    await has(doors, ["first0 1", "first1 1", "still0 1", "still1 1", "then 1"]);
  });
});

test("T3: strangers can't keep others out: the oldest makes room; who has said a key stays", async () => {
  await withDoors({ MILLRACE_TCP_CONNECTIONS: "4" }, async (doors) => {
    const [a] = doors.members;
    const known = await doors.dial();
    known.write(`${a.writeKey}.known 1\n`);
    await has(doors, ["known 1"]);
    const strangers = [await doors.dial(), await doors.dial(), await doors.dial()];
    for (const socket of strangers) socket.write("nobody.x 1\nnobody.y");
    await counts(doors, /refused_total\{door="tcp",reason="unknown-key"\} 3\n/);
    const late = await doors.dial();
    late.write(`${a.writeKey}.late 1\n`);
    await has(doors, ["known 1", "late 1"]);
    await gone(strangers[0] as Socket);
    await counts(doors, /refused_total\{door="tcp",reason="stranger"\} 1\n/);
    for (const socket of strangers.slice(1)) assert.equal(socket.closed, false);
    // All places with a key: one more is turned away.
    for (const n of [1, 2]) (await doors.dial()).write(`${a.writeKey}.more${n} 1\n`);
    await has(doors, ["known 1", "late 1", "more1 1", "more2 1"]);
    await gone(await doors.dial());
    await counts(doors, /refused_total\{door="tcp",reason="connections"\} 1\n/);
    known.write(`${a.writeKey}.still 1\n`);
    await has(doors, ["known 1", "late 1", "more1 1", "more2 1", "still 1"]);
  });
});

test("a connection that sends nothing is closed and counted, one that sends a little stays", async () => {
  await withDoors({ MILLRACE_TCP_IDLE: "1s" }, async (doors) => {
    const [idle, busy] = [await doors.dial(), await doors.dial()];
    const timer = setInterval(() => busy.write("\n"), 100);
    await gone(idle);
    clearInterval(timer);
    await counts(doors, /refused_total\{door="tcp",reason="idle"\} 1\n/);
    assert.equal(busy.closed, false);
    busy.end(`${doors.members[0].writeKey}.a 1`);
    await has(doors, ["a 1"]);
  });
});

test("1,000 connections send byte by byte, and one 10 MB without line end, while another arrives whole", async () => {
  await withDoors({}, async (doors) => {
    const [a, b] = doors.members;
    const line = Buffer.from(`${b.writeKey}.slow 1\n`);
    const slow = await Promise.all(Array.from({ length: 1000 }, () => doors.dial()));
    let at = 0;
    const trickle = () => {
      for (const socket of slow) socket.write(line.subarray(at, at + 1));
      at++;
    };
    trickle();
    const timer = setInterval(trickle, 1000);
    try {
      const huge = await doors.dial();
      huge.end(Buffer.alloc(10 << 20, `${b.writeKey}.x`));
      const fast = await doors.dial();
      const lines = 200_000;
      for (let n = 0; n < lines; n += 1000) {
        const text = Array.from({ length: 1000 }, (_, i) => `${a.writeKey}.fast.n${n + i} 1\n`).join("");
        if (!fast.write(text)) await once(fast, "drain");
      }
      fast.end();
      await eventually("all lines of the fast one", async () => (await doors.lines(0)).length >= lines);
      assert.equal(new Set(await doors.lines(0)).size, lines);
      clearInterval(timer);
      // The slow ones lost nothing by it.
      for (const socket of slow) socket.end(line.subarray(at));
      await eventually("the slow ones' lines", async () => (await doors.lines(1)).length === slow.length);
      assert.match((await doors.refusals(1)).join(), /line-too-long 1/);
    } finally {
      clearInterval(timer);
    }
  });
});

test("A6: lines from a tenant's address need no key, by TCP and UDP, at once for open connections too", async () => {
  await withDoors({}, async (doors) => {
    const [a, b] = doors.members;
    const kv = await doors.bus.kv(tenantsBucket);
    const give = async (tenant: typeof a.tenant, addresses: string[], state = "active") => {
      const before = doors.directory.generation;
      await kv.put(tenantKeyOf(tenant.id), encodeJson({ ...tenant, addresses, state }));
      await eventually(
        "the directory knows",
        () => Promise.resolve(doors.directory.generation > before),
        5000,
      );
    };
    const tcp = await doors.dial();
    tcp.write(`${a.writeKey}.keyed 1\n`);
    await has(doors, ["keyed 1"]);
    await give(b.tenant, ["127.0.0.0/8"]);
    const udp = createSocket("udp4");
    try {
      tcp.write("web.requests 1\nplain 2\nbad x\nhal");
      await eventually("by TCP", async () => (await doors.lines(1)).join() === "plain 2,web.requests 1");
      // The longest prefix decides, and the beginning of a line is whose its end is.
      await give(a.tenant, ["127.0.0.1"]);
      tcp.write("f 3\n");
      await has(doors, ["half 3", "keyed 1"]);
      udp.send("x.y 4\nz 5", doors.gateway.addresses["udp"]?.port ?? 0, "127.0.0.1");
      await has(doors, ["half 3", "keyed 1", "x.y 4", "z 5"]);
      await give(a.tenant, ["127.0.0.1"], "deleted");
      tcp.write("gone 1\n");
      await eventually("the books", async () => (await doors.refusals(0)).join() === "tenant-deleted 1");
      await give(a.tenant, []);
      await give(b.tenant, []);
      tcp.write(`${a.writeKey}.again 1\nnokey 1\n`);
      await has(doors, ["again 1", "half 3", "keyed 1", "x.y 4", "z 5"]);
      assert.deepEqual(await doors.refusals(1), ["bad-value 1"]);
      assert.match(doors.counters.text(), /refused_total\{door="tcp",reason="no-key"\} 1\n/);
    } finally {
      udp.close();
    }
  });
});
