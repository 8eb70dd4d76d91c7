// The gateway's half of the kernel for StatsD: bytes of a connection or of a packet to rows, a row for each line. The
// promises are those of plain-router.ts: R1, R2.
import { StatsdLine, readStatsd } from "../metric/statsd.ts";
import { reasonCode } from "../metric/reason.ts";
import type { RoutedLines, RouteOptions, Router } from "./kernel.ts";
import { routedLinesMax } from "./plain-router.ts";

export function createStatsdRouter(): Router {
  return new StatsdRouter();
}

class StatsdRouter implements Router {
  /** `seconds` is NaN everywhere: a StatsD line is of the time it came. */
  readonly lines: RoutedLines = {
    count: 0,
    consumed: 0,
    skipping: false,
    keyFrom: new Int32Array(routedLinesMax),
    keyTo: new Int32Array(routedLinesMax),
    from: new Int32Array(routedLinesMax),
    to: new Int32Array(routedLinesMax),
    seconds: new Float64Array(routedLinesMax).fill(Number.NaN),
    reason: new Uint8Array(routedLinesMax),
  };
  readonly #line = new StatsdLine();

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
      readStatsd(bytes, at, to, keyed, line);
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

function addRow(lines: RoutedLines, line: StatsdLine): void {
  const row = lines.count++;
  lines.keyFrom[row] = line.keyFrom;
  lines.keyTo[row] = line.keyTo;
  lines.from[row] = line.from;
  lines.to[row] = line.to;
  lines.reason[row] = line.reason;
}
