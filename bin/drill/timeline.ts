// What happened, as on-call would have seen it: what the story did, what the system said aloud, what others noticed.
import type { LogLine } from "./private-system.ts";

export interface Moment {
  /** Since the drill began, ms. */
  atMs: number;
  who: string;
  what: string;
  /** So often in a row. */
  times: number;
}

/** pino's number for a warning. */
const warning = 40;
const momentsMost = 1000;

export class Timeline {
  readonly #startedMs: number;
  readonly #nowMs: () => number;
  readonly #onMoment: (moment: Moment) => void;
  readonly moments: Moment[] = [];
  /** Beyond the bound. */
  dropped = 0;

  constructor(nowMs: () => number, onMoment: (moment: Moment) => void) {
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    this.#onMoment = onMoment;
  }

  get elapsedMs(): number {
    return this.#nowMs() - this.#startedMs;
  }

  say(who: string, what: string): void {
    const last = this.moments.findLast((moment) => moment.who === who);
    if (last?.what === what) {
      last.times += 1;
      return;
    }
    if (this.moments.length >= momentsMost) {
      this.dropped += 1;
      return;
    }
    const moment = { atMs: Math.round(this.elapsedMs), who, what, times: 1 };
    this.moments.push(moment);
    this.#onMoment(moment);
  }

  /** Warnings, errors and pages of the system. */
  heard(line: LogLine): void {
    const level = Number(line["level"] ?? 0);
    if (level < warning) return;
    const shard = typeof line["shard"] === "number" ? ` shard ${line["shard"]}` : "";
    const why = line["why"] ?? line["cause"] ?? line["how"];
    const said = typeof why === "string" ? `: ${why}` : "";
    this.say(
      `${line.process ?? "system"}${shard}`,
      `${line["page"] === true ? "PAGE " : ""}${line.msg ?? ""}${said}`,
    );
  }
}

export function momentText({ atMs, who, what }: Moment): string {
  return `+${(atMs / 1000).toFixed(1).padStart(5)} s  ${who.padEnd(22)}  ${what}`;
}
