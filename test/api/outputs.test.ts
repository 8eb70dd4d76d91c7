// What StatsD senders sent, as /render and /metrics/find show it: from frames through an actor and the memory engine.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RenderRequest } from "../../src/api/messages.ts";
import type { Snapshot } from "../../src/store/store.ts";
import type { TenantRules } from "../../src/tenant/rules.ts";
import { World } from "../workers/world.ts";
import { ask, type JobOptions } from "./query.ts";

type Answered = { target: string; tags: Record<string, string>; datapoints: [number | null, number][] }[];

/** A world whose clock stands at the start of a minute. */
async function start(): Promise<{ world: World; now: number }> {
  const world = await World.start();
  await world.clock.pass(60_000 - (world.clock.nowMs() % 60_000));
  return { world, now: world.clock.nowMs() / 1000 };
}

/** Frame n with lines that came `seconds` after `now`. */
function statsd(world: World, n: number, receivedAtMs: number, lines: string[]): Promise<number> {
  return world.record(world.frame(lines, { kind: "statsd", door: "statsd", n, receivedAtMs }));
}

/** `target: value value ...`, a line for each series. */
async function shown(
  snapshots: Snapshot[],
  now: number,
  targets: string[],
  more: Partial<RenderRequest> & JobOptions = {},
): Promise<string[]> {
  const request: RenderRequest = {
    kind: "render",
    targets,
    from: now - 1,
    until: now + 59,
    maxDataPoints: undefined,
    noNullPoints: false,
    xFilesFactor: 0,
    ...more,
  };
  const options = { ladder: "10s:1h,60s:1d", nowSeconds: now + 60, ...more };
  const answer = await ask(snapshots, request, options);
  if (!Array.isArray(answer)) return [JSON.stringify(answer)];
  return (answer as Answered).map(
    (each) => `${each.target}: ${each.datapoints.map(([value]) => value ?? "-").join(" ")}`,
  );
}

test("outputs of all types at two zooms", async () => {
  const { world, now } = await start();
  await statsd(world, 0, now * 1000, ["a:4|c", "a:1|c|@0.5", "t:10:20|ms|@0.5", "s:u1|s", "s:u2|s", "g:7|g"]);
  await statsd(world, 1, (now + 20) * 1000, ["a:4|c", "t:40|ms", "s:u2|s", "s:u3|s", "g:+2|g", "g:-5|g"]);
  await world.runThrough();
  await world.snapshot(async (snapshot) => {
    const f = async (target: string, fine: string, coarse: string) => {
      assert.deepEqual(await shown([snapshot], now, [target]), [`${target}: ${fine} - - -`]);
      const zoomed = await shown([snapshot], now, [target], { maxDataPoints: 1 });
      assert.deepEqual(zoomed, [`${target}: ${coarse}`]);
    };
    await f("stats.counters.a.count", "6 - 4", "10");
    await f("stats.counters.a.rate", "0.6 - 0.4", String(10 / 60));
    await f("stats.timers.t.count", "4 - 1", "5");
    await f("stats.timers.t.count_ps", "0.4 - 0.1", String(5 / 60));
    await f("stats.timers.t.lower", "10 - 40", "10");
    await f("stats.timers.t.upper", "20 - 40", "40");
    await f("stats.timers.t.sum", "30 - 40", "70");
    await f("stats.timers.t.mean", "15 - 40", String(70 / 3));
    await f("stats.timers.t.sum_squares", "500 - 1600", "2100");
    await f("stats.timers.t.std", "5 - 0", String(Math.sqrt(2100 / 3 - (70 / 3) ** 2)));
    await f("stats.timers.t.count_90", "2 - 1", "3");
    await f("stats.timers.t.upper_90", "20 - 40", "40");
    await f("stats.timers.t.mean_99_9", "15 - 40", String(70 / 3));
    await f("stats.sets.s.count", "2 - 2", "3");
    await f("stats.gauges.g", "7 - 4", "4");
    await f("stats.gauges.g:max", "7 - 9", "9");
  });
});

