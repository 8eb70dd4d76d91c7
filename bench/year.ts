// A year of a store in minutes: the lmdb engine under a steady load, its clock run fast. Upkeep, retention, retire and
// forget go by the simulated time; a part of the series is replaced by new ones each week, a part of the points is late.
//
// Y1. After each simulated month it says how large the store is, how many bytes a series takes, how long commits,
//     finds and reads take, and how much memory the process has.
// Y2. At its end it fails unless the store stayed what the ladder says: once the longest rung is full, the same bytes
//     for the same series, no more points than rungs and open spans hold, and a file that has stopped growing.
//
//   npm run bench -- year [--json] [--series 600] [--days 365] ...
import { parseArgs } from "node:util";
import { longestSpan, type Ladder } from "../src/metric/bucket.ts";
import { fileSystemOf, machine, withFolder } from "./store-place.ts";
import { Shared, type ReaderRan, type ReaderRun, type SizeRan, type WriterRan } from "./store-messages.ts";
import { gridFor, ladderOf } from "./store-reads.ts";
import { tableOf } from "./store-report.ts";
import { ask, Asked, round, space, spread, sumOf, upkeep, type Spread } from "./store-threads.ts";

const daySeconds = 86_400;
const monthSeconds = 30 * daySeconds;
const weekDays = 7;
const startSeconds = 1_790_000_000 - (1_790_000_000 % daySeconds);
const readQueries = 100;
/** What is read: so many series of one shard at a time. */
const readCount = 100;

/** A late point is of the ladder's last days that much earlier. */
const lateDaysMost = 7;

export interface Month {
  month: number;
  fileMb: number;
  usedMb: number;
  /** Without blobs: everything lies in fragments when it is measured. */
  bytesPerSeries: number;
  livingSeries: number;
  /** In the longest rung. */
  points: number;
  /** Since the beginning. */
  committed: number;
  /** Summaries that the rungs hold, by the ladder, and bytes for each. */
  cells: number;
  bytesPerCell: number;
  rssMb: number;
  heapMb: number;
  pointsPerSecond: number;
  commit: Spread;
  tidy: Spread;
  find: Spread;
  reads: Record<string, Spread>;
  retired: number;
}

interface Options {
  shards: number;
  /** Of a shard. */
  series: number;
  stepSeconds: number;
  /** To live. */
  seconds: number;
  ladderText: string;
  ladder: Ladder;
  /** Of a commit. */
  rows: number;
  churnShare: number;
  late: { share: number; secondsMost: number };
  tidySeconds: number;
  /** Of a shard. */
  behindBytesMost: number;
  mapBytes: number;
  json: boolean;
}

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "600" },
      step: { type: "string", default: "60" },
      days: { type: "string", default: "365" },
      ladder: { type: "string", default: "60s:7d,600s:60d,3600s:180d" },
      shards: { type: "string", default: "2" },
      rows: { type: "string", default: "50000" },
      "churn-percent": { type: "string", default: "2" },
      "late-percent": { type: "string", default: "1" },
      "late-hours": { type: "string", default: "48" },
      "tidy-days": { type: "string", default: "1" },
      "behind-mb": { type: "string", default: "256" },
      "map-gb": { type: "string", default: "16" },
      folder: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const shards = Number(values.shards);
  const series = Math.ceil(Number(values.series) / shards);
  const tidyDays = Number(values["tidy-days"]);
  const options: Options = {
    shards,
    series,
    stepSeconds: Number(values.step),
    seconds: Number(values.days) * daySeconds,
    ladderText: values.ladder,
    ladder: ladderOf(values.ladder),
    rows: Number(values.rows),
    churnShare: Number(values["churn-percent"]) / 100,
    late: { share: Number(values["late-percent"]) / 100, secondsMost: Number(values["late-hours"]) * 3600 },
    tidySeconds: tidyDays > 0 ? tidyDays * daySeconds : Number.MAX_SAFE_INTEGER,
    behindBytesMost: (Number(values["behind-mb"]) * 2 ** 20) / shards,
    mapBytes: Number(values["map-gb"]) * 2 ** 30,
    json: values.json,
  };
  await withFolder(values.folder, (folder) => live(folder, options));
}

