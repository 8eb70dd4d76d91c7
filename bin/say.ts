// What commands say: the result to stdout, progress and questions to stderr, where a person may be.
import { createInterface } from "node:readline/promises";
import { clock } from "./process.ts";

export interface Output {
  json: boolean;
}

export function say(output: Output, json: unknown, lines: readonly string[]): void {
  process.stdout.write(output.json ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join(""));
}

export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** A typed yes. */
export async function isWanted(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}

const barCells = 24;
const redrawMs = 200;

/** A line on a terminal that is written over: how far it is, how fast, how long still. Elsewhere it says nothing. */
export class ProgressBar {
  readonly #what: string;
  readonly #unit: string;
  readonly #startedMs = clock.monotonicMs();
  #drawnMs = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(what: string, unit: string) {
    this.#what = what;
    this.#unit = unit;
  }

  /** `whole`: undefined where nobody knows. `rate`: a second, if somebody else measured it. */
  show(done: number, whole: number | undefined, rate = this.#rate(done)): void {
    const now = clock.monotonicMs();
    if (!process.stderr.isTTY || now - this.#drawnMs < redrawMs) return;
    this.#drawnMs = now;
    this.#isDrawn = true;
    process.stderr.write(`\r\x1b[2K${progressText(this.#what, this.#unit, done, whole, rate)}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isDrawn) process.stderr.write("\r\x1b[2K");
    this.#isDrawn = false;
  }

  #rate(done: number): number {
    return done / Math.max(0.001, (clock.monotonicMs() - this.#startedMs) / 1000);
  }
}

export function progressText(
  what: string,
  unit: string,
  done: number,
  whole: number | undefined,
  rate: number,
): string {
  const count = (value: number) => Math.round(value).toLocaleString("en-US");
  const speed = `${count(rate)} ${unit}/s`;
  if (whole === undefined || whole <= 0) return `${what}  ${count(done)} ${unit}  ${speed}`;
  const share = Math.min(1, done / whole);
  const full = Math.round(share * barCells);
  const bar = `${"#".repeat(full)}${".".repeat(barCells - full)}`;
  const left = rate > 0 ? `  ${etaText((Math.max(0, whole - done) / rate) * 1000)} left` : "";
  return `${what}  [${bar}] ${Math.floor(share * 100)} %  ${count(done)} of ${count(whole)} ${unit}  ${speed}${left}`;
}

/** 5 s, 3:12, 2:05:00. */
export function etaText(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
