// CPU profiles of a system's processes, all threads of each, between `start` and `stop`: files that a browser's
// developer tools open, and a table of the functions that took the most time themselves. nats-server, which is Go,
// tells its own by its profiling port.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { freePorts } from "../bin/drill/ports.ts";
import { findNatsServer } from "../bin/setup/nats-server.mjs";
import { findRoot } from "../bin/setup/root.mjs";
import { selfTimes } from "./pprof.ts";

const profiled = ["gateway", "node"] as const;
const functionsShown = 16;
const lookEveryMs = 50;
/** What we expect at least: nats-server's profile is not over before the points are. */
const pointsPerSecond = 1e6;
/** Starting a profile costs a thread up to half a second; that is nobody's cost. */
const settleMs = 1500;
/** The call that starts a profile. */
const notOurs = new Set(["(idle)", "dispatch", "post node:inspector:107"]);

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

export class Profile {
  readonly #folder: string;
  readonly #natsPort: number;
  readonly env: Record<string, string>;
  #pids: Readonly<Record<string, number>> = {};
  #nats: Promise<Buffer> = Promise.resolve(Buffer.alloc(0));

  private constructor(folder: string, natsPort: number, natsServer: string) {
    this.#folder = folder;
    this.#natsPort = natsPort;
    const preload = new URL(
      `./profile-preload${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
      import.meta.url,
    );
    this.env = {
      BENCH_PROFILE_FOLDER: folder,
      NODE_OPTIONS: `--import ${preload.href}`,
      MILLRACE_NATS_SERVER: natsServer,
    };
  }

  /** `folder` must be new or empty. */
  static async prepare(folder: string): Promise<Profile> {
    const place = resolve(folder);
    mkdirSync(place, { recursive: true });
    if (readdirSync(place).length > 0) throw new Error(`${place} is not empty`);
    const [port = 0] = await freePorts(1);
    const root = findRoot(import.meta.url) ?? "";
    const { path } = await findNatsServer({ root, env: process.env, signal: new AbortController().signal });
    const wrapper = join(place, "nats-server.sh");
    writeFileSync(wrapper, `#!/bin/sh\nexec "${path}" "$@" --profile ${port}\n`, { mode: 0o755 });
    return new Profile(place, port, wrapper);
  }

  async start(pids: Readonly<Record<string, number>>, points: number): Promise<void> {
    this.#pids = pids;
    for (const name of profiled) process.kill(pids[name] ?? 0, "SIGUSR2");
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const seconds = Math.max(1, Math.floor(points / pointsPerSecond));
    const url = `http://127.0.0.1:${this.#natsPort}/debug/pprof/profile?seconds=${seconds}`;
    this.#nats = fetch(url).then(async (response) => Buffer.from(await response.arrayBuffer()));
    this.#nats.catch(() => {});
  }

  /** Tables, one a process. `cpuSeconds`: what each process used meanwhile. */
  async stop(cpuSeconds: Record<string, number>): Promise<string> {
    for (const name of profiled) process.kill(this.#pids[name] ?? 0, "SIGUSR2");
    const written = (name: string) =>
      this.#files(name, ".started").every((file) => existsSync(file.replace(/started$/, "cpuprofile")));
    await this.#until(() => profiled.every(written));
    const tables = profiled.map((name) => {
      const times = new Map<string, number>();
      for (const file of this.#files(name, ".cpuprofile"))
        addTimes(times, JSON.parse(readFileSync(file, "utf8")) as CpuProfile);
      return table(`${name}, all threads`, times, cpuSeconds[name] ?? 0);
    });
    const pprof = await this.#nats;
    writeFileSync(join(this.#folder, "nats-server.pprof.gz"), pprof);
    tables.push(table("nats-server", selfTimes(pprof), cpuSeconds["nats-server"] ?? 0));
    return tables.join("\n\n");
  }

  #files(name: string, end: string): string[] {
    return readdirSync(this.#folder)
      .filter((file) => file.startsWith(`${this.#pids[name]}.`) && file.endsWith(end))
      .map((file) => join(this.#folder, file));
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((done) => setTimeout(done, lookEveryMs));
  }
}

/** Time by function, idle time left out. `(program)`: not in JavaScript, system calls mostly. */
function addTimes(times: Map<string, number>, { nodes, samples, timeDeltas }: CpuProfile): void {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.startsWith("wasm:") ? "kernel.wasm" : url.split("/").slice(-3).join("/");
      const where = file === "" ? "" : ` ${file}:${lineNumber + 1}`;
      return [id, `${functionName === "" ? "(anonymous)" : functionName}${where}`];
    }),
  );
  for (const [i, id] of samples.entries()) {
    const name = names.get(id) ?? "";
    if (notOurs.has(name)) continue;
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[i] ?? 0) / 1e6);
  }
}

/**
 * A thread that waits for a core is sampled as if it ran, so only shares are to be trusted; the seconds are those of the
 * process, split by them.
 */
function table(title: string, times: ReadonlyMap<string, number>, cpuSeconds: number): string {
  const all = [...times.values()].reduce((sum, time) => sum + time, 0);
  const rows = [...times]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, functionsShown)
    .map(([name, time]) => {
      const share = time / all;
      return `| ${(share * 100).toFixed(1)} | ${(share * cpuSeconds).toFixed(2)} | ${name} |`;
    });
  const head = [
    `${title}: ${cpuSeconds.toFixed(2)} CPU s`,
    "",
    "| % | CPU s | function |",
    "| --- | --- | --- |",
  ];
  return [...head, ...rows].join("\n");
}
