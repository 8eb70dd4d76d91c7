// Limits as an operator sets them, on a running system: the commands of docs/sending/limits.md as they are written
// there, series that survive a restart, and two gateways that share one limit.
import { strict as assert } from "node:assert";
import { execFile, spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { projectFolder } from "../../bin/project.ts";
import { eventually, freePorts, System, temporaryHome } from "../harness/system.ts";

const execute = promisify(execFile);

interface Shown {
  outcome: string;
  limits: Record<string, { value: number | "off"; from: string }>;
}

/** Sends lines at a steady rate until it is stopped. */
async function sendSteadily(port: number, key: string, linesPerSecond: number): Promise<() => void> {
  const socket: Socket = connect(port, "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.on("error", () => {});
  const started = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * linesPerSecond);
    if (due > sent) socket.write(`${key}.steady.load 1\n`.repeat(due - sent));
    sent = due;
  }, 20);
  return () => {
    clearInterval(timer);
    socket.destroy();
  };
}

async function accepted(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  let sum = 0;
  for (const [, value] of text.matchAll(/^gateway_lines_accepted_total\{door="tcp".*\} (\d+)$/gm))
    sum += Number(value);
  return sum;
}

test("limits of a tenant: the page's commands, series, and points over two gateways", {
  timeout: 120_000,
}, async (t) => {
  const system = await System.start();
  t.after(() => system.close());
  const { id, writeKey, readKey } = system.demo;
  const limits = async (...words: string[]) =>
    JSON.parse(await system.millrace("tenant", "limits", "demo", ...words, "--json")) as Shown;

  // The page, as written.
  const page = readFileSync(new URL("docs/sending/limits.md", projectFolder()), "utf8");
  const [commands = ""] = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  const said = await execute("bash", ["-ec", commands], {
    cwd: fileURLToPath(projectFolder()),
    env: system.env,
  });
  assert.match(said.stdout, /points-per-second\s+off\s+settings/);
  assert.match(said.stdout, /this would change/);
  assert.match(said.stdout, /^changed$/m);
  assert.match(said.stdout, /series\s+50000\s+tenant/);
  const now = JSON.parse(said.stdout.trimEnd().split("\n").at(-1) ?? "") as Shown;
  assert.deepEqual(now.limits, {
    pointsPerSecond: { value: "off", from: "tenant" },
    series: { value: 1_000_000, from: "settings" },
    nameBytes: { value: 1000, from: "built-in" },
    tags: { value: "off", from: "built-in" },
  });
  const failed = async (...words: string[]) => {
    const error = await limits(...words).then(
      () => assert.fail(`${words.join(" ")} is taken`),
      (thrown: { code: number; stderr: string }) => thrown,
    );
    assert.equal(error.code, 1);
    return error.stderr;
  };
  assert.match(await failed("--series", "0"), /--series is 0: give 1 to 100000000, off or default/);
  assert.match(await failed("--tags", "off"), /--tags is off: give 0 to 1000, or default/);

  // New series are refused, those that are there flow, also after the actor began anew.
  assert.equal((await limits("--series", "4")).outcome, "changed");
  assert.equal((await limits("--series", "4")).outcome, "unchanged");
  await new Promise((resolve) => setTimeout(resolve, 1000)); // what the page promises: within a second
  const names = ["a", "b", "c", "d", "e", "f"].map((name) => `series.${name}`);
  const body = names.map((name) => `${name} 1\n`).join("");
  const sums = async () =>
    [...(await system.sums(readKey, "series.*:sum"))].map(([name, sum]) => `${name} ${sum}`);
  assert.equal((await system.sink(writeKey, body)).status, 202);
  const four = (sum: number) => names.slice(0, 4).map((name) => `${name}:sum ${sum}`);
  const shows = (expected: string[]) =>
    eventually(expected.join(), async () => JSON.stringify(await sums()) === JSON.stringify(expected));
  await shows(four(1));
  const pid = system.pid("node");
  const again = system.nextLog((line) => line.process === "node" && line.msg === "ready", "the node again");
  process.kill(pid, "SIGKILL");
  assert.equal((await system.sink(writeKey, `series.new 1\n${body}`)).status, 202);
  await again;
  await shows(four(2));
  assert.match(await system.millrace("series", "delete", "demo", "series.a", "--yes"), /series/);
  assert.equal((await system.sink(writeKey, "series.e 1\nseries.f 1\nseries.b 1\n")).status, 202);
  await eventually(
    "room for one",
    async () => (await sums()).join() === "series.b:sum 3,series.c:sum 2,series.d:sum 2,series.e:sum 1",
  );
  await limits("--series", "off");

  // 429 within a second of the command.
  await limits("--points-per-second", "10");
  await eventually(
    "429",
    async () => {
      const answer = await system.sink(writeKey, "x 1\n".repeat(30));
      if (answer.status !== 429) return false;
      assert(Number(answer.headers.get("retry-after")) >= 1);
      return ((await answer.json()) as { error: string }).error === "rate-limit";
    },
    2000,
  );

  // A second gateway: both together pass the limit.
  const limit = 1000;
  await limits("--points-per-second", String(limit));
  const [tcp = 0, http = 0, pickle = 0, statsd = 0] = await freePorts(4);
  const home = temporaryHome();
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
  const second = spawn(process.execPath, [program, "gateway"], {
    env: {
      ...system.env,
      MILLRACE_HOME: home,
      MILLRACE_GATEWAY: "second",
      MILLRACE_TCP_LISTEN: `127.0.0.1:${tcp}`,
      MILLRACE_UDP_LISTEN: `127.0.0.1:${tcp}`,
      MILLRACE_HTTP_LISTEN: `127.0.0.1:${http}`,
      MILLRACE_PICKLE_LISTEN: `127.0.0.1:${pickle}`,
      MILLRACE_STATSD_LISTEN: `127.0.0.1:${statsd}`,
    },
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  t.after(async () => {
    const gone = new Promise((resolve) => second.once("exit", resolve));
    if (second.exitCode === null && second.kill("SIGTERM")) await gone;
  });
  await eventually("the second gateway", async () => (await fetch(`http://127.0.0.1:${http}/health`)).ok);
  const stops = [await sendSteadily(system.tcpPort, writeKey, 2400), await sendSteadily(tcp, writeKey, 800)];
  t.after(() => stops.forEach((stop) => stop()));
  const gauge = async (port: number) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(new RegExp(`gateway_tenant_points_share\\{tenant="${id}"\\} (\\S+)`).exec(text)?.[1]);
  };
  // Shares in proportion: 750 and 250.
  await eventually("shares", async () => {
    const [first, other] = [await gauge(system.httpPort), await gauge(http)];
    return Math.abs(first - 750) < 60 && Math.abs(other - 250) < 60;
  });
  await new Promise((resolve) => setTimeout(resolve, 1500)); // what was saved up goes first
  const before = (await accepted(system.httpPort)) + (await accepted(http));
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const passed = (await accepted(system.httpPort)) + (await accepted(http)) - before;
  const perSecond = passed / ((performance.now() - started) / 1000);
  t.diagnostic(`${Math.round(perSecond)} points/s through two gateways, the limit is ${limit}`);
  assert(Math.abs(perSecond - limit) < limit * 0.1, `${perSecond} points/s`);
});
