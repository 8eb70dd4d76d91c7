// A raw connection's bytes on their way to shards: whose they are, who waits, who is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { ShardBatcher } from "../../src/gateway/batch.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { until } from "../tenant/directory-world.ts";
import { withGateway as withGatewayOf, type GatewayWorld } from "./world.ts";

/** With each kernel. */
async function withGateway(body: (world: GatewayWorld) => Promise<void>): Promise<void> {
  for (const newRouter of [createKernelRouter, createPlainRouter])
    await withGatewayOf(body, undefined, newRouter);
}

const filler = "x".repeat(900);

/** Fills the bound of shard 0, which says no. */
async function fill(world: GatewayWorld): Promise<void> {
  world.fault = (shard) => (shard === 0 ? "stream-full" : "none");
  const sink = world.sink();
  const chunk = Buffer.from(`${world.members[0].writeKey}.${filler} 1\n`.repeat(64));
  for (let n = 0; n < 400 && sink.take(chunk) === undefined; n++);
  await world.clock.pass(1000);
  assert.equal(world.batchers[0]?.hasRoom(1000, "tcp"), false);
}

test("lines of several tenants go to their shards, keys stripped; bad ones are booked with their reason", async () => {
  await withGateway(async (world) => {
    const [a, b] = world.members;
    const now = Math.floor(world.clock.nowMs() / 1000);
    const text = [
      `${a.writeKey}.one 1 ${now}`,
      `${b.writeKey}.two 2`,
      `${a.writeKey}.old 1 1000`,
      `${a.writeKey}.new 1 ${now + 7200}`,
      `${a.writeKey}.bad x`,
      `${b.readKey}.no 1`,
      "nonsense.no 1",
      "nokey",
      `${a.writeKey}.three 3\r`,
      "",
    ].join("\n");
    assert.equal(world.sink().take(Buffer.from(text)), undefined);
    await world.clock.pass(2000);
    assert.deepEqual(await world.lines(0), [`one 1 ${now}`, "three 3"]);
    assert.deepEqual(await world.lines(1), ["two 2"]);
    assert.deepEqual(await world.refusals(0), ["bad-value 1", "too-new 1", "too-old 1"]);
    assert.deepEqual(await world.refusals(1), ["key-not-for-writing 1"]);
    const counted = world.counters.text();
    assert.match(counted, /refused_total\{door="tcp",reason="unknown-key"\} 1/);
    assert.match(counted, /refused_total\{door="tcp",reason="no-key"\} 1/);
    assert.doesNotMatch(counted + world.heard.text.join(""), new RegExp(`${a.writeKey}|${b.readKey}`));
  });
});

test("too-old is judged by the longest ladder of the line's tenant, also after it changed", async () => {
  await withGateway(async (world) => {
    const [a, b] = world.members;
    const now = Math.floor(world.clock.nowMs() / 1000);
    const old = now - 172_801; // the default ladder holds 172,800 s
    const text = `${a.writeKey}.x 1 ${old}\n${b.writeKey}.x 1 ${old}\n`;
    const sink = world.sink();
    assert.equal(sink.take(Buffer.from(text)), undefined);
    await world.clock.pass(2000);
    const kv = await world.bus.kv(tenantsBucket);
    const rules = [
      { name: "long", pattern: "nothing", ladder: "60s:200000s" },
      { name: "short", pattern: "x", ladder: "60s:60s" },
    ];
    const entry = await kv.get(tenantKeyOf(a.tenant.id));
    const changed = { ...a.tenant, rules: { schemas: [{ fromSeconds: 0, rules }], aggregation: [] } };
    await kv.update(tenantKeyOf(a.tenant.id), encodeJson(changed), entry?.revision ?? 0);
    await until(world.directory, () => world.directory.byId(a.tenant.id)?.rules !== undefined);
    assert.equal(sink.take(Buffer.from(`${text}${a.writeKey}.y 1 ${now - 200_001}\n`)), undefined);
    const tenant = world.directory.byId(a.tenant.id) as Tenant;
    const batcher = world.batchers[0] as ShardBatcher;
    const accepted = world.acceptor.accept(tenant, batcher, Buffer.from(`h 1 ${old}\n`));
    const keyed = world.acceptor.acceptKeyed(tenant, batcher, Buffer.from(`k 1 ${old}\n`), "k");
    await world.clock.pass(2000);
    assert.deepEqual([(await accepted).kind, (await keyed).kind], ["recorded", "recorded"]);
    assert.deepEqual(await world.lines(0), [`h 1 ${old}`, `k 1 ${old}`, `x 1 ${old}`]);
    assert.deepEqual(await world.lines(1), []);
    assert.deepEqual(await world.refusals(0), ["too-old 2"]);
    assert.deepEqual(await world.refusals(1), ["too-old 2"]);
  });
});

