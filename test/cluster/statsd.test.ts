// StatsD through the whole system: packets over UDP, kill -9 of the node in between, and what /render shows of them.
import { strict as assert } from "node:assert";
import { createSocket, type Socket } from "node:dgram";
import { test } from "node:test";
import { eventually, System } from "../harness/system.ts";

const changes = 300;

function send(socket: Socket, port: number, packet: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(packet, port, "127.0.0.1", (error) => (error === null ? resolve() : reject(error)));
  });
}

test("UDP packets of all types, tags and rates, through kills of the node: each counts once, at two zooms", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start({ env: { MILLRACE_COMMIT_MS: "50" } });
  t.after(() => system.close());
  const { writeKey, readKey } = system.demo;
  const socket = createSocket("udp4");
  t.after(() => socket.close());

  /** The values of the one series that a target finds. */
  const valuesOf = async (target: string, more: Record<string, string> = {}): Promise<number[]> => {
    const body = new URLSearchParams({ target, from: "-30min", until: "now", format: "json", ...more });
    const response = await fetch(`http://127.0.0.1:${system.apiPort}/render`, {
      method: "POST",
      headers: { Authorization: `Bearer ${readKey}` },
      body,
    });
    const found = (await response.json()) as { datapoints: [number | null, number][] }[];
    return (found[0]?.datapoints ?? []).map(([value]) => value).filter((value) => value !== null);
  };
  const whole = async (target: string) => (await valuesOf(target, { maxDataPoints: "1" }))[0];
  const sum = async (target: string) => (await valuesOf(target)).reduce((total, value) => total + value, 0);

  await send(socket, system.statsdPort, `${writeKey}.level:1000|g`);
  for (let i = 0; i < changes; i++) {
    const lines = [
      `${writeKey}.level:${i % 3 === 2 ? "-5" : "+4"}|g`,
      `${writeKey}.hits:1|c|@0.5|#dc:a,host:b`,
      `${writeKey}.took:${i + 1}|ms|@0.1`,
      `${writeKey}.users:user${i % 100}|s`,
    ];
    await send(socket, system.statsdPort, lines.join("\n"));
    // Killed before and not yet back is no kill: it is tried until it is one.
    if (i % 100 === 50)
      await eventually("a kill", () => Promise.resolve(process.kill(system.pid("node"), "SIGKILL")));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  const hits = "stats.counters.hits.count;dc=a;host=b";
  await eventually("all that was sent", async () => (await sum(hits)) === 2 * changes);
  // What comes now is behind all kills, and shows that nothing more is to come.
  await send(socket, system.statsdPort, `${writeKey}.level:+1|g`);
  const level = 1000 + changes + 1;
  await eventually("the last gauge", async () => (await whole("stats.gauges.level")) === level);
  assert.equal((await valuesOf("stats.gauges.level")).at(-1), level);

  assert.equal(await whole(hits), 2 * changes);
  assert.equal(await sum("stats.timers.took.sum"), (changes * (changes + 1)) / 2);
  assert.equal(await whole("stats.timers.took.upper"), changes);
  assert.equal(await whole("stats.timers.took.lower"), 1);

  await t.test("what needs sketches", async () => {
    assert.equal(await sum("stats.timers.took.count"), 10 * changes);
    assert.equal(await whole("stats.timers.took.count"), 10 * changes);
    for (const [target, expected, share] of [
      ["stats.timers.took.median", (changes + 1) / 2, 0.01],
      ["stats.timers.took.upper_90", 0.9 * changes, 0.01],
      ["stats.timers.took.mean_90", (0.9 * changes + 1) / 2, 0.01],
      ["stats.timers.took.std", Math.sqrt((changes * changes - 1) / 12), 0.001],
      ["stats.sets.users.count", 100, 0.02],
    ] as const) {
      const value = (await whole(target)) ?? Number.NaN;
      assert.ok(Math.abs(value - expected) <= share * expected, `${target}: ${value}, not ${expected}`);
    }
  });

  const listed = (await system.millrace("series", "list", system.demo.name, "stats.*.*.*"))
    .trim()
    .split("\n");
  assert.ok(listed.includes("stats.timers.took.upper_90"), listed.join(" "));
  assert.ok(!listed.some((name) => name.includes("\u0001")));
  const would = await system.millrace(
    "series",
    "delete",
    system.demo.name,
    "stats.timers.took.*",
    "--dry-run",
  );
  assert.match(would, /^1 series /);
  await system.millrace("series", "delete", system.demo.name, "stats.timers.took.*", "--yes");
  await eventually("the timer is gone", async () => (await valuesOf("stats.timers.took.mean")).length === 0);
});
