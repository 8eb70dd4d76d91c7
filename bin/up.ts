// `millrace up`: runs what the Procfile lists on this machine.
//
// U1. Starts in order, each when the one before is ready; a mistake that only a person can mend stops the start.
// U2. What dies is started again with backoff; the others live on.
// U3. On Ctrl-C everything stops in order, doors first, within five seconds, and nothing is lost.
import { fork, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { prettyFactory } from "pino-pretty";
import { Backoff } from "../src/base/backoff.ts";
import { messageOf } from "../src/base/errors.ts";
import { makeLog, type Log } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import {
  envOf,
  isSpan,
  readSettings,
  settingRows,
  type SettingName,
  type Settings,
} from "../src/config/settings.ts";
import { demoTenant, type Demo } from "./demo.ts";
import { lockHome, refuseHalfRestored } from "./home.ts";
import { clock, exitFinal, type FromChild } from "./process.ts";
import { checkedBudget } from "./budget.ts";
import { parseProcfile, type ProcfileEntry } from "./procfile.ts";
import { projectFolder } from "./project.ts";

/** Of the five seconds: each child's share, in the order of stopping. */
const stopMs: Record<string, number> = { gateway: 2700, api: 700, node: 2100, coordinator: 700, nats: 1500 };
const stopMsDefault = 1000;
const stopMsInAll = 4800;
/** Doors first, the record last. */
const stopOrder = ["gateway", "api", "node", "coordinator", "nats"];
const sayWaitingMs = 3000;

export async function up(flags: Partial<Record<SettingName, string>>): Promise<void> {
  const settings = readSettings(process.env, flags);
  const lock = lockHome(settings.home);
  const print = printer();
  const log = makeLog("up", settings.logLevel, print);
  // A terminal that was closed takes no more words; what is said to it meanwhile must not end the stop.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const children: UpChild[] = [];
  let stopping: Promise<void> | undefined;

  const stop = (code: number): Promise<void> => {
    stopping ??= stopAll(children).finally(() => {
      lock.release();
      process.exit(code);
    });
    return stopping;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(0));
  process.on("disconnect", () => void stop(0));
  process.on("exit", () => lock.release());

  try {
    refuseHalfRestored(settings);
    const env = await childEnvironment(settings);
    const procfile = readFileSync(new URL("Procfile", projectFolder()), "utf8");
    for (const entry of parseProcfile(procfile)) {
      if (entry.name === "nats" && settings.natsUrl !== "") continue;
      const child = new UpChild(entry, env, log, print);
      children.push(child);
      await child.ready();
      if (stopping !== undefined) return await stopping;
    }
    const demo = await demoTenant(settings);
    if (stopping === undefined) process.stdout.write(greeting(settings, demo, children));
  } catch (error) {
    if (stopping !== undefined) return await stopping;
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    await stop(exitFinal);
  }
}

/** All children see the same settings, with "auto" resolved once. */
async function childEnvironment(settings: Settings): Promise<NodeJS.ProcessEnv> {
  const budget = await checkedBudget(settings);
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env))
    if (!name.startsWith("MILLRACE_")) env[name] = value;
  for (const { name } of settingRows()) {
    const said = saidOf(name, settings);
    if (said !== undefined) env[envOf(name)] = said;
  }
  env["MILLRACE_DISK_BUDGET"] = String(budget.totalBytes);
  // A commit takes a thread of libuv's pool while the disk syncs, and so does each upkeep thread's batch while it waits
  // for its turn to write: shards must not wait for one another there.
  env["UV_THREADPOOL_SIZE"] ??= String(Math.min(1024, settings.shards + settings.upkeepThreads + 4));
  for (const name of ["MILLRACE_FAULTS"]) if (process.env[name] !== undefined) env[name] = process.env[name];
  return env;
}

/** The text of a setting as a child would parse it. */
export function saidOf(name: SettingName, settings: Settings): string | undefined {
  const value = settings[name];
  if (isSpan(name)) return `${(value as number) / 1000}s`;
  if (typeof value === "number" || typeof value === "string") return String(value);
  if ("rungs" in value)
    return value.rungs.map((rung) => `${rung.stepSeconds}s:${rung.spanSeconds}s`).join(",");
  return value.host.includes(":") ? `[${value.host}]:${value.port}` : `${value.host}:${value.port}`;
}

async function stopAll(children: UpChild[]): Promise<void> {
  const deadline = clock.monotonicMs() + stopMsInAll;
  const rank = (child: UpChild) => stopOrder.indexOf(child.name);
  for (const child of children.toSorted((a, b) => rank(a) - rank(b))) {
    // The record stops last and needs its time: what it is not given would leave a server behind.
    const kept = child.name === "nats" ? 0 : (stopMs["nats"] ?? 0);
    const left = Math.max(100, deadline - kept - clock.monotonicMs());
    await child.stop(Math.min(left, stopMs[child.name] ?? stopMsDefault));
  }
}

class UpChild {
  readonly name: string;
  readonly #entry: ProcfileEntry;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Log;
  readonly #print: (line: string) => void;
  readonly #backoff = new Backoff({ firstMs: 200, mostMs: 10_000, healthyMs: 30_000 }, clock, systemRandom);
  readonly #stopped = new AbortController();
  readonly #firstReady: Promise<void>;
  #settleReady: { resolve(): void; reject(error: Error): void } | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  addresses: Record<string, string> = {};