test("bytes may be cut anywhere; what has no line end is taken at the end only", async () => {
  const random = seededRandom(Number(process.env["MILLRACE_SEED"] ?? 3));
  for (let round = 0; round < 20; round++)
    await withGateway(async (world) => {
      const [a, b] = world.members;
      const bytes = Buffer.from(
        Array.from(
          { length: 30 },
          (_, n) => `${(n % 3 ? a : b).writeKey}.m${String(n).padStart(2, "0")} ${n}`,
        ).join("\n"),
      );
      const sink = world.sink();
      for (let at = 0; at < bytes.length; ) {
        const to = at + 1 + random.below(90);
        assert.equal(sink.take(bytes.subarray(at, to)), undefined);
        at = to;
      }
      await world.clock.pass(100);
      assert.equal((await world.lines(0)).length + (await world.lines(1)).length, 29);
      assert.equal(sink.end(), undefined);
      await world.clock.pass(100);
      const all = [...(await world.lines(0)), ...(await world.lines(1))].sort();
      assert.deepEqual(
        all,
        Array.from({ length: 30 }, (_, n) => `m${String(n).padStart(2, "0")} ${n}`),
      );
    });
});

test("10 MB without line end are one refused line, and the next line counts", async () => {
  await withGateway(async (world) => {
    const sink = world.sink();
    assert.equal(sink.take(Buffer.from(`${world.members[0].writeKey}.long`)), undefined);
    const chunk = Buffer.alloc(64 << 10, "x");
    for (let n = 0; n < 160; n++) assert.equal(sink.take(chunk), undefined);
    assert.equal(sink.take(Buffer.from(`\n${world.members[0].writeKey}.a 1\n`)), undefined);
    await world.clock.pass(2000);
    assert.deepEqual(await world.lines(0), ["a 1"]);
    assert.deepEqual(await world.refusals(0), ["line-too-long 1"]);
  });
});

test("A1: a connection that feeds only the shard that says no waits, and nothing of it is lost", async () => {
  await withGateway(async (world) => {
    await fill(world);
    const waits = world.sink().take(Buffer.from(`${world.members[0].writeKey}.late 1\n`));
    assert(waits !== undefined);
    let taken = false;
    void waits.then(() => (taken = true));
    await world.clock.pass(60_000);
    assert.equal(taken, false);
    world.fault = () => "none";
    await world.clock.pass(5000);
    assert.equal(taken, true);
    assert((await world.lines(0)).includes("late 1"));
    assert.deepEqual(await world.refusals(0), []);
  });
});

test("a line that is cut between two chunks waits with what lies behind it, or not at all: A1, A2", async () => {
  await withGateway(async (world) => {
    await fill(world);
    const [full, other] = world.members;
    const [alone, mixed] = [world.sink(), world.sink()];
    assert.equal(alone.take(Buffer.from(`${full.writeKey}.al`)), undefined);
    const waits = alone.take(Buffer.from(`one 1\n${full.writeKey}.behind 2\n${full.writeKey}.begun`));
    assert(waits !== undefined);
    // The first line is for the shard that says no, and others' lines came with its end.
    assert.equal(mixed.take(Buffer.from(`${full.writeKey}.mi`)), undefined);
    assert.equal(mixed.take(Buffer.from(`xed 1\n${other.writeKey}.b 1\n`)), undefined);
    await world.clock.pass(100);
    assert.deepEqual(await world.lines(1), ["b 1"]);
    world.fault = () => "none";
    await world.clock.pass(5000);
    await waits;
    assert.equal(alone.take(Buffer.from(" 3\n")), undefined);
    await world.clock.pass(1000);
    const lines = (await world.lines(0)).filter((line) => !line.startsWith("x"));
    assert.deepEqual(lines, ["alone 1", "begun 3", "behind 2"]);
    assert.deepEqual(await world.refusals(0), ["shard-full 1"]);
  });
});

