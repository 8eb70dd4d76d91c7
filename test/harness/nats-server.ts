// A real nats-server for tests, on a free port in a temp folder, fsyncing each message as a production one does.
// It can be killed, stopped, hung and started again on the same port and folder.
//
// H1. `startNatsServer` and `restart` settle when the server takes connections and JetStream is ready.
// H2. `close` ends the process and removes a folder made here. A test process that ends takes its servers along.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface NatsServerOptions {
  /** Where the record lies; kept by `close`. Default: a temp folder, removed by `close`. */
  folder?: string;
  /** Default: a free one. */
  port?: number;
  /** Bytes that all streams together may reserve. Default 4 GB. */
  maxFileStore?: number;
  /** Default 8 MB. */
  maxPayload?: number;
  /** Files of a certificate and its key: then it takes TLS only. */
  tls?: { cert: string; key: string };
}

export interface NatsServer {
  /** `nats://127.0.0.1:<port>`: the same through all restarts. */
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  /** Of the present process, or the last one. */
  readonly pid: number;
  readonly running: boolean;
  /** Power cut: settles when the process is gone. */
  kill9(): Promise<void>;
  /** Graceful: settles when the process is gone. */
  stop(): Promise<void>;
  /** Stops it if it runs, starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Hangs it (SIGSTOP): connections stay open, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Ends it and cleans up. */
  close(): Promise<void>;
}

const readyMs = 20_000;
const stopMs = 10_000;
const logLinesKept = 50;

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "millrace-nats-")));
  await mkdir(folder, { recursive: true });
  const server = new Server(options, folder);
  await server.start();
  return server;
}

/** The path of the program, as found by MILLRACE_NATS_SERVER, PATH, or the project's cache. Throws a sentence. */
export function natsServerProgram(): string {
  const named = process.env["MILLRACE_NATS_SERVER"];
  if (named !== undefined && named !== "") return named;
  const fromPath = (process.env["PATH"] ?? "").split(delimiter).map((place) => join(place, "nats-server"));
  const found = [...fromPath, join(projectFolder(), ".cache", "nats-server", "nats-server")].find(isProgram);
  if (found !== undefined) return found;
  throw new Error("no nats-server: put it on PATH, or its path into MILLRACE_NATS_SERVER");
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The folder of package.json, seen from the sources and from the build alike. */
function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** Servers to take along when this process ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

class Server implements NatsServer {
  readonly folder: string;
  readonly #options: NatsServerOptions;
  #port: number;
  #child: ChildProcess | undefined;
  #pid = 0;
  #log: string[] = [];

  constructor(options: NatsServerOptions, folder: string) {
    this.#options = options;
    this.folder = folder;
    this.#port = options.port ?? -1; // -1: the server takes a free one and logs it
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  async start(): Promise<void> {
    const file = join(this.folder, "nats.conf");
    await writeFile(file, this.#config());
    const child = spawn(natsServerProgram(), ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#log = [];
    this.#child = child;
    this.#pid = child.pid ?? 0;
    running.add(child);
    child.once("exit", () => {
      running.delete(child);
      if (this.#child === child) this.#child = undefined;
    });
    try {
      await this.#ready(child);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    await this.kill9();
    if (this.#options.folder === undefined) await rm(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, "exit");
    if (signal !== "SIGKILL") child.kill("SIGCONT"); // a hung process takes no other signal
    child.kill(signal);
    const insist = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await gone;
    clearTimeout(insist);
  }

  /** H1: the log line "Server is ready" comes after the streams were recovered and the port was opened. */
  #ready(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        clearTimeout(timer);
        reject(new Error(`nats-server ${why}:\n${this.#log.join("\n")}`));
      };
      const timer = setTimeout(() => fail(`was not ready within ${readyMs} ms`), readyMs);
      child.once("error", (error) => fail(`did not start (${error.message})`));
      child.once("exit", (code, signal) => fail(`ended (${code ?? signal})`));
      if (child.stderr === null) return fail("has no log");
      createInterface({ input: child.stderr }).on("line", (line) => {
        this.#log = [...this.#log.slice(1 - logLinesKept), line];
        const port = /Listening for client connections on .*:(\d+)$/.exec(line)?.[1];
        if (port !== undefined) this.#port = Number(port);
        if (!line.includes("Server is ready")) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #config(): string {
    const { tls } = this.#options;
    return [
      `listen: "127.0.0.1:${this.#port}"`,
      `max_payload: ${this.#options.maxPayload ?? 8 * 1024 * 1024}`,
      ...(tls === undefined
        ? []
        : [`tls { cert_file: ${JSON.stringify(tls.cert)}, key_file: ${JSON.stringify(tls.key)} }`]),
      "jetstream {",
      `  store_dir: ${JSON.stringify(join(this.folder, "jetstream"))}`,
      `  max_file_store: ${this.#options.maxFileStore ?? 4 * 1024 ** 3}`,
      "  sync_interval: always",
      "}",
      "",
    ].join("\n");
  }
}
