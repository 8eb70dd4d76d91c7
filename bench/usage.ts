// What the processes of a running system use, as the machine's kernel accounts it.
import { readFileSync } from "node:fs";
import type { System } from "../test/harness/system.ts";
import { round } from "./figures.ts";

export const processes = ["gateway", "node", "nats-server", "api", "coordinator"] as const;
const ticksPerSecond = 100;
const lookMs = 100;

export class Usage {
  readonly pids: Readonly<Record<string, number>>;
  readonly #rssKb: Record<string, number> = {};
  readonly #anonKb: Record<string, number> = {};
  readonly #timer: NodeJS.Timeout;

  constructor(system: System) {
    this.pids = Object.fromEntries(processes.map((name) => [name, system.pid(name)]));
    this.#look();
    this.#timer = setInterval(() => this.#look(), lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** User and system seconds of each process until now. */
  cpuSeconds(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.pids).map(([name, pid]) => [name, cpuSecondsOf(pid)]));
  }

  /** MB, the most each process had until now, as seen ten times a second: all, and its own without mapped files. */
  memory(): { rssPeakMb: Record<string, number>; rssAnonPeakMb: Record<string, number> } {
    this.#look();
    const megabytes = (kb: Record<string, number>) =>
      Object.fromEntries(Object.entries(kb).map(([name, value]) => [name, Math.round(value / 1024)]));
    return { rssPeakMb: megabytes(this.#rssKb), rssAnonPeakMb: megabytes(this.#anonKb) };
  }

  #look(): void {
    for (const [name, pid] of Object.entries(this.pids)) {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const kb = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
      this.#rssKb[name] = Math.max(this.#rssKb[name] ?? 0, kb("VmHWM"));
      this.#anonKb[name] = Math.max(this.#anonKb[name] ?? 0, kb("RssAnon"));
    }
  }
}

/** User and system seconds of a process until now. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** CPU seconds per million points, of each process and of all together. */
export function perMillion(
  before: Record<string, number>,
  after: Record<string, number>,
  points: number,
): Record<string, number> {
  const each = Object.entries(after).map(
    ([name, value]) => [name, (value - (before[name] ?? 0)) / (points / 1e6)] as const,
  );
  const all = each.reduce((sum, [, value]) => sum + value, 0);
  return Object.fromEntries([...each, ["all", all] as const].map(([name, value]) => [name, round(value)]));
}
