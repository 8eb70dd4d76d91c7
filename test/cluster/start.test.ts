// What a person meets at the start: a greeting that works when pasted, sentences instead of stacks, data that stays.
import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { eventually, freePorts, System, systemPorts } from "../harness/system.ts";

const shell = promisify(execFile);

/** A start that is refused with a sentence, and no stack. */
async function stopsWith(t: TestContext, env: Record<string, string>, expected: RegExp, home?: string) {
  const system = new System({ env, ...(home === undefined ? {} : { home }) }, await freePorts(systemPorts));
  t.after(() => system.close());
  system.launch();
  assert.equal(await system.exited, 78, system.tail());
  assert.match(system.text, expected);
  assert(!/\bat .*\.(js|ts):\d+/.test(system.text), `no stack: ${system.text}`);
}

test("paste what the start prints; a second system refuses; stop, start again: the data is there", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => system.close());
  const line = (start: string) => {
    const found = system.text.split("\n").find((l) => l.trimStart().startsWith(start));
    assert(found !== undefined, `the greeting has a line with ${start}`);
    return found.trim();
  };
  const { stdout: answer } = await shell("bash", ["-c", line("curl -u")]);
  assert.deepEqual(JSON.parse(answer), { accepted: 1, refused: [] });
  const readBack = async () => {
    const { stdout } = await shell("bash", ["-c", line('curl "http')]);
    const series = JSON.parse(stdout) as { target: string; datapoints: [number, number][] }[];
    return series[0]?.target === "my.first.metric" && series[0].datapoints.some(([value]) => value === 42);
  };
  await eventually("the point in /render", readBack);

  const second = new System({ home: system.home }, await freePorts(systemPorts));
  second.launch();
  assert.equal(await second.exited, 78);
  assert.match(second.text, /another system \(pid \d+\) runs on .*MILLRACE_HOME/);
  assert.equal((await system.sink(system.demo.writeKey, "still.here 1\n")).status, 202, "the first goes on");

  const keys = join(system.home, "demo.json");
  assert.equal(statSync(keys).mode & 0o777, 0o600);
  const demo = readFileSync(keys, "utf8");
  assert.equal(await system.stop(), 0);
  await stopsWith(
    t,
    { MILLRACE_SHARDS: "3" },
    /MILLRACE_SHARDS is 3, but this system was made with 2/,
    system.home,
  );
  await system.up();
  assert.equal(readFileSync(keys, "utf8"), demo);
  await eventually("the point after a restart", readBack);

  // No key may lie in a log or in the local copy of the directory.
  const { writeKey, readKey } = system.demo;
  const text = system.log.map((entry) => JSON.stringify(entry)).join("\n");
  assert(!text.includes(writeKey) && !text.includes(readKey), "no key in the log");
  for (const file of readdirSync(join(system.home, "directory"))) {
    const copy = readFileSync(join(system.home, "directory", file), "utf8");
    assert(copy.includes(system.demo.id) && !copy.includes(writeKey) && !copy.includes(readKey));
  }
});

test("a port that is taken is named with its setting", { timeout: 120_000 }, async (t) => {
  const ports = await freePorts(systemPorts);
  const f = async (index: number, setting: string) => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(ports[index], "127.0.0.1", resolve));
    const system = new System({}, ports);
    t.after(async () => {
      await system.close();
      blocker.close();
    });
    system.launch();
    assert.equal(await system.exited, 78, system.tail());
    assert.match(system.text, new RegExp(`127\\.0\\.0\\.1:${ports[index]} is taken .*${setting}`));
    await new Promise((resolve) => blocker.close(resolve));
  };
  await f(0, "MILLRACE_TCP_LISTEN");
  await f(1, "MILLRACE_HTTP_LISTEN");
  await f(2, "MILLRACE_API_LISTEN");
  await f(3, "MILLRACE_NATS_LISTEN");
  await f(4, "MILLRACE_NODE_LISTEN");
});

test("unknown and impossible settings stop the start with a sentence", { timeout: 120_000 }, async (t) => {
  const f = (env: Record<string, string>, expected: RegExp) => stopsWith(t, env, expected);
  await f({ MILLRACE_SHARD: "4" }, /MILLRACE_SHARD is not a setting; did you mean MILLRACE_SHARDS\?/);
  await f({ MILLRACE_DISK_BUDGET: "900TB" }, /the budget must fit with a tenth to spare/);
  await f({ MILLRACE_NATS_SERVER: "/nowhere/nats-server" }, /MILLRACE_NATS_SERVER/);
  await f({ MILLRACE_HOME: "/proc/millrace" }, /MILLRACE_HOME/);
});

test("what dies is started again, the others live on; kill -9 of up, and Ctrl-C beside a sender, lose nothing", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => system.close());
  const before = Object.fromEntries(
    ["coordinator", "node", "gateway", "api"].map((name) => [name, system.pid(name)]),
  );
  for (const name of ["api", "coordinator"]) {
    const again = system.nextLog((line) => line.process === name && line.msg === "ready", `${name} again`);
    process.kill(system.pid(name), "SIGKILL");
    await again;
  }
  assert.equal(system.pid("gateway"), before["gateway"]);
  assert.equal(system.pid("node"), before["node"]);
  assert.equal((await system.sink(system.demo.writeKey, "lives.on 1\n")).status, 202);

  await system.kill9();
  await system.up();
  await eventually(
    "the point after all that",
    async () => (await system.sums(system.demo.readKey, "lives.on:sum")).get("lives.on:sum") === 1,
  );

  const { writeKey, readKey } = system.demo;
  const socket = connect({ host: "127.0.0.1", port: system.tcpPort });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  const lines = Array.from({ length: 20_000 }, (_, i) => `${writeKey}.stop.s${i % 10} 1\n`).join("");
  await new Promise((resolve) => socket.write(lines, resolve));
  await system.stop();
  socket.destroy();
  t.diagnostic(system.tail());
  await system.up();
  let there = 0;
  await eventually("all points after the restart", async () => {
    const counts = await system.sums(readKey, "stop.*:count");
    there = [...counts.values()].reduce((sum, value) => sum + value, 0);
    return there >= 20_000;
  }).finally(() => t.diagnostic(`${there} points`));
  assert.equal(there, 20_000);
});