test("A2: on a connection that feeds several shards the others' lines flow, its own are refused as shard-full", async () => {
  await withGateway(async (world) => {
    await fill(world);
    const [full, other] = world.members;
    const sink = world.sink();
    // The very first line is for the shard that says no: others lie behind it.
    for (let n = 0; n < 20; n++)
      assert.equal(sink.take(Buffer.from(`${full.writeKey}.a ${n}\n${other.writeKey}.b ${n}\n`)), undefined);
    await world.clock.pass(100);
    assert.equal((await world.lines(1)).length, 20);
    world.fault = () => "none";
    await world.clock.pass(5000);
    assert.deepEqual(await world.refusals(0), ["shard-full 20"]);
    assert.equal(sink.take(Buffer.from(`${full.writeKey}.after 1\n`)), undefined);
    await world.clock.pass(100);
    assert((await world.lines(0)).includes("after 1"));
  });
});

test("without a bus every connection waits, and is not refused", async () => {
  await withGateway(async (world) => {
    const [a, b] = world.members;
    world.own.disconnect();
    const sink = world.sink();
    const chunk = Buffer.from(`${a.writeKey}.${filler} 1\n${b.writeKey}.${filler} 1\n`.repeat(32));
    let waits: Promise<void> | undefined;
    let chunks = 0;
    while (waits === undefined && chunks < 2000) {
      waits = sink.take(chunk);
      chunks++;
    }
    assert(waits !== undefined);
    await world.clock.pass(600_000);
    world.own.reconnect();
    await world.clock.pass(10_000);
    await waits;
    await world.clock.pass(10_000);
    assert.deepEqual([await world.refusals(0), await world.refusals(1)], [[], []]);
    assert.deepEqual(
      [(await world.lines(0)).length, (await world.lines(1)).length],
      [chunks * 32, chunks * 32],
    );
  });
});

test("while the directory can't say whose key it is, the line waits; known keys go on", async () => {
  await withGateway(async (world) => {
    const late = await world.add("late");
    world.bus.disconnect(); // the directory's connection
    const sink = world.sink();
    assert.equal(sink.take(Buffer.from(`${world.members[0].writeKey}.a 1\n`)), undefined);
    const waits = sink.take(Buffer.from(`nobodysKey.x 1\n${world.members[0].writeKey}.b 1\n`));
    assert(waits !== undefined);
    await world.clock.pass(60_000);
    world.bus.reconnect();
    await world.clock.pass(1000);
    await waits;
    assert.equal(sink.take(Buffer.from(`${late.writeKey}.c 1\n`)), undefined);
    await world.clock.pass(100);
    const all = [...(await world.lines(0)), ...(await world.lines(1))].sort();
    assert.deepEqual(all, ["a 1", "b 1", "c 1"]);
  });
});

test("suspended and deleted tenants are refused and booked; a change reaches open connections", async () => {
  await withGateway(async (world) => {
    const { tenant, writeKey } = world.members[0];
    const kv = await world.bus.kv(tenantsBucket);
    const sink = world.sink();
    const send = async (state: "active" | "suspended" | "deleted") => {
      await kv.put(tenantKeyOf(tenant.id), encodeJson({ ...tenant, state }));
      await world.clock.pass(0);
      assert.equal(sink.take(Buffer.from(`${writeKey}.${state} 1\n`)), undefined);
    };
    await send("active");
    await send("suspended");
    await send("deleted");
    await send("active");
    await world.clock.pass(2000);
    assert.deepEqual(await world.lines(0), ["active 1", "active 1"]);
    assert.deepEqual(await world.refusals(0), ["tenant-deleted 1", "tenant-suspended 1"]);
  });
});

test("lines of a deleted tenant between others': each is counted as what it is", async () => {
  await withGateway(async (world) => {
    const [own, gone] = world.members;
    const kv = await world.bus.kv(tenantsBucket);
    await kv.put(tenantKeyOf(gone.tenant.id), encodeJson({ ...gone.tenant, state: "deleted" }));
    await world.clock.pass(0);
    const lines = [gone, gone, "x1", "x2", "x2", "", gone, own, own, gone, gone].map((of, i) => {
      const key = typeof of === "string" ? of : of.writeKey;
      return key === "" ? `nokey${i} 1\n` : `${key}.m${i} ${i === 1 ? "bad" : 1}\n`;
    });
    assert.equal(world.sink().take(Buffer.from(lines.join(""))), undefined);
    await world.clock.pass(2000);
    assert.deepEqual(await world.lines(0), ["m7 1", "m8 1"]);
    assert.deepEqual([await world.refusals(0), await world.refusals(1)], [[], ["tenant-deleted 5"]]);
    const counted = [
      ...world.counters.text().matchAll(/^gateway_lines_refused_total\{.*reason="(.*)"\} (\d+)$/gm),
    ].map(([, reason, count]) => `${reason} ${count}`);
    assert.deepEqual(counted.toSorted(), ["no-key 1", "tenant-deleted 5", "unknown-key 3"]);
  });
});
