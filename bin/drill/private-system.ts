// The whole system as a person starts it: `millrace up` in a folder and on ports of its own, real processes, real
// NATS, real LMDB. Drills and tests kill parts of it by pid and read it back over HTTP.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readSettings } from "../../src/config/settings.ts";
import { clientOf, type AdminClient } from "../admin/client.ts";
import { freePorts } from "./ports.ts";

const program = fileURLToPath(new URL("../millrace.js", import.meta.url));
const execute = promisify(execFile);

export interface Keys {
  id: string;
  name: string;
  writeKey: string;
  readKey: string;
}

export type LogLine = Record<string, unknown> & { process?: string; msg?: string };

export interface SystemOptions {
  home?: string;
  env?: Record<string, string>;
  shards?: number;
}

/** How many ports a system takes. */
export const systemPorts = 9;

export function temporaryHome(): string {
  return mkdtempSync(join(tmpdir(), "millrace-private-"));
}

/** The environment of a test's system: nothing of the machine's own MILLRACE_ settings but where nats-server is. */
export function cleanEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && (!name.startsWith("MILLRACE_") || name === "MILLRACE_NATS_SERVER"))
      env[name] = value;
  return env;
}

export class PrivateSystem {
  readonly home: string;
  readonly env: Record<string, string>;
  /** UDP too. */
  readonly tcpPort: number;
  readonly picklePort: number;
  /** UDP too. */
  readonly statsdPort: number;
  readonly httpPort: number;
  readonly apiPort: number;
  readonly natsPort: number;
  readonly nodePort: number;
  readonly adminPort: number;
  /** Everything logged so far. */
  readonly log: LogLine[] = [];
  /** What was not JSON: greetings and sentences. */
  text = "";
  #process: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(null);
  #listeners = new Set<() => void>();
  readonly #ownHome: boolean;

  constructor(options: SystemOptions, ports: number[]) {
    this.#ownHome = options.home === undefined;
    this.home = options.home ?? temporaryHome();
    const [
      tcp = 0,
      http = 0,
      api = 0,
      nats = 0,
      node = 0,
      coordinator = 0,
      pickle = 0,
      statsd = 0,
      admin = 0,
    ] = ports;
    this.tcpPort = tcp;
    this.picklePort = pickle;
    this.statsdPort = statsd;
    this.httpPort = http;
    this.apiPort = api;
    this.natsPort = nats;
    this.nodePort = node;
    this.adminPort = admin;
    this.env = {
      ...cleanEnvironment(),
      MILLRACE_HOME: this.home,
      MILLRACE_TCP_LISTEN: `127.0.0.1:${tcp}`,
      MILLRACE_UDP_LISTEN: `127.0.0.1:${tcp}`,
      MILLRACE_PICKLE_LISTEN: `127.0.0.1:${pickle}`,
      MILLRACE_STATSD_LISTEN: `127.0.0.1:${statsd}`,
      MILLRACE_HTTP_LISTEN: `127.0.0.1:${http}`,
      MILLRACE_API_LISTEN: `127.0.0.1:${api}`,
      MILLRACE_NATS_LISTEN: `127.0.0.1:${nats}`,
      MILLRACE_NODE_LISTEN: `127.0.0.1:${node}`,
      MILLRACE_COORDINATOR_LISTEN: `127.0.0.1:${coordinator}`,
      MILLRACE_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      MILLRACE_SHARDS: String(options.shards ?? 2),
      MILLRACE_DISK_BUDGET: "512MB",
      MILLRACE_FAULTS: "1",
      ...options.env,
    };
  }

  static async start(options: SystemOptions = {}): Promise<PrivateSystem> {
    const system = new PrivateSystem(options, await freePorts(systemPorts));
    await system.up();
    return system;
  }

  /** Starts `millrace up` and waits until it greets. */
  async up(): Promise<void> {
    this.launch();
    await this.until(() => this.text.includes("Millrace runs."), "the greeting");
  }

  /** Starts `millrace up` without waiting. */
  launch(): void {
    this.text = "";
    const child = spawn(process.execPath, ["--enable-source-maps", program, "up"], {
      env: this.env,
      // By ipc it notices when the test that started it is gone.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on("line", (l) => this.#line(l));
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code) => {
        if (this.#process === child) this.#process = undefined;
        resolve(code);
        for (const listener of this.#listeners) listener();
      });
    });
  }

  /** Ctrl-C. Answers the exit code. */
  async stop(): Promise<number | null> {
    this.#process?.kill("SIGINT");
    return this.#exited;
  }

  /** kill -9 of `up` itself. */
  async kill9(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#exited;
  }

  get exited(): Promise<number | null> {
    return this.#exited;
  }

