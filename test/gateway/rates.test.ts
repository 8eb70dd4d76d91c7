// Several gateways on one bus and a clock that stands until moved: what they let through together.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus, type MemoryBus } from "../../src/bus/memory.ts";
import { ratesSubject } from "../../src/bus/subjects.ts";
import { Rates, shareOf } from "../../src/gateway/rates.ts";
import { ManualClock } from "../harness/clock.ts";

const stepMs = 20;
const limit = 1000;

class Gateways {
  readonly clock = new ManualClock();
  readonly bus = createMemoryBus({ clock: this.clock, random: seededRandom(5) });
  readonly counters = new Counters();
  readonly all = new Map<string, { rates: Rates; bus: MemoryBus; owed: number }>();

  async add(...names: string[]): Promise<void> {
    for (const name of names) {
      const bus = this.bus.another();
      const rates = new Rates({ id: name, bus, clock: this.clock, counters: this.counters });
      await rates.start();
      this.all.set(name, { rates, bus, owed: 0 });
    }
  }

  die(name: string): void {
    this.all.get(name)?.rates.stop();
    this.all.delete(name);
  }

  /** Offers each gateway its lines a second, for a while; answers how many a second came through, by gateway and in all. */
  async offer(
    seconds: number,
    demand: Record<string, number>,
  ): Promise<Record<string, number> & { all: number }> {
    const passed: Record<string, number> & { all: number } = { all: 0 };
    for (let ms = 0; ms < seconds * 1000; ms += stepMs) {
      for (const [name, gateway] of this.all) {
        gateway.owed += ((demand[name] ?? 0) * stepMs) / 1000;
        for (; gateway.owed >= 1; gateway.owed--) {
          if (!gateway.rates.bucket("t", limit).take()) continue;
          passed.all += 1 / seconds;
          passed[name] = (passed[name] ?? 0) + 1 / seconds;
        }
      }
      await this.clock.pass(stepMs);
    }
    return passed;
  }

  stop(): void {
    for (const { rates } of this.all.values()) rates.stop();
  }
}

function about(actual: number | undefined, expected: number, within = 0.03): void {
  const ok = actual !== undefined && Math.abs(actual - expected) <= expected * within;
  assert(ok, `${actual} is not within ${within * 100} % of ${expected}`);
}

test("a share follows demand, and spare room goes around", () => {
  const f = (mine: number, others: number[], expected: number) =>
    assert.equal(shareOf(mine, others, 1000), expected);
  f(0, [], 1000);
  f(5, [], 1000);
  f(5000, [], 1000);
  f(3000, [1000], 750);
  f(1000, [3000], 250);
  f(500, [500], 500);
  f(100, [500], 300); // 400 to spare
  f(0, [200], 400);
  f(0, [2000], 0);
  f(100, [100, 0, 200], 250);
  const random = seededRandom(Number(process.env["MILLRACE_SEED"] ?? 1));
  for (let round = 0; round < 500; round++) {
    const demands = Array.from({ length: 1 + random.below(9) }, () => random.below(2000));
    const shares = demands.map((mine, i) => shareOf(mine, demands.toSpliced(i, 1), 1000));
    about(
      shares.reduce((a, b) => a + b),
      1000,
      1e-9,
    );
    const sum = demands.reduce((a, b) => a + b);
    shares.forEach((share, i) => assert(sum > 1000 || share >= (demands[i] ?? 0)));
  }
});

test("steady demand: all gateways together pass the limit, whatever the split", async () => {
  const splits: Record<string, number>[] = [
    { a: 3000 },
    { a: 1500, b: 1500 },
    { a: 2900, b: 100 },
    { a: 600, b: 600, c: 600 },
    { a: 5000, b: 50, c: 500 },
    { a: 400, b: 400, c: 400, d: 400, e: 400 },
    { a: 1500 },
  ];
  for (const split of splits) {
    const gateways = new Gateways();
    await gateways.add(...Object.keys(split), "idle");
    await gateways.offer(10, split); // what was saved up goes first
    const passed = await gateways.offer(20, split);
    about(passed.all, limit);
    const sum = Object.values(split).reduce((a, b) => a + b);
    for (const [name, demand] of Object.entries(split)) about(passed[name], (limit * demand) / sum, 0.1);
    gateways.stop();
  }
});

test("below the limit nothing is refused, and little in the seconds in which demand moves to another gateway", async () => {
  const gateways = new Gateways();
  await gateways.add("a", "b");
  const f = async (demand: Record<string, number>, within: number) =>
    about((await gateways.offer(10, demand)).all, 900, within);
  await f({ a: 450, b: 450 }, 0.001);
  await f({ a: 100, b: 800 }, 0.03);
  await f({ a: 800, b: 100 }, 0.06); // about half a second's worth
  await f({ a: 900 }, 0.001);
  await f({ b: 900 }, 0.06); // the same
  gateways.stop();
});

