// The lines of a request's body: handed on whole runs at a time where nothing is odd about them, else one by one.
//
// R4. No key becomes a name: a line that begins with one, as on a raw door, is refused, whosever it is.
import type { RoutedLines, RoutedRuns, Router } from "../kernel/kernel.ts";
import { aheadSecondsMax } from "../metric/bucket.ts";
import { oldestHeld, type Reach } from "../metric/ladder-rules.ts";
import { reasons, type Reason } from "../metric/reason.ts";
import { keyEnd } from "../tenant/keys.ts";
import type { LineGate } from "./routes.ts";

/** Takes good lines. */
export interface LineTaker {
  /** body[from, to), without a line end. It may still be refused. */
  line(from: number, to: number, seconds: number): Reason | undefined;
  /** All lines of a run, as `text`; false: none was taken, and each comes by itself. */
  run(runs: RoutedRuns, run: number, text: Uint8Array): boolean;
}

export interface LineRefusals {
  add(reason: Reason, from: number, to: number, hint?: string): void;
}

const keyHint = "the key goes into the request's credential, not before a name";

/** R4. Answers how many lines were taken. */
export function takeLines(
  router: Router,
  body: Buffer,
  from: number,
  to: number,
  refused: LineRefusals,
  taker: LineTaker,
): number {
  const { lines } = router;
  const { runs } = lines;
  let taken = 0;
  for (let at = from; at < to; at = lines.consumed) {
    router.route(body, at, to, { keyed: false, last: true });
    for (let i = 0, run = 0; i < lines.count; i++) {
      if (runs !== undefined && run < runs.count && runs.firstRow[run] === i) {
        const rows = takeRun(body, lines, runs, run++, taker);
        if (rows > 0) {
          taken += rows;
          i += rows - 1;
          continue;
        }
      }
      const code = lines.reason[i] as number;
      const lineFrom = lines.from[i] as number;
      const lineTo = lines.to[i] as number;
      const key = keyEnd(body, lineFrom, lineTo);
      if (key >= 0) {
        refused.add("bad-name", key + 1, lineTo, keyHint);
        continue;
      }
      const reason = code === 0 ? taker.line(lineFrom, lineTo, lines.seconds[i] as number) : reasons[code];
      if (reason === undefined) taken++;
      else refused.add(reason, lineFrom, lineTo);
    }
    if (lines.consumed === at) break;
  }
  return taken;
}

/** Answers how many lines: all of the run, or 0. */
function takeRun(body: Buffer, lines: RoutedLines, runs: RoutedRuns, run: number, taker: LineTaker): number {
  const first = runs.firstRow[run] as number;
  const rows = runs.rows[run] as number;
  for (let i = first; i < first + rows; i++)
    if (keyEnd(body, lines.from[i] as number, lines.to[i] as number) >= 0) return 0;
  const text = runs.text.subarray(runs.textFrom[run], runs.textTo[run]);
  return taker.run(runs, run, text) ? rows : 0;
}

/** What is wrong with a line's time. NaN, a line without one, compares false both times. */
export function outside(seconds: number, nowSeconds: number, reach: Reach): Reason | undefined {
  if (seconds < oldestHeld(nowSeconds, reach)) return "too-old";
  if (seconds > nowSeconds + aheadSecondsMax) return "too-new";
  return undefined;
}

/** What the tenant's limits say of a line's name. */
export function named(
  gate: LineGate | undefined,
  body: Buffer,
  from: number,
  to: number,
): Reason | undefined {
  const code = gate?.judgeName(body, from, to) ?? 0;
  return code === 0 ? undefined : reasons[code];
}

/** Whether the two have nothing to say about any line of the run. */
export function allPass(
  runs: RoutedRuns,
  run: number,
  nowSeconds: number,
  reach: Reach,
  gate: LineGate | undefined,
): boolean {
  if ((runs.leastSeconds[run] as number) < oldestHeld(nowSeconds, reach)) return false;
  if ((runs.mostSeconds[run] as number) > nowSeconds + aheadSecondsMax) return false;
  return gate?.passNames(runs.longestName[run] as number) ?? true;
}
