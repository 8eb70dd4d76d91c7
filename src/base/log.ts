// One line per event, JSON on stdout, bounded fields. No key is ever a field. `millrace up` makes the lines
// readable when a person watches a terminal.
//
// L1. A line is out before the call returns: the last words before an end are heard, a thread's as well.
// L2. A reader that is gone costs the lines and nothing else. (pino's own destination tries for ever, at the exit of a
//     process, to write its last line into a pipe that nobody reads: such a process never ended.)
import { writeSync } from "node:fs";
import { pino } from "pino";

export type Log = ReturnType<typeof pino>;

const fieldCharsMax = 1000;

/** `write` takes a line with its line end; by default it goes to stdout. */
export function makeLog(process: string, level = "info", write: (line: string) => void = toStdout): Log {
  const options = {
    level,
    base: { process },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: (error: unknown) => errorField(error) },
  };
  return pino(options, { write });
}

const stdout = 1;

function toStdout(line: string): void {
  try {
    writeSync(stdout, line);
  } catch {
    // L2. Also EAGAIN, of a pipe that somebody made non-blocking: better a line lost than everything held up.
  }
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
