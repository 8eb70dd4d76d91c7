// One line per event, JSON on stdout, bounded fields. No key is ever a field. `millrace up` makes the lines
// readable when a person watches a terminal.
import { pino } from "pino";

export type Log = ReturnType<typeof pino>;

const fieldCharsMax = 1000;

export function makeLog(process: string, level = "info"): Log {
  return pino({
    level,
    base: { process },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: (error: unknown) => errorField(error) },
  });
}

/** Code and message; a stack only where it helps: for our own bugs. */
function errorField(error: unknown): { message: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { message: String(error).slice(0, fieldCharsMax) };
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    message: error.message.slice(0, fieldCharsMax),
    ...(code === undefined ? { stack: (error.stack ?? "").slice(0, 4 * fieldCharsMax) } : { code }),
  };
}
