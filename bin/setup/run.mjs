// Runs a program to its end and keeps what it said.
//
// R1. A signal to stop reaches the program and all it started (a process group of its own), and its end is awaited:
//     whoever cleans up afterwards is alone with the files.
// R2. What is kept of its words is bounded: the last megabyte.
import { spawn } from "node:child_process";
import { Interrupted } from "./step.mjs";

const keptBytes = 1 << 20;
const graceMs = 5_000;

/** `code` is null when the program ended by a signal or could not be started (`missing`). */
/** @typedef {{ code: number | null, output: string, missing: boolean }} Ended */

/**
 * Standard output and standard error together, as they came. Throws Interrupted after the signal, nothing else.
 * @param {string} program @param {string[]} words
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal: AbortSignal, timeoutMs?: number }} options
 * @returns {Promise<Ended>}
 */
export async function run(program, words, { cwd, env = process.env, signal, timeoutMs }) {
  if (signal.aborted) throw new Interrupted();
  /** @type {Ended} */
  const ended = await new Promise((resolve) => {
    let output = "";
    const child = spawn(program, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const kill = (/** @type {NodeJS.Signals} */ name) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch {
        // The group is gone already.
      }
    };
    /** @type {NodeJS.Timeout[]} */
    const timers = [];
    const stop = () => {
      kill("SIGTERM");
      timers.push(setTimeout(() => kill("SIGKILL"), graceMs));
    };
    if (timeoutMs !== undefined) timers.push(setTimeout(stop, timeoutMs));
    signal.addEventListener("abort", stop, { once: true });
    const settle = (/** @type {number | null} */ code, /** @type {boolean} */ missing) => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve({ code, output, missing });
    };
    const keep = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString("utf8")).slice(-keptBytes);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => settle(null, "code" in error && error.code === "ENOENT"));
    child.on("close", (code) => settle(code, false));
  });
  if (signal.aborted) throw new Interrupted();
  return ended;
}
