// A tenant's own limits at the doors: raw ones lose single lines, requests are taken or refused whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import type { ShardBatcher } from "../../src/gateway/batch.ts";
import { changeLimits, type LimitsChange } from "../../src/tenant/admin.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import { limitsOf, readLimits } from "../../src/tenant/limits.ts";
import type { Tenant, TenantLimits } from "../../src/tenant/tenant.ts";
import { reasons } from "../../src/metric/reason.ts";
import type { Kind } from "../../src/metric/frame.ts";
import { until } from "../tenant/directory-world.ts";
import { withGateway, type GatewayWorld } from "./world.ts";

/** Gives the first member limits, as an operator does. */
async function limit(world: GatewayWorld, limits: unknown): Promise<Tenant> {
  const { tenant } = world.members[0];
  const kv = await world.bus.kv(tenantsBucket);
  const text = JSON.stringify(limits);
  await kv.put(tenantKeyOf(tenant.id), encodeJson({ ...tenant, limits }));
  await until(world.directory, () => JSON.stringify(world.directory.byId(tenant.id)?.limits) === text);
  return world.directory.byId(tenant.id) as Tenant;
}

function lines(world: GatewayWorld, count: number, name = "a"): Buffer {
  return Buffer.from(`${world.members[0].writeKey}.${name} 1\n`.repeat(count));
}

test("a raw door's lines over the rate are refused one by one, the others' flow", async () => {
  await withGateway(async (world) => {
    const sink = world.sink();
    const other = Buffer.from(`${world.members[1].writeKey}.b 1\n`.repeat(100));
    await limit(world, { pointsPerSecond: 10 });
    assert.equal(sink.take(Buffer.concat([lines(world, 100), other])), undefined);
    await world.clock.pass(1000);
    assert.equal(sink.take(Buffer.concat([lines(world, 5), other])), undefined);
    await world.clock.pass(2000);
    assert.equal((await world.lines(0)).length, 15);
    assert.equal((await world.lines(1)).length, 200);
    assert.deepEqual(await world.refusals(0), ["rate-limit 90"]);
    assert.match(world.counters.text(), /refused_total\{door="tcp",reason="rate-limit"\} 90/);
    // Another limit holds for the open connection.
    await limit(world, { pointsPerSecond: 1000 });
    assert.equal(sink.take(lines(world, 1)), undefined);
    await world.clock.pass(2000);
    assert.equal(sink.take(lines(world, 1999)), undefined);
    await world.clock.pass(2000);
    assert.equal((await world.lines(0)).length, 2015);
    await limit(world, {});
    assert.equal(sink.take(lines(world, 20_000)), undefined);
    await world.clock.pass(2000);
    assert.equal((await world.lines(0)).length, 22_015);
  });
});

test("requests are taken whole while something is left, then refused whole and booked; keyed ones too", async () => {
  await withGateway(async (world) => {
    const tenant = await limit(world, { pointsPerSecond: 10 });
    const batcher = world.batchers[0] as ShardBatcher;
    const body = Buffer.from("a 1\n".repeat(40));
    const accept = async (key?: string) => {
      const verdict =
        key === undefined
          ? world.acceptor.accept(tenant, batcher, body)
          : world.acceptor.acceptKeyed(tenant, batcher, body, key);
      await world.clock.pass(100);
      return verdict;
    };
    assert.equal((await accept()).kind, "recorded");
    // 10 to begin with, less 40; 1 came in 100 ms.
    assert.deepEqual(await accept(), { kind: "limited", reason: "rate-limit", retryAfterMs: 3000 });
    assert.equal((await accept("k")).kind, "limited");
    // Blank lines are none; a line without line end is one.
    const odd = world.acceptor.accept(tenant, batcher, Buffer.from("\n \r\na 1\n\nb"));
    await world.clock.pass(2000);
    assert.equal((await odd).kind, "limited");
    assert.deepEqual(await world.refusals(0), ["rate-limit 82"]);
    await world.clock.pass(1000);
    assert.equal((await accept("k")).kind, "recorded");
    assert.equal((await world.lines(0)).length, 80);
  });
});

test("names and tags over the tenant's limits are refused at raw doors and in requests", async () => {
  await withGateway(async (world) => {
    const tenant = await limit(world, { nameBytes: 12, tags: 2 });
    const sink = world.sink();
    const texts = [
      "twelve.bytes 1", // good
      "thirteen.byte 1",
      "a;b=1;c=2 1", // good
      "a;b=1;c=2;d=3 1",
      'a{b="1"} 1', // good
      "a\t1", // good
    ];
    const { writeKey } = world.members[0];
    assert.equal(sink.take(Buffer.from(texts.map((text) => `${writeKey}.${text}\n`).join(""))), undefined);
    const accepted = world.acceptor.accept(
      tenant,
      world.batchers[0] as ShardBatcher,
      Buffer.from(texts.join("\n")),
    );
    await world.clock.pass(2000);
    const verdict = await accepted;
    assert(verdict.kind === "recorded");
    assert.equal(verdict.accepted, 4);
    assert.deepEqual(
      verdict.refused.map(({ line, reason }) => `${line} ${reason}`),
      ["2 name-too-long", "4 name-too-long"],
    );
    assert.equal((await world.lines(0)).length, 8);
  });
});