  /** Stops, and removes the folder if it was made here. */
  async close(): Promise<void> {
    await this.stop();
    if (this.#ownHome) rmSync(this.home, { recursive: true, force: true });
  }

  /** Settles when `condition` holds; looks again at each new line of the log. */
  until(condition: () => boolean, what: string, withinMs = 60_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => {
        clearTimeout(timer);
        this.#listeners.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = () => {
        if (condition()) end();
        else if (this.#process === undefined)
          end(new Error(`ended while waiting for ${what}:\n${this.tail()}`));
      };
      const timer = setTimeout(
        () => end(new Error(`no ${what} within ${withinMs} ms:\n${this.tail()}`)),
        withinMs,
      );
      this.#listeners.add(look);
      look();
    });
  }

  /** Settles with the first line after now that matches. */
  async nextLog(matches: (line: LogLine) => boolean, what: string, withinMs?: number): Promise<LogLine> {
    const from = this.log.length;
    const find = () => this.log.slice(from).find(matches);
    await this.until(() => find() !== undefined, what, withinMs);
    return find() as LogLine;
  }

  /** The pid of a process of the system, by its latest "ready". */
  pid(name: string): number {
    if (name === "nats-server") return Number(readFileSync(join(this.home, "nats", "nats.pid"), "utf8"));
    const ready = this.log.findLast((line) => line.process === name && line.msg === "ready");
    const pid = ready?.["pid"];
    if (typeof pid !== "number") throw new Error(`${name} has not said ready`);
    return pid;
  }

  tail(): string {
    return `${this.log
      .slice(-30)
      .map((line) => JSON.stringify(line))
      .join("\n")}\n${this.text}`;
  }

  get demo(): Keys {
    return JSON.parse(readFileSync(join(this.home, "demo.json"), "utf8")) as Keys;
  }

  /** Runs the command line as a person would; answers stdout. */
  async millrace(...words: string[]): Promise<string> {
    const { stdout } = await execute(process.execPath, [program, ...words], { env: this.env });
    return stdout;
  }

  /** What the command line asks, without a process for each question. */
  get admin(): AdminClient {
    return clientOf(readSettings(this.env));
  }

  async addTenant(name: string): Promise<Keys> {
    const { id, writeKey, readKey } = await this.admin.post<Keys>("/v1/tenants", { name });
    const keys = { id, name, writeKey, readKey };
    await this.knows(keys);
    return keys;
  }

  /** The gateway has heard of a tenant that was just added: on a busy machine that takes its time. Or it is not there. */
  async knows({ name, writeKey }: Keys): Promise<void> {
    await eventually(`the key of ${name} is known`, async () => {
      const response = await this.sink(writeKey, "").catch(() => undefined);
      await response?.arrayBuffer();
      return response?.status !== 401;
    });
  }

  sink(key: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.httpPort}/api/v1/sink`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, ...headers },
      body,
      signal: AbortSignal.timeout(15_000),
    });
  }

  async render(readKey: string, target: string, from = "-1h"): Promise<RenderedSeries[]> {
    const body = new URLSearchParams({ target, from, until: "now", format: "json" });
    const response = await fetch(`http://127.0.0.1:${this.apiPort}/render`, {
      method: "POST",
      headers: { Authorization: `Bearer ${readKey}` },
      body,
      signal: AbortSignal.timeout(15_000),
    });
    if (!response.ok) throw new Error(`render ${response.status}: ${await response.text()}`);
    return (await response.json()) as RenderedSeries[];
  }

  /** The sum of all values of each series that a target gives, by its name. */
  async sums(readKey: string, target: string, from = "-1h"): Promise<Map<string, number>> {
    const out = new Map<string, number>();
    for (const { target: name, datapoints } of await this.render(readKey, target, from))
      out.set(
        name,
        datapoints.reduce((sum, [value]) => sum + (value ?? 0), 0),
      );
    return out;
  }

  async nodeHealth(): Promise<NodeHealth> {
    const response = await fetch(`http://127.0.0.1:${this.nodePort}/health`);
    return (await response.json()) as NodeHealth;
  }

  #line(line: string): void {
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.text += `${line}\n`;
    }
    for (const listener of this.#listeners) listener();
  }
}

export interface RenderedSeries {
  target: string;
  datapoints: [number | null, number][];
}

export interface NodeHealth {
  ok: boolean;
  shards: {
    shard: number;
    state: string;
    why: string;
    restarts: number;
    progress?: { doing: string; offset: number; epoch: number };
  }[];
}

/** Looks again and again until `holds`; for what can only be asked for, not awaited. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  withinMs = 30_000,
  everyMs = 100,
): Promise<void> {
  const until = Date.now() + withinMs;
  let error: unknown;
  for (;;) {
    try {
      if (await holds()) return;
    } catch (thrown) {
      error = thrown;
    }
    if (Date.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: error });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