test("over the limit, moving demand passes the limit but for what two seconds make", async () => {
  const gateways = new Gateways();
  await gateways.add("a", "b", "c");
  await gateways.offer(5, { a: 2000, b: 1000, c: 200 });
  for (const [a, b, c] of [
    [0, 3000, 200],
    [3000, 0, 200],
    [200, 200, 2800],
    [1000, 1000, 1000],
  ] as const)
    about((await gateways.offer(15, { a, b, c })).all, limit, 0.12);
  gateways.stop();
});

test("a gateway that dies gives its share back after three seconds; one that joins gets its own", async () => {
  const gateways = new Gateways();
  await gateways.add("a", "b");
  await gateways.offer(5, { a: 2000, b: 2000 });
  gateways.die("b");
  about((await gateways.offer(2, { a: 2000 })).all, limit / 2, 0.05);
  await gateways.offer(2.5, { a: 2000 });
  about((await gateways.offer(5, { a: 2000 })).all, limit);
  await gateways.add("c");
  // It has not heard anybody yet: one second and its tokens at the whole limit.
  const first = await gateways.offer(1, { a: 2000, c: 2000 });
  assert((first["c"] ?? 0) <= 2 * limit + 1, String(first["c"]));
  await gateways.offer(3, { a: 2000, c: 2000 });
  const later = await gateways.offer(5, { a: 2000, c: 2000 });
  about(later["a"], limit / 2);
  about(later["c"], limit / 2);
  gateways.die("c");
  await gateways.offer(5, { a: 2000 });
  // One that has listened before its first line has an average one's share from the beginning.
  await gateways.add("d");
  await gateways.offer(2, { a: 2000 });
  const known = await gateways.offer(1, { a: 2000, d: 2000 });
  assert((known["d"] ?? 0) <= limit + 1, String(known["d"]));
  gateways.stop();
});

test("R2: in the first second n gateways pass at most two seconds' worth each", async () => {
  const gateways = new Gateways();
  const names = ["a", "b", "c", "d", "e"];
  await gateways.add(...names);
  const demand = Object.fromEntries(names.map((name) => [name, 10_000]));
  const first = await gateways.offer(1, demand);
  assert(first.all > limit && first.all <= names.length * 2 * limit, String(first.all));
  about((await gateways.offer(10, demand)).all, limit, 0.05);
  gateways.stop();
});

test("R3: without the bus the last shares hold, five minutes; back again nothing changes", async () => {
  const gateways = new Gateways();
  await gateways.add("a");
  await gateways.clock.pass(500); // they don't tick together
  await gateways.add("b");
  const demand = { a: 2000, b: 2000 };
  await gateways.offer(5, demand);
  for (const { bus } of gateways.all.values()) bus.disconnect();
  about((await gateways.offer(30, demand)).all, limit);
  for (const { bus } of gateways.all.values()) bus.reconnect();
  about((await gateways.offer(2, demand)).all, limit);
  for (const { bus } of gateways.all.values()) bus.disconnect();
  await gateways.clock.pass(301_000);
  await gateways.offer(5, demand);
  about((await gateways.offer(10, demand)).all, 2 * limit);
  gateways.stop();
});

test("a request's debt is paid before the next one comes in", async () => {
  const gateways = new Gateways();
  await gateways.add("a");
  const bucket = gateways.all.get("a")?.rates.bucket("t", limit);
  assert(bucket !== undefined);
  assert.equal(bucket.waitMs(), 0);
  bucket.takeWhole(11_000);
  assert.equal(bucket.waitMs(), 10_001);
  await gateways.clock.pass(10_000);
  assert.equal(bucket.waitMs(), 1);
  await gateways.clock.pass(1);
  assert.equal(bucket.waitMs(), 0);
  gateways.stop();
});

test("what a tenant's gauges say, and messages that are none", async () => {
  const gateways = new Gateways();
  await gateways.add("a");
  for (const bad of [
    "",
    "x",
    "[]",
    '[1,"x",[["t",-1]]]',
    '[1,"x",[["t"]]]',
    '[2,"x",[]]',
    '[1,"x",[["t",1e99]]]',
  ])
    gateways.bus.broadcast(ratesSubject, Buffer.from(bad));
  await gateways.offer(5, { a: 500 });
  const text = gateways.counters.text();
  assert.match(text, /gateway_tenant_points_share\{tenant="t"\} 1000/);
  assert.match(text, /gateway_tenant_points_demand\{tenant="t"\} (499|500|501)/);
  assert.match(text, /gateway_rates_ignored_total 7/);
  gateways.stop();
});
