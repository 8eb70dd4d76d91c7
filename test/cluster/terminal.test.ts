// As a person runs it: in a terminal that is real to the kernel, ended by Ctrl-C once and twice, by closing the window,
// by kill -9 of `up` at any moment. Whatever the end, no process of the system is left, and nothing that was taken is lost.
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { eventually, freePorts, System, systemPorts } from "../harness/system.ts";

const program = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
/** Five seconds, and what a busy machine adds. */
const goneMs = 7000;

/** What runs with this home, by /proc: whoever started it, and whether or not anybody knows it still. */
function running(home: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      if (environment.includes(`MILLRACE_HOME=${home}`) && command !== "") found.push(`${pid} ${command}`);
    } catch {}
  }
  return found;
}

async function allGone(home: string, withinMs = goneMs): Promise<void> {
  let left: string[] = [];
  await eventually(
    "no process is left",
    async () => {
      left = running(home);
      return left.length === 0;
    },
    withinMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}:\n${left.join("\n")}`);
  });
}

/** `millrace up` in a terminal, by script(1). */
class Terminal {
  text = "";
  readonly exited: Promise<unknown>;
  readonly #script;

  constructor(system: System) {
    const command = `exec ${process.execPath} --enable-source-maps ${program} up`;
    this.#script = spawn("script", ["-qec", command, "/dev/null"], { env: system.env });
    this.#script.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
    });
    this.exited = once(this.#script, "exit");
  }

  type(text: string): void {
    this.#script.stdin.write(text);
  }

  /** The window is closed. */
  close(): void {
    this.#script.kill("SIGKILL");
  }

  async shows(what: string): Promise<void> {
    await eventually(`"${what}" on the terminal`, async () => this.text.includes(what), 60_000).catch(
      (error: Error) => {
        throw new Error(`${error.message}:\n${this.text}`);
      },
    );
  }
}

/** Whether this machine has what these stories are seen with; says so loudly where it has not. */
function canSee(t: TestContext): boolean {
  const lacks = ["/proc/self/environ", "/usr/bin/script"].filter((path) => !existsSync(path));
  if (lacks.length > 0) t.diagnostic(`NOT SEEN: this machine lacks ${lacks.join(" and ")}`);
  return lacks.length === 0;
}

async function inTerminal(t: TestContext): Promise<{ system: System; terminal: Terminal }> {
  const system = new System({}, await freePorts(systemPorts));
  t.after(() => system.close());
  const terminal = new Terminal(system);
  t.after(() => terminal.close());
  await terminal.shows("Ctrl-C stops everything");
  return { system, terminal };
}

async function send(system: System, name: string, points: number): Promise<void> {
  const body = `${name} 1\n`.repeat(points);
  const response = await system.sink(system.demo.writeKey, body);
  assert.equal(response.status, 202, await response.text());
}

async function thereAfterRestart(system: System, name: string, points: number): Promise<void> {
  await system.up();
  const target = `${name}:count`;
  const count = async () => (await system.sums(system.demo.readKey, target)).get(target) ?? 0;
  await eventually(`${points} points`, async () => (await count()) >= points);
  assert.equal(await count(), points);
}

function noStackTraces(text: string): void {
  assert(!/\bat .*\.(js|ts|mjs):\d+|Exception|Unhandled/i.test(text), `no stack traces:\n${text}`);
}

test("in a terminal: readable lines; Ctrl-C, even twice, stops all in order and loses nothing", async (t) => {
  if (!canSee(t)) return;
  const { system, terminal } = await inTerminal(t);
  assert.match(terminal.text, /INFO.*gateway: ready/);
  assert(!/^\s*\{"/m.test(terminal.text), `lines for a person, no JSON:\n${terminal.text}`);
  await send(system, "terminal.one", 1000);
  const before = terminal.text.length;
  terminal.type("\u0003");
  await systemClock.sleep(100);
  terminal.type("\u0003");
  await terminal.exited;
  await allGone(system.home, 0);
  const said = terminal.text.slice(before);
  const order = [...stripVTControlCharacters(said).matchAll(/(\w+): stopped/g)].map(([, name]) => name);
  assert.deepEqual(order, ["gateway", "api", "node", "coordinator", "nats"], said);
  noStackTraces(terminal.text);
  await thereAfterRestart(system, "terminal.one", 1000);
});

test("the window is closed: all stops and nothing is lost", async (t) => {
  if (!canSee(t)) return;
  const { system, terminal } = await inTerminal(t);
  await send(system, "terminal.two", 1000);
  terminal.close();
  await allGone(system.home);
  await thereAfterRestart(system, "terminal.two", 1000);
});

test("up and the keeper of nats-server are killed at once: the server left behind is in nobody's way", async (t) => {
  if (!canSee(t)) return;
  const system = await System.start();
  t.after(() => system.close());
  await send(system, "terminal.left", 10);
  const server = system.pid("nats-server");
  process.kill(system.pid("nats"), "SIGSTOP");
  await system.kill9();
  process.kill(system.pid("nats"), "SIGKILL");
  await eventually("only the server is left", async () => running(system.home).length === 1);
  assert(running(system.home)[0]?.startsWith(`${server} `));
  await thereAfterRestart(system, "terminal.left", 10);
  assert.notEqual(system.pid("nats-server"), server);
});

test(`up ends at any moment of its start and its stop: nobody is left (MILLRACE_SEED=${seed})`, async (t) => {
  if (!canSee(t)) return;
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const system = new System({}, await freePorts(systemPorts));
  t.after(() => system.close());
  for (let round = 0; round < 6; round++) {
    const ms = random.below(3500);
    const how = (["kill -9", "Ctrl-C", "Ctrl-C, then kill -9"] as const)[round % 3];
    system.launch();
    await systemClock.sleep(ms);
    if (how !== "kill -9") void system.stop();
    if (how === "Ctrl-C, then kill -9") await systemClock.sleep(random.below(600));
    if (how !== "Ctrl-C") await system.kill9();
    await allGone(system.home).catch((error: Error) => {
      throw new Error(`${how} after ${ms} ms: ${error.message}\n${system.tail()}`);
    });
    await system.exited;
  }
  noStackTraces(system.text + system.log.map((line) => JSON.stringify(line)).join("\n"));
  await system.up();
  await send(system, "terminal.three", 10);
});
