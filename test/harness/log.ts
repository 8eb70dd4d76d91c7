// A log that a test can read.
import { pino, type LoggerOptions } from "pino";
import type { Log } from "../../src/base/log.ts";

export interface HeardLog {
  log: Log;
  /** Each line as it was written. */
  text: string[];
  /** The messages alone. */
  messages(): string[];
}

export function hearLog(): HeardLog {
  const text: string[] = [];
  const options: LoggerOptions<string> = { base: null, timestamp: false, level: "trace" };
  const log = pino(options, { write: (line) => void text.push(line) });
  const messages = () => text.map((line) => String((JSON.parse(line) as { msg?: unknown }).msg));
  return { log, text, messages };
}

export const silentLog: Log = pino<string>({ level: "silent" });
