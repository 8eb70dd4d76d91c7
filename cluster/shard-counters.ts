// What an actor says of itself, as counters and gauges of its node, and the points a second of a moment.
import type { Counters } from "../src/base/counters.ts";
import type { ShardProgress } from "../workers/messages.ts";

const counted = {
  points: "Points committed or about to be",
  frames: "Frames read",
  commits: "Commits",
  rows: "Rows committed",
  duplicates: "Frames skipped because they were applied before",
  refused: "Lines refused by the actor",
  dead: "Dead letters",
  holes: "Frames that the record lost",
  trimmed: "Frames trimmed from the record",
} as const;

const gauged = {
  offset: "Last sequence committed",
  read: "Last sequence read",
  epoch: "Epoch of the ownership",
  series: "Series in the actor's table",
  commitMs: "Duration of the last commit, ms",
} as const;

/** An actor counts from 0 in each life; the node's counters only grow. */
export function publishProgress(
  counters: Counters,
  shard: number,
  now: ShardProgress,
  before: ShardProgress | undefined,
): void {
  for (const name of Object.keys(counted) as (keyof typeof counted)[])
    counters.counter(`shard_${name}_total`, counted[name], { shard }).value += grown(
      now[name],
      before?.[name],
    );
  for (const name of Object.keys(gauged) as (keyof typeof gauged)[])
    counters.gauge(`shard_${name}`, gauged[name], { shard }).value = now[name];
}

/** Since then; a lower number is a new life's. */
export function grown(now: number, before = 0): number {
  return now >= before ? now - before : now;
}

/** Points a second over the last few seconds. */
export class PointRate {
  #points = 0;
  #sinceMs: number;
  #perSecond = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  add(points: number, nowMs: number): void {
    this.#points += points;
    this.at(nowMs);
  }

  at(nowMs: number): number {
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs >= rateOverMs) {
      this.#perSecond = (this.#points * 1000) / tookMs;
      this.#points = 0;
      this.#sinceMs = nowMs;
    }
    return Math.round(this.#perSecond);
  }
}

const rateOverMs = 2000;
