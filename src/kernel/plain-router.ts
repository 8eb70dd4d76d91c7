// The gateway's half of the kernel in plain TypeScript: bytes of a connection to rows, a row for each line.
//
// R1. Rows are the same however the bytes are cut into calls, as long as what was not consumed is handed in again.
// R2. What is not consumed never exceeds 16 KB: a longer line without end is reported at once and skipped.
import { Line, lineBytesMax, readLine } from "../metric/line.ts";
import { reasonCode } from "../metric/reason.ts";
import type { RoutedLines, RouteOptions, Router } from "./kernel.ts";

export const routedLinesMax = 1024;
/** What a caller may have to keep of a connection between two calls. */
export const unconsumedBytesMax = lineBytesMax;

export function createPlainRouter(): Router {
  return new PlainRouter();
}

class PlainRouter implements Router {
  readonly lines: RoutedLines = {
    count: 0,
    consumed: 0,
    skipping: false,
    keyFrom: new Int32Array(routedLinesMax),
    keyTo: new Int32Array(routedLinesMax),
    from: new Int32Array(routedLinesMax),
    to: new Int32Array(routedLinesMax),
    seconds: new Float64Array(routedLinesMax),
    reason: new Uint8Array(routedLinesMax),
  };
  readonly #line = new Line();

  route(bytes: Uint8Array, from: number, to: number, options: RouteOptions): void {
    const { lines } = this;
    const line = this.#line;
    const { keyed, last } = options;
    lines.count = 0;
    lines.skipping = false;
    let at = from;
    if (options.skipping === true) {
      const end = bytes.indexOf(0x0a, from);
      if (end < 0 || end >= to) {
        lines.consumed = to;
        lines.skipping = !last;
        return;
      }
      at = end + 1;
    }
    while (at < to && lines.count < routedLinesMax) {
      readLine(bytes, at, to, keyed, line);
      if (!line.finished && !last) {
        if (line.reason !== reasonCode["line-too-long"]) break;
        lines.skipping = true;
      }
      at = line.finished ? line.end + 1 : to;
      if (!line.blank) addRow(lines, line);
    }
    lines.consumed = at;
  }
}

function addRow(lines: RoutedLines, line: Line): void {
  const row = lines.count++;
  lines.keyFrom[row] = line.keyFrom;
  lines.keyTo[row] = line.keyTo;
  lines.from[row] = line.from;
  lines.to[row] = line.to;
  lines.seconds[row] = line.seconds;
  lines.reason[row] = line.reason;
}