async function live(folder: string, options: Options): Promise<void> {
  const { shards, series, stepSeconds, seconds, ladder, ladderText, mapBytes } = options;
  const place = { folder, mapBytes, shared: Shared.forShards(shards) };
  const all = Array.from({ length: shards }, (_, shard) => shard);
  const tenants = all.map((shard) => ({ shard, tenant: `read${shard}` }));
  const writers = all.map(
    (shard) => new Asked("store-writer", { ...place, shard, series, readSeries: series, values: "mixed" }),
  );
  const upkeeps = [new Asked("store-upkeep", { ...place, ladder: ladderText, shards: all })];
  const threads = { writers, upkeeps };
  let reader: Asked | undefined;
  const months: Month[] = [];
  let committed = 0;
  for (let month = 1; (month - 1) * monthSeconds < seconds; month++) {
    const untilSeconds = startSeconds + Math.min(seconds, month * monthSeconds);
    const began = performance.now();
    await upkeep(threads, { kind: "start" });
    const ran = await ask<WriterRan>(writers, {
      kind: "run",
      count: series,
      stepSeconds,
      startSeconds,
      untilSeconds,
      pointsMost: Number.MAX_SAFE_INTEGER,
      rows: options.rows,
      commitsPerSecond: 0,
      behindBytesMost: options.behindBytesMost,
      late: options.late,
      churnShare: options.churnShare,
      tidySeconds: options.tidySeconds,
    });
    await upkeep(threads, { kind: "pause" });
    await upkeep(threads, { kind: "drain", all: true });
    const points = sumOf(ran.map((each) => each.points));
    committed += points;
    const pointsPerSecond = Math.round((points * 1000) / (performance.now() - began));
    reader ??= new Asked("store-reader", { ...place, shards });
    const size = await reader.ask<SizeRan>({ kind: "size", tenants });
    const { fileBytes, usedBytes } = await space(threads);
    const ids = await ask<Uint32Array>(writers, { kind: "ids" });
    const cells = cellsHeld(ladder, stepSeconds, untilSeconds - startSeconds) * series * shards;
    const told: Month = {
      month,
      fileMb: round(fileBytes / 2 ** 20),
      usedMb: round(usedBytes / 2 ** 20),
      bytesPerSeries: Math.round(usedBytes / size.series),
      livingSeries: size.series,
      points: size.points,
      committed,
      cells,
      bytesPerCell: round(usedBytes / cells),
      rssMb: Math.round(process.memoryUsage().rss / 2 ** 20),
      heapMb: Math.round(process.memoryUsage().heapUsed / 2 ** 20),
      pointsPerSecond,
      commit: spread(...ran.map(({ commitMs }) => commitMs)),
      tidy: spread(...ran.map(({ tidyMs }) => tidyMs)),
      ...(await readAll(reader, ids, ladder, untilSeconds)),
      retired: sumOf(ran.map(({ retired }) => retired)),
    };
    months.push(told);
    process.stderr.write(`${JSON.stringify(told)}\n`);
  }
  const wrong = judge(months, {
    ladder,
    stepSeconds,
    series: series * shards,
    churnShare: options.churnShare,
  });
  const result = {
    bench: "year",
    series: series * shards,
    stepSeconds,
    days: seconds / daySeconds,
    ladder: ladderText,
    churnPercentPerWeek: options.churnShare * 100,
    latePercent: options.late.share * 100,
    shards,
    months,
    wrong,
    rssPeakMb: Math.round(process.resourceUsage().maxRSS / 1024),
    fileSystem: fileSystemOf(folder),
    machine: machine(),
  };
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(monthTable(months));
  for (const sentence of wrong) process.stderr.write(`wrong: ${sentence}\n`);
  if (wrong.length > 0) process.exitCode = 1;
  for (const thread of [...(reader === undefined ? [] : [reader]), ...upkeeps, ...writers])
    await thread.end();
}