test("how tags and names are counted, in each kind of line", async () => {
  await withGateway(async (world) => {
    await limit(world, { nameBytes: 40, tags: 2 });
    const gate = () => {
      const route = world.routes.of(world.members[0].writeKey);
      assert(route.kind === "tenant" && route.gate !== undefined);
      return route.gate;
    };
    const f = (line: string, expected: string, kind: Kind = "plaintext") => {
      const bytes = Buffer.from(line);
      assert.equal(reasons[gate().judge(bytes, 0, bytes.length, kind)], expected, line);
    };
    f("a;b=1;c=2 1", "ok");
    f("a;b=1;c=2;d=3 1", "tags-limit");
    f('a{b="1",c=";"} 1', "ok");
    f('a{b="1",c="2",d="3"} 1', "tags-limit");
    f(`${"x".repeat(40)} 1`, "ok");
    f(`${"x".repeat(41)} 1`, "name-too-long");
    f(`${"x".repeat(39)}:1 1`, "name-too-long");
    f(`${"x".repeat(40)}:1|c`, "ok", "statsd");
    f("x:1|c|#a:1,b:2", "ok", "statsd");
    f("x:1|c|#a:1,b:2,c:3", "tags-limit", "statsd");
    f("x:1|c|@0.1|#a:1,b:2|T1", "ok", "statsd");
    f("x;a=1:1|c|#b:1,c:1", "tags-limit", "statsd");
    f("x:1|c|#a|#a:1,b:2,c:3", "tags-limit", "statsd");
    f("x:1|c|#a,b,c|#a", "ok", "statsd");
    f(`x:1|c|#a:${"v".repeat(36)}`, "ok", "statsd");
    f(`x:1|c|#a:${"v".repeat(37)}|T1`, "name-too-long", "statsd");
  });
});

test("each value of a StatsD line is a point of the rate", async () => {
  const f = (line: string, points: number) =>
    withGateway(async (world) => {
      await limit(world, { pointsPerSecond: 100 });
      const route = world.routes.of(world.members[0].writeKey);
      assert(route.kind === "tenant");
      const bytes = Buffer.from(line);
      const judge = () => reasons[route.gate?.judge(bytes, 0, bytes.length, "statsd") ?? 0];
      let taken = 0;
      while (judge() === "ok") taken++;
      assert.equal(taken, Math.ceil(100 / points), line);
    });
  await f("x:1|c", 1);
  await f("x:1:2:3:4|ms", 4);
  await f(`x${":1".repeat(1000)}|ms|@0.5|#a:1:2:3`, 1000);
  await f("x:1:2|c|@0.1:3:4:5|g:6|ms|T17:00:00", 6);
  await f("x:2001:db8::1| s |#ip:::1", 1);
});

test("set by compare-and-set; what is not named stays", async () => {
  await withGateway(async (world) => {
    const { id } = world.members[0].tenant;
    const kv = await world.bus.kv(tenantsBucket);
    await Promise.all([
      changeLimits(kv, id, { pointsPerSecond: 5, series: "off" }),
      changeLimits(kv, id, { nameBytes: 100, tags: 3 }),
    ]);
    const f = async (change: LimitsChange, kind: string, expected: unknown) => {
      const result = await changeLimits(kv, id, change);
      assert(result.kind !== "unknown-tenant" && result.kind === kind, result.kind);
      assert.deepEqual(result.tenant.limits, expected);
    };
    await f({}, "unchanged", { pointsPerSecond: 5, series: "off", nameBytes: 100, tags: 3 });
    await f({ series: 9, tags: "default" }, "changed", { pointsPerSecond: 5, series: 9, nameBytes: 100 });
    await f({ series: 9, tags: "default" }, "unchanged", { pointsPerSecond: 5, series: 9, nameBytes: 100 });
    await f({ pointsPerSecond: "default", series: "default", nameBytes: "default" }, "changed", {});
    assert.equal((await changeLimits(kv, "nobody", { tags: 1 })).kind, "unknown-tenant");
  });
});

test("limits that can't be read cost the limits only, and the last good ones stay", async () => {
  const f = (raw: unknown, expected: TenantLimits | string) => {
    const read = readLimits(raw);
    assert.deepEqual(read.kind === "limits" ? read.limits : read.why, expected);
  };
  f(undefined, {});
  f({}, {});
  f({ pointsPerSecond: 1, series: "off", other: 3 }, { pointsPerSecond: 1, series: "off" });
  f({ nameBytes: 1000, tags: 0 }, { nameBytes: 1000, tags: 0 });
  f([], "no object");
  f(null, "no object");
  f("off", "no object");
  f({ pointsPerSecond: 0 }, "pointsPerSecond");
  f({ pointsPerSecond: "5" }, "pointsPerSecond");
  f({ series: 1.5 }, "series");
  f({ nameBytes: "off" }, "nameBytes");
  f({ nameBytes: 1001 }, "nameBytes");
  f({ tags: -1 }, "tags");
  await withGateway(async (world) => {
    await limit(world, { pointsPerSecond: 7 });
    const { tenant, writeKey } = world.members[0];
    const kv = await world.bus.kv(tenantsBucket);
    const generation = world.directory.generation;
    await kv.put(
      tenantKeyOf(tenant.id),
      encodeJson({ ...tenant, name: "other", limits: { pointsPerSecond: -1 } }),
    );
    await until(world.directory, () => world.directory.generation !== generation);
    const now = world.directory.byId(tenant.id) as Tenant;
    assert.equal(now.name, "other");
    assert.deepEqual(now.limits, { pointsPerSecond: 7 });
    assert.equal(world.routes.of(writeKey).kind, "tenant");
    const standard = { tenantPoints: 5, tenantSeries: "off" } as const;
    assert.deepEqual(limitsOf({ ...now, limits: { tags: -1 } }, standard), {
      pointsPerSecond: 5,
      series: Infinity,
      nameBytes: 1000,
      tags: Infinity,
    });
  });
});
