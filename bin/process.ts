// What every process of the system has in common: settings before anything starts, one log, a stop that is answered,
// an exit code that says whether trying again can help.
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
  stop(): Promise<void>;
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
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stop);
    // Whoever started us is gone: a process without its `up` would hold ports and data that nobody looks after.
    process.on("disconnect", stop);
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
  if (running === undefined) process.exit(0);
  log.info({ ...running.addresses, pid: process.pid }, "ready");
  tellParent({ kind: "ready", addresses: running.addresses ?? {} });

  await asked;
  const impatient = setTimeout(() => {
    log.error("did not stop in time");
    process.exit(1);
  }, stopMsMax);
  await running.stop();
  clearTimeout(impatient);
  log.info("stopped");
  process.exit(0);
}

function tellParent(message: FromChild): void {
  process.send?.(message);
}

/** A mistake that only a person can mend: the sentence itself, no stack. */
export function fail(why: string): void {
  process.exitCode = exitFinal;
  if (process.send === undefined) process.stderr.write(`millrace: ${why}\n`);
  else process.send({ kind: "final", why } satisfies FromChild, () => process.exit(exitFinal));
}

export const clock = systemClock;