test("globs show what is listed; a median is within its bin; tags are the series' own", async () => {
  const { world, now } = await start();
  await statsd(world, 0, now * 1000, ["t:100:200:300|ms|#dc:a,host:b", "a:1|c"]);
  await world.runThrough();
  await world.snapshot(async (snapshot) => {
    const timers = await shown([snapshot], now, ["stats.timers.t.*;dc=a;host=b"]);
    assert.equal(timers.length, 24);
    const median = timers.find((line) => line.includes(".median;")) ?? "";
    assert.ok(Math.abs(Number(median.split(" ")[1]) - 200) <= 1, median);
    const all = await shown([snapshot], now, ["stats.*.*.*"]);
    assert.deepEqual(
      all.map((line) => line.split(":")[0]),
      ["stats.counters.a.count", "stats.counters.a.rate"],
    );
    const format = "completer" as const;
    const query = "stats.counters.a.";
    const found = await ask([snapshot], { kind: "find", query, format, leavesOnly: false, wildcards: false });
    assert.deepEqual(found, {
      metrics: [
        { path: "stats.counters.a.count", name: "count", is_leaf: "1" },
        { path: "stats.counters.a.rate", name: "rate", is_leaf: "1" },
      ],
    });
  });
});

test("outputs have no views, and stand beside a series that somebody sent under their name", async () => {
  const { world, now } = await start();
  await statsd(world, 0, now * 1000, ["t:10|ms", "t:30|ms"]);
  await world.record(world.frame([`stats.timers.t.mean 5 ${now}`], { n: 1 }));
  await world.runThrough();
  await world.snapshot(async (snapshot) => {
    const all = ["stats.timers.t.mean: 5 - - - - -", "stats.timers.t.mean: 20 - - - - -"];
    assert.deepEqual(await shown([snapshot], now, ["stats.timers.t.mean"]), all);
    const [refusal] = await shown([snapshot], now, ["stats.timers.t.upper:max"]);
    assert.match(refusal ?? "", /has no views; ask for stats.timers.t.upper/);
  });
});

test("homes are merged: counts add, quantiles and sets are of all of them", async () => {
  const { world, now } = await start();
  const other = await World.start();
  await statsd(world, 0, now * 1000, ["t:10:20:30|ms", "s:u1|s", "s:u2|s", "a:1|c"]);
  await statsd(other, 0, now * 1000, ["t:1000:2000|ms", "s:u2|s", "s:u3|s", "a:2|c", "only:1|s"]);
  await Promise.all([world.runThrough(), other.runThrough()]);
  await world.snapshot((one) =>
    other.snapshot(async (two) => {
      const f = async (target: string) => {
        const [line = ""] = await shown([one, two], now, [target]);
        return Number(line.split(" ")[1]);
      };
      assert.equal(await f("stats.timers.t.count"), 5);
      assert.equal(await f("stats.timers.t.upper_99"), 2000);
      assert.ok(Math.abs((await f("stats.timers.t.median")) - 30) < 0.3);
      assert.equal(await f("stats.sets.s.count"), 3);
      assert.equal(await f("stats.sets.only.count"), 1);
      assert.equal(await f("stats.counters.a.count"), 3);
    }),
  );
});

test("a signed gauge counts each frame once: sent twice, and over lives", async () => {
  const { world, now } = await start();
  const frame = (n: number, line: string) =>
    world.frame([line], { kind: "statsd", door: "statsd", n, receivedAtMs: (now + n) * 1000 });
  for (const data of [frame(0, "g:+5|g"), frame(1, "g:-2|g"), frame(1, "g:-2|g")]) await world.record(data);
  await world.runThrough();
  await world.record(frame(0, "g:+5|g"));
  await world.record(frame(10, "g:+10|g"));
  await world.runThrough();
  await world.record(frame(20, "g:100|g"));
  await world.record(frame(21, "g:+1|g"));
  await world.runThrough();
  await world.snapshot(async (snapshot) => {
    assert.deepEqual(await shown([snapshot], now, ["stats.gauges.g"]), ["stats.gauges.g: 3 13 101 - - -"]);
    assert.deepEqual(await shown([snapshot], now, ["stats.gauges.g:avg"]), [
      "stats.gauges.g:avg: 4 13 100.5 - - -",
    ]);
  });
});

test("a rule of the tenant's says otherwise what a gauge shows", async () => {
  const { world, now } = await start();
  await statsd(world, 0, now * 1000, ["g:1|g", "g:9|g", "g:2|g"]);
  await world.runThrough();
  const rules: TenantRules = {
    version: "1",
    schemas: [],
    aggregation: [{ name: "g", pattern: "^stats\\.gauges\\.", view: "max", xFilesFactor: 0 }],
  };
  await world.snapshot(async (snapshot) => {
    assert.deepEqual(await shown([snapshot], now, ["stats.gauges.g"], { rules }), [
      "stats.gauges.g: 9 - - - - -",
    ]);
  });
});
