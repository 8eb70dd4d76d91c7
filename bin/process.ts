// What every process of the system has in common: settings before anything starts, one log, a stop that is answered,
// an exit code that says whether trying again can help.
//
// P1. Asked to stop, by a signal or by the end of whoever started it, a process is gone within five seconds, whatever
//     its threads do. `process.exit` joins every thread, and one that hangs in native code would keep the process
//     forever; so where threads may still run, the process ends itself as kill -9 does. The record and the store are
//     made for that.
import { systemClock } from "../src/base/clock.ts";
import { Counters } from "../src/base/counters.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import { makeLog, type Log } from "../src/base/log.ts";
import { readSettings, type SettingName, type Settings } from "../src/config/settings.ts";

/** An operator has to do something first: starting again would not help. */
export const exitFinal = 78;
const exitBug = 70;
/** `up` allows five seconds for everything. */
const stopMsMax = 4000;

export interface ProcessContext {
  settings: Settings;
  log: Log;
  counters: Counters;
  /** Aborts when the process is asked to stop while it still starts. */
  stopping: AbortSignal;
}

export interface Running {
  /** For the log and for `up`: what a person may want to know. */
  addresses?: Record<string, string>;
  /** false: threads still run (P1). */
  stop(): Promise<void | false>;
}

export type FromChild = { kind: "ready"; addresses: Record<string, string> } | { kind: "final"; why: string };

export async function runProcess(
  name: string,
  flags: Partial<Record<SettingName, string>>,
  start: (context: ProcessContext) => Promise<Running>,
): Promise<void> {
  let settings: Settings;
  try {
    settings = readSettings(process.env, flags);
  } catch (error) {
    fail(messageOf(error));
    return;
  }
  const log = makeLog(name, settings.logLevel);
  const stopping = new AbortController();
  const asked = new Promise<void>((resolve) => {
    const stop = () => {
      stopping.abort();
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, stop);
    // Whoever started us is gone: a process without its `up` would hold ports and data that nobody looks after.
    process.on("disconnect", stop);
    // It went while this file was being loaded: that event is over.
    if (process.send !== undefined && !process.connected) stop();
  });
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, event);
      process.exit(exitBug);
    });

  let running: Running | undefined;
  try {
    running = await Promise.race([
      start({ settings, log, counters: new Counters(), stopping: stopping.signal }),
      asked.then(() => undefined),
    ]);
  } catch (error) {
    if (!isOutage(error) || error.retryable) {
      log.fatal({ err: error }, "start failed");
      process.exit(exitBug);
    }
    fail(error.message);
    return;
  }
  // Stopped while starting: nothing is held yet, and what was begun is not waited for.
  if (running === undefined) return endNow();
  log.info({ ...running.addresses, pid: process.pid }, "ready");
  tellParent({ kind: "ready", addresses: running.addresses ?? {} });

  await asked;
  const impatient = setTimeout(() => {
    log.error("did not stop in time");
    endNow();
  }, stopMsMax);
  const stopped = await running.stop();
  if (stopped === false) return endNow();
  clearTimeout(impatient);
  log.info("stopped");
  process.exit(0);
}

/** P1. */
function endNow(): void {
  process.kill(process.pid, "SIGKILL");
}

function tellParent(message: FromChild): void {
  // If the parent is gone, "disconnect" says so.
  process.send?.(message, () => {});
}

/** A mistake that only a person can mend: the sentence itself, no stack. */
export function fail(why: string): void {
  process.exitCode = exitFinal;
  if (process.send === undefined) process.stderr.write(`millrace: ${why}\n`);
  else process.send({ kind: "final", why } satisfies FromChild, () => process.exit(exitFinal));
}

export const clock = systemClock;
