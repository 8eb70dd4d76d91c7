// Which reads the store's bench measures: how many series, how far back, at which step; found by name or by id.
import { parseLadder, type Ladder } from "../src/metric/bucket.ts";
import { gridOf, pickRung } from "../src/graphite/range.ts";
import type { ReaderRan, ReaderRun } from "./store-messages.ts";
import { spread, type Spread } from "./store-threads.ts";

const hourSeconds = 3600;
const daySeconds = 86_400;
/** Larger answers than this the api refuses, and they would measure the allocator. */
const cellsMost = 25_000_000;
const queriesMost = 2000;

export interface ReadsFigure extends Spread {
  series: number;
  range: string;
  stepSeconds: number;
  how: "fetch" | "find+fetch";
  /** Of the cells asked for, held something; %. */
  filledPercent: number;
}

type Query = (job: Omit<ReaderRun, "kind" | "ids">) => Promise<ReaderRan>;

export function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  if (parsed.kind === "invalid") throw new Error(`--ladder: ${parsed.why}`);
  return parsed.ladder;
}

/** The grid that /render would take for the last so many seconds, or one of a step. */
export function gridFor(ladder: Ladder, now: number, backSeconds: number, stepSeconds?: number) {
  const from = now - backSeconds;
  const step = stepSeconds ?? pickRung(ladder, from, now).stepSeconds;
  return gridOf({ from, until: now }, step);
}

export async function* reads(
  query: Query,
  options: { shards: number; now: number; historyDays: number; readSeconds: number; ladder: string },
): AsyncGenerator<ReadsFigure> {
  const { shards, now, historyDays, readSeconds } = options;
  const ladder = ladderOf(options.ladder);
  // A little more than the finer rung's span, so that /render takes the next one.
  const month = historyDays * daySeconds + hourSeconds;
  const ranges = [
    { range: "1h", ...gridFor(ladder, now, hourSeconds) },
    { range: "1d", ...gridFor(ladder, now, daySeconds, 60) },
    { range: "1d", ...gridFor(ladder, now, daySeconds) },
    { range: `${historyDays}d`, ...gridFor(ladder, now, month) },
  ];
  const patterns = new Map([
    [1, "servers.a.h0.requests-latency-7"],
    [100, "servers.a.h1.*"],
    [5000, "servers.a.*.*"],
  ]);
  for (const [count, pattern] of patterns)
    for (const { range, ...grid } of ranges) {
      if (count * grid.width > cellsMost) continue;
      for (const how of ["fetch", "find+fetch"] as const) {
        const found = Array.from({ length: shards }, (_, shard) => ({ tenant: `read${shard}`, pattern }));
        const find = how === "fetch" ? undefined : found;
        const ran = await query({ count, ...grid, find, secondsMost: readSeconds, queriesMost });
        const filledPercent = Math.round(100 * ran.filled);
        const { stepSeconds } = grid;
        yield { series: ran.series, range, stepSeconds, how, filledPercent, ...spread(ran.queryMs) };
      }
    }
}