async function readAll(reader: Asked, ids: Uint32Array[], ladder: Ladder, now: number) {
  const query = async (job: Omit<ReaderRun, "kind" | "ids" | "secondsMost" | "queriesMost">) => {
    const bounds = { secondsMost: 2, queriesMost: readQueries };
    return spread((await reader.ask<ReaderRan>({ kind: "read", ids, ...bounds, ...job })).queryMs);
  };
  const find = ids.map((_, shard) => ({ tenant: `read${shard}`, pattern: "servers.*.h1.*" }));
  const nothing = { start: now, stepSeconds: 60, width: 1 };
  const reads: Record<string, Spread> = {};
  for (const [range, backSeconds] of [
    ["1h", 3600],
    ["1d", daySeconds],
    ["30d", 30 * daySeconds],
    ["365d", 365 * daySeconds],
  ] as const)
    reads[range] = await query({ count: readCount, ...gridFor(ladder, now, backSeconds), find: undefined });
  return { reads, find: await query({ count: readCount, ...nothing, find }) };
}

/** Summaries that a series of one point a step has in all rungs after so long: spans still open not counted. */
export function cellsHeld(ladder: Ladder, stepSeconds: number, livedSeconds: number): number {
  let cells = 0;
  for (const rung of ladder.rungs)
    cells += Math.min(livedSeconds, rung.spanSeconds) / Math.max(rung.stepSeconds, stepSeconds);
  return cells;
}

/** Y2. Sentences; none when all is well. */
export function judge(
  months: readonly Pick<Month, "month" | "fileMb" | "usedMb" | "points" | "committed" | "livingSeries">[],
  load: { ladder: Ladder; stepSeconds: number; series: number; churnShare: number },
): string[] {
  const { ladder, stepSeconds, series, churnShare } = load;
  const longest = longestSpan(ladder);
  // A rung is let go of by whole spans, so it holds up to one more.
  const coarsest = ladder.rungs.at(-1)?.stepSeconds ?? 1;
  const slackSeconds = 360 * coarsest + daySeconds;
  const full = months.filter(({ month }) => (month - 1) * monthSeconds >= longest + slackSeconds);
  const first = full[0];
  if (first === undefined || full.length < 3)
    return ["too short a run: the longest rung was not full for three months"];
  const wrong: string[] = [];
  const living = series * (1 + (churnShare * (longest + slackSeconds)) / (weekDays * daySeconds));
  const pointsMost = (series * (longest + slackSeconds)) / stepSeconds;
  for (const { month, points, committed } of months)
    if (month * monthSeconds + daySeconds * lateDaysMost <= longest && points !== committed)
      wrong.push(
        `month ${month}: ${points} points of ${committed} that were committed and are still to be held`,
      );
  for (const { month, usedMb, points, livingSeries } of full) {
    if (Math.abs(usedMb / first.usedMb - 1) > 0.1)
      wrong.push(`month ${month}: ${usedMb} MB used, ${first.usedMb} in month ${first.month}`);
    if (points > pointsMost)
      wrong.push(`month ${month}: ${points} points, the ladder holds ${pointsMost} at most`);
    if (points < (series * longest * 0.98) / stepSeconds)
      wrong.push(`month ${month}: ${points} points, fewer than the ladder promises`);
    if (livingSeries > living * 1.05 || livingSeries < series)
      wrong.push(`month ${month}: ${livingSeries} series live, ${Math.round(living)} may`);
  }
  const [before, last] = [months.at(-4), months.at(-1)];
  if (before !== undefined && last !== undefined && last.fileMb > before.fileMb * 1.1)
    wrong.push(`the file grew to ${last.fileMb} MB from ${before.fileMb} three months before`);
  return wrong;
}

function monthTable(months: readonly Month[]): string {
  const rows = months.map((each) => {
    const read = (range: string) => `${each.reads[range]?.p50Ms} / ${each.reads[range]?.p99Ms}`;
    const { month, fileMb, usedMb, livingSeries, bytesPerSeries, bytesPerCell, rssMb, commit, find } = each;
    const sizes = [month, fileMb, usedMb, livingSeries, bytesPerSeries, bytesPerCell, rssMb];
    return [
      ...sizes,
      commit.p99Ms,
      `${find.p50Ms} / ${find.p99Ms}`,
      ...["1h", "1d", "30d", "365d"].map(read),
    ];
  });
  const head =
    "month|file MB|used MB|living series|bytes a series|bytes a cell|RSS MB|commit p99 ms|find p50/p99 ms|1 h|1 d|30 d|365 d";
  return tableOf(head.split("|"), rows);
}