  constructor(entry: ProcfileEntry, env: NodeJS.ProcessEnv, log: Log, print: (line: string) => void) {
    this.name = entry.name;
    this.#entry = entry;
    this.#env = env;
    this.#log = log;
    this.#print = print;
    this.#firstReady = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.#start();
  }

  async ready(): Promise<void> {
    const waiting = setTimeout(() => this.#log.info({ waitingFor: this.name }, "waiting"), sayWaitingMs);
    await this.#firstReady.finally(() => clearTimeout(waiting));
  }

  async stop(withinMs: number): Promise<void> {
    this.#stopped.abort();
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGTERM");
    const over = new AbortController();
    const late = clock.sleep(withinMs, over.signal).then(() => over.signal.aborted || child.kill("SIGKILL"));
    await this.#exited;
    over.abort();
    await late;
  }

  #start(): void {
    this.#backoff.started();
    const program = fileURLToPath(
      new URL(`millrace${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url),
    );
    // A group of its own: the terminal's Ctrl-C reaches `up` alone, which stops the children in order.
    const child = fork(program, this.#entry.arguments, {
      env: this.#env,
      detached: true,
      execArgv: ["--enable-source-maps"],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    let final: string | undefined;
    child.on("message", (message: FromChild) => {
      if (message.kind === "ready") {
        this.addresses = message.addresses;
        this.#settleReady?.resolve();
      } else final = message.why;
    });
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.#print(`${line}\n`));
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        resolve();
        this.#ended(how, final);
      };
      child.on("error", (error) => {
        this.#log.error({ child: this.name, err: error }, "process in trouble");
        // One that could not even be made has no end to wait for.
        if (child.pid === undefined) ended("not started");
      });
      child.once("exit", (code, signal) => ended(signal ?? `exit ${code}`));
    });
    // What was settled before the first one waited for it is not an accident.
    this.#firstReady.catch(() => {});
  }

  /** U1, U2. */
  #ended(how: string, final: string | undefined): void {
    this.#child = undefined;
    if (this.#stopped.signal.aborted) {
      this.#settleReady?.reject(new Error("stopped"));
      return;
    }
    if (final !== undefined) {
      this.#log.error({ child: this.name, why: final }, "process can't start");
      this.#settleReady?.reject(new Error(final));
    }
    const ms = this.#backoff.nextMs();
    this.#log.warn({ child: this.name, how, againInMs: Math.round(ms) }, "process ended, starting it again");
    void clock.sleep(ms, this.#stopped.signal).then(() => {
      if (!this.#stopped.signal.aborted) this.#start();
    });
  }
}

/** JSON lines as they are for programs, readable ones for a person at a terminal. They come with their line end. */
function printer(): (line: string) => void {
  if (!process.stdout.isTTY) return (line) => void process.stdout.write(line);
  const pretty = prettyFactory({
    colorize: true,
    ignore: "pid,hostname,process",
    translateTime: "HH:MM:ss",
    messageFormat: "{process}: {msg}",
    singleLine: true,
  });
  return (line) => {
    let text = line;
    try {
      text = pretty(JSON.parse(line) as object);
    } catch {}
    process.stdout.write(text);
  };
}

/** The doors that are open, in the order of a first look. */
const doorNames: readonly [name: string, text: string][] = [
  ["tcp", "plaintext over TCP"],
  ["udp", "plaintext over UDP"],
  ["tls", "plaintext over TLS"],
  ["pickle", "pickle"],
  ["pickleTls", "pickle over TLS"],
  ["statsd", "StatsD, UDP and TCP"],
];

function greeting(settings: Settings, demo: Demo, children: readonly UpChild[]): string {
  const at = (child: string, address: string) =>
    children.find((c) => c.name === child)?.addresses[address] ?? "";
  const tcp = at("gateway", "tcp");
  const http = at("gateway", "http");
  const api = at("api", "api");
  const colon = tcp.lastIndexOf(":");
  const line = (text: string, value: string) => `  ${text.padEnd(21)}${value}\n`;
  const raw = doorNames
    .filter(([name]) => at("gateway", name) !== "")
    .map(([name, text]) => line(text, at("gateway", name)));
  const addresses = [
    ...raw,
    line("HTTP ingest", `http://${http}/api/v1/sink`),
    line("Graphite API", `http://${api}`),
    line('keys of "demo"', `${settings.home}/demo.json`),
  ];
  return `
Millrace runs. Data: ${settings.home}

${addresses.join("")}
Send a point:
  curl -u ${demo.writeKey}: --data-binary "my.first.metric 42" http://${http}/api/v1/sink
or over TCP, in bash:
  echo "${demo.writeKey}.my.first.metric 42" > /dev/tcp/${tcp.slice(0, colon).replace(/^\[|\]$/g, "")}/${tcp.slice(colon + 1)}

Read it back:
  curl "http://${api}/t/${demo.readKey}/render?target=my.first.metric&from=-5min&noNullPoints=true"

Ctrl-C stops everything and loses nothing.

`;
}
