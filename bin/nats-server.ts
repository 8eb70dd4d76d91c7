// `millrace nats`: runs the system's own nats-server, with the settings that P1 rests on.
//
// N1. `sync_interval: always`: an acknowledged frame has been fsynced.
// N2. A server that an earlier, killed process left behind on our folder is ended before a new one starts.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Outage } from "../src/base/errors.ts";
import { makeFolder } from "../src/base/folder.ts";
import { natsFolder } from "../src/config/places.ts";
import { formatAddress, type Settings } from "../src/config/settings.ts";
import { listen } from "../src/config/listen.ts";
import { clock, type ProcessContext, type Running } from "./process.ts";
import { budgetOf } from "./budget.ts";
import { projectFolder } from "./project.ts";

const payloadBytesMax = 8 << 20;
const readyMsMax = 30_000;
/** Below the share of the stop that `up` gives: killed before its server is gone, we would leave it behind. */
const stopMsMax = 1200;
const leftoverStopMsMax = 3000;

export async function startNats(context: ProcessContext): Promise<Running> {
  const { settings, log, stopping } = context;
  const budget = await budgetOf(settings);
  const folder = natsFolder(settings);
  makeFolder(folder);
  const { config, pidFile } = filesOf(folder);
  await endLeftover(folder);
  await checkPort(settings);
  writeIfOther(config, natsConfig(settings, folder, pidFile, budget.jetStreamBytes));
  const program = serverProgram(settings);
  const server = spawn(program, ["-c", config], { stdio: "ignore" });
  const exited = new Promise<string>((resolve) => {
    server.once("error", (error) => resolve(error.message));
    server.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  // A stop does not wait for the start to end.
  const endWithUs = () => void server.kill("SIGTERM");
  stopping.addEventListener("abort", endWithUs);
  const ready = untilReady(settings, stopping);
  const outcome = await Promise.race([ready.then(() => "ready" as const), exited]);
  stopping.removeEventListener("abort", endWithUs);
  if (outcome !== "ready")
    throw new Outage(
      "bus-unavailable",
      `nats-server ended at its start (${outcome}): see ${join(folder, "nats.log")}`,
    );

  let ending = false;
  void exited.then((how) => {
    if (ending) return;
    log.error({ how }, "nats-server ended");
    process.exit(1);
  });
  return {
    addresses: { nats: formatAddress(settings.natsListen), program },
    async stop() {
      ending = true;
      await end(server, exited);
    },
  };
}

function filesOf(folder: string): { config: string; pidFile: string } {
  return { config: join(folder, "nats.conf"), pidFile: join(folder, "nats.pid") };
}

function natsConfig(settings: Settings, folder: string, pidFile: string, storeBytes: number): string {
  const text = (value: string) => JSON.stringify(value);
  return `# Written at each start: change the settings instead.
${serverNeeds(join(folder, "jetstream"), storeBytes)}listen: ${text(formatAddress(settings.natsListen))}
server_name: millrace
pid_file: ${text(pidFile)}
log_file: ${text(join(folder, "nats.log"))}
logfile_size_limit: 10MB
logfile_max_num: 3
`;
}

/** What any nats-server of ours must have in its configuration. */
export function serverNeeds(storeFolder: string, storeBytes: number): string {
  return `max_payload: ${payloadBytesMax}
jetstream {
  store_dir: ${JSON.stringify(storeFolder)}
  max_file_store: ${storeBytes}
  max_memory_store: 0
  # An acknowledgement means: on the disk.
  sync_interval: always
}
`;
}

/** On a full disk nothing can be written, and the file of the last start is as good: it must not be emptied first. */
function writeIfOther(path: string, content: string): void {
  if (existsSync(path) && readFileSync(path, "utf8") === content) return;
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** bin/setup.mjs knows where servers may lie and which are new enough. */
function serverProgram(settings: Settings): string {
  const setup = fileURLToPath(new URL("bin/setup.mjs", projectFolder()));
  const env = { ...process.env };
  if (settings.natsServer !== "") env["MILLRACE_NATS_SERVER"] = settings.natsServer;
  try {
    return execFileSync(process.execPath, [setup, "--which-nats-server"], {
      encoding: "utf8",
      env,
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? "";
    throw new Outage("settings-invalid", said === "" ? "no nats-server >= 2.10 was found." : said);
  }
}

/** Takes the port for a moment: a sentence now beats a server that dies. */
async function checkPort(settings: Settings): Promise<void> {
  const probe = createServer();
  await listen(probe, settings.natsListen, "MILLRACE_NATS_LISTEN");
  await new Promise<void>((resolve) => probe.close(() => resolve()));
}

async function untilReady(settings: Settings, stopping: AbortSignal): Promise<void> {
  const { host, port } = settings.natsListen;
  const started = clock.monotonicMs();
  while (!stopping.aborted && clock.monotonicMs() - started < readyMsMax) {
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port });
      socket.once("data", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (greeted) return;
    await clock.sleep(50, stopping);
  }
  if (!stopping.aborted)
    throw new Outage("bus-unavailable", `nats-server did not answer within ${readyMsMax} ms`);
}

async function end(server: ChildProcess, exited: Promise<string>): Promise<void> {
  server.kill("SIGTERM");
  const over = new AbortController();
  const late = clock.sleep(stopMsMax, over.signal).then(() => server.kill("SIGKILL"));
  await exited;
  over.abort();
  await late;
}

/** N2. */
export async function endLeftover(folder: string): Promise<void> {
  const { pidFile, config } = filesOf(folder);
  let pid: number;
  try {
    pid = Number(readFileSync(pidFile, "utf8"));
  } catch {
    return;
  }
  if (!(pid > 1) || !commandOf(pid).includes(config)) return;
  process.kill(pid, "SIGTERM");
  for (let waited = 0; waited < leftoverStopMsMax && commandOf(pid) !== ""; waited += 50)
    await clock.sleep(50);
  if (commandOf(pid) !== "") process.kill(pid, "SIGKILL");
}

/** The command line of a process, "" when there is none. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    try {
      return execFileSync("ps", ["-p", String(pid), "-o", "command="], { encoding: "utf8" });
    } catch {
      return "";
    }
  }
}
