// The lmdb engine alone, measured: no network, no record, no parsing. Threads as in the product: a writer per shard,
// upkeep and reading on threads of their own, a sync per commit.
//
// Simulated time runs as fast as the store takes points, so upkeep sees days pass in seconds; points, commits, steps
// and reads are all real. CPU seconds are the process's own over all threads, without what making the points costs.
//
//   npm run bench -- store [--json] [--series 100000] [--points 60000000] [--values mixed|random] ...
import { parseArgs } from "node:util";
import type { SpaceUsed } from "../src/store/environment.ts";
import { loadCpuSeconds, type ValueKind, valueKinds } from "./store-load.ts";
import { Shared, type ReaderRan, type ReaderRun, type WriterRan, type WriterRun } from "./store-messages.ts";
import { fileSystemOf, machine, withFolder } from "./store-place.ts";
import { reads, type ReadsFigure } from "./store-reads.ts";
import { commitTable, readsTable, stretchTable, upkeepTable, type StretchFigures } from "./store-report.ts";
import { ask, Asked, round, space, spread, sumOf, upkeep, type UpkeepFigures } from "./store-threads.ts";

export const defaultLadder = "10s:2d,60s:30d,600s:2y";
const daySeconds = 86_400;
const nowSeconds = 1_790_000_000;
const dense = 10;
const sparse = 600;
const liveCommits = 5;
const unbounded = Number.MAX_SAFE_INTEGER;

interface Options {
  kind: ValueKind;
  shards: number;
  /** Of a shard. */
  series: number;
  /** Of a shard: the first of its series. */
  readSeries: number;
  ladder: string;
  mapBytes: number;
  upkeepThreads: number;
  /** Of a commit. */
  rows: number;
  points: number;
  quietPoints: number;
  /** Of a shard. */
  behindBytesMost: number;
  historyDays: number;
  /** Points per second. */
  liveRate: number;
  liveSeconds: number;
  readSeconds: number;
  json: boolean;
}

interface Bench {
  shards: number;
  writers: Asked[];
  upkeeps: Asked[];
  reader: () => Asked;
}

const commonRun = { kind: "run", pointsMost: Number.POSITIVE_INFINITY, commitsPerSecond: 0 } as const;

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      series: { type: "string", default: "100000" },
      points: { type: "string", default: "60000000" },
      "quiet-points": { type: "string", default: "4000000" },
      values: { type: "string", default: "mixed" },
      ladder: { type: "string", default: defaultLadder },
      shards: { type: "string", default: "4" },
      "upkeep-threads": { type: "string", default: "1" },
      rows: { type: "string", default: "100000" },
      "behind-mb": { type: "string", default: "512" },
      "read-series": { type: "string", default: "8000" },
      "history-days": { type: "string", default: "30" },
      "live-rate": { type: "string", default: "100000" },
      "live-seconds": { type: "string", default: "20" },
      "read-seconds": { type: "string", default: "5" },
      "map-gb": { type: "string", default: "16" },
      "no-upkeep": { type: "boolean", default: false },
      folder: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const kind = valueKinds.find((each) => each === values.values);
  if (kind === undefined) throw new Error(`--values is one of ${valueKinds.join(", ")}`);
  const shards = Number(values.shards);
  const series = Math.ceil(Number(values.series) / shards);
  const hasUpkeep = !values["no-upkeep"];
  const options: Options = {
    kind,
    shards,
    series,
    readSeries: Math.min(series, Math.ceil(Number(values["read-series"]) / shards)),
    ladder: values.ladder,
    mapBytes: Number(values["map-gb"]) * 2 ** 30,
    upkeepThreads: hasUpkeep ? Number(values["upkeep-threads"]) : 0,
    rows: Number(values.rows),
    points: Number(values.points),
    quietPoints: Number(values["quiet-points"]),
    behindBytesMost: hasUpkeep ? (Number(values["behind-mb"]) * 2 ** 20) / shards : unbounded,
    historyDays: Number(values["history-days"]),
    liveRate: Number(values["live-rate"]),
    liveSeconds: Number(values["live-seconds"]),
    readSeconds: Number(values["read-seconds"]),
    json: values.json,
  };
  await withFolder(values.folder, (folder) => measure(folder, options));
}

async function measure(folder: string, options: Options): Promise<void> {
  const { kind, shards, series, readSeries, ladder, rows, behindBytesMost, historyDays, liveRate } = options;
  const bench = open(folder, options);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const loadSeconds = loadCpuSeconds(kind);
  const write = (job: Omit<WriterRun, "kind">) => ask<WriterRan>(bench.writers, { ...job, kind: "run" });

  say(
    `history: ${historyDays} days at ${sparse} s, the last at ${dense} s, of ${readSeries * shards} series`,
  );
  const common = { ...commonRun, rows, behindBytesMost };
  const begin = nowSeconds - historyDays * daySeconds;
  const dayBefore = Math.max(begin, nowSeconds - daySeconds);
  const history: StretchFigures[] = [];
  for (const part of [
    { stepSeconds: sparse, startSeconds: begin, untilSeconds: dayBefore },
    { stepSeconds: dense, startSeconds: dayBefore, untilSeconds: nowSeconds },
  ].filter(({ startSeconds, untilSeconds }) => startSeconds < untilSeconds))
    history.push(
      (await stretch(bench, loadSeconds, () => write({ ...common, ...part, count: readSeries }))).figures,
    );

  say(`names of ${series * shards} series`);
  const flow = { ...common, count: series, stepSeconds: dense, startSeconds: nowSeconds };
  const untilSeconds = nowSeconds + 10 * 365 * daySeconds;
  const names = await write({ ...flow, untilSeconds, pointsMost: series, behindBytesMost: unbounded });

  say("commits without upkeep");
  const quiet = await write({
    ...flow,
    untilSeconds,
    pointsMost: options.quietPoints / shards,
    behindBytesMost: unbounded,
  });
  await upkeep(bench, { kind: "drain", all: true });

  say(`fill: ${options.points} points as fast as the store takes them, upkeep beside them`);
  const pointsMost = options.points / shards;
  const fill = await stretch(bench, loadSeconds, () => write({ ...flow, untilSeconds, pointsMost }));

  const liveRows = Math.ceil(liveRate / liveCommits / shards);
  const live = (seconds: number) =>
    write({
      ...flow,
      untilSeconds,
      rows: liveRows,
      commitsPerSecond: liveCommits,
      pointsMost: liveRows * liveCommits * seconds,
      behindBytesMost: unbounded,
    });
  say(`live: ${liveRate} points/s in ${liveCommits} commits a second and shard`);
  await upkeep(bench, { kind: "start" });
  const calm = await live(options.liveSeconds);
  say("reads beside the same");
  const ids = await ask<Uint32Array>(bench.writers, { kind: "ids" });
  const figures: ReadsFigure[] = [];
  let reading = true;
  const readBeside = async () => {
    const now = Math.max(...calm.map(({ endSeconds }) => endSeconds));
    const query = (job: Omit<ReaderRun, "kind" | "ids">) =>
      bench.reader().ask<ReaderRan>({ ...job, ids, kind: "read" });
    for await (const figure of reads(query, { ...options, now })) {
      say(JSON.stringify(figure));
      figures.push(figure);
    }
    reading = false;
  };
  const busy: WriterRan[] = [];
  const writeBeside = async () => {
    while (reading) busy.push(...(await live(1)));
  };
  await Promise.all([readBeside(), writeBeside()]);
  const liveUpkeep = await upkeep(bench, { kind: "pause" });

  const ofCommits = (ran: readonly WriterRan[]) => spread(...ran.map(({ commitMs }) => commitMs));
  const result = {
    bench: "store",
    series: series * shards,
    values: kind,
    ladder,
    shards,
    upkeepThreads: options.upkeepThreads,
    rowsPerCommit: rows,
    names: { series: sumOf(names.map(({ points }) => points)), commit: ofCommits(names) },
    commitWithoutUpkeep: ofCommits(quiet),
    fill: { ...fill.figures, ...fill.upkeep },
    history,
    live: {
      pointsPerSecond: liveRate,
      rowsPerCommit: liveRows,
      commit: ofCommits(calm),
      commitBesideReads: ofCommits(busy),
      steps: liveUpkeep.steps,
    },
    reads: figures,
    loadCpuSecondsPerMillion: round(loadSeconds * 1e6),
    rssPeakMb: Math.round(process.resourceUsage().maxRSS / 1024),
    fileSystem: fileSystemOf(folder),
    machine: machine(),
  };
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    process.stdout.write(
      [
        stretchTable({
          "history, sparse": history.at(-2),
          "history, dense": history.at(-1),
          fill: fill.figures,
        }),
        commitTable({
          names: result.names.commit,
          "without upkeep": result.commitWithoutUpkeep,
          fill: fill.figures.commit,
          live: result.live.commit,
          "live, beside reads": result.live.commitBesideReads,
        }),
        upkeepTable("fill", fill.upkeep.beside),
        upkeepTable("live", liveUpkeep),
        readsTable(figures),
      ].join("\n"),
    );
  for (const thread of [bench.reader(), ...bench.upkeeps, ...bench.writers]) await thread.end();
}

function open(folder: string, options: Options): Bench {
  const { shards, series, readSeries, upkeepThreads, ladder, mapBytes, kind } = options;
  const place = { folder, mapBytes, shared: Shared.forShards(shards) };
  const all = Array.from({ length: shards }, (_, shard) => shard);
  let reader: Asked | undefined;
  return {
    shards,
    writers: all.map(
      (shard) => new Asked("store-writer", { ...place, shard, series, readSeries, values: kind }),
    ),
    upkeeps: Array.from({ length: upkeepThreads }, (_, thread) => {
      const own = all.filter((shard) => shard % upkeepThreads === thread);
      return new Asked("store-upkeep", { ...place, ladder, shards: own });
    }),
    // Opens what the writers have made by then.
    reader: () => (reader ??= new Asked("store-reader", { ...place, shards })),
  };
}

/** Commits with upkeep beside them, until upkeep has caught up; then everything into fragments, to see its size. */
async function stretch(
  bench: Bench,
  loadSeconds: number,
  write: () => Promise<WriterRan[]>,
): Promise<{ upkeep: { beside: UpkeepFigures; rest: UpkeepFigures }; figures: StretchFigures }> {
  const before = await space(bench);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await upkeep(bench, { kind: "start" });
  const ran = await write();
  const committedMs = performance.now() - started;
  const beside = await upkeep(bench, { kind: "pause" });
  const withBlobs = await space(bench);
  const rest = await upkeep(bench, { kind: "drain", all: false });
  const caughtUp = timesSince(started, cpuBefore);
  const points = sumOf(ran.map((each) => each.points));
  await upkeep(bench, { kind: "drain", all: true });
  const all = timesSince(started, cpuBefore);
  const after = await space(bench);
  const perMillion = (cpuSeconds: number) => round((cpuSeconds / points - loadSeconds) * 1e6);
  const perPoint = ({ usedBytes }: SpaceUsed) => round((usedBytes - before.usedBytes) / points);
  return {
    upkeep: { beside, rest },
    figures: {
      points,
      pointsPerSecond: Math.round(points / caughtUp.seconds),
      pointsPerSecondAll: Math.round(points / all.seconds),
      leftInBlobsMb: rest.backlogMb,
      seconds: round(caughtUp.seconds),
      commitSeconds: round(committedMs / 1000),
      waitedSeconds: round(sumOf(ran.map(({ waitedMs }) => waitedMs)) / 1000 / bench.shards),
      cpuSecondsPerMillion: perMillion(caughtUp.cpuSeconds),
      cpuSecondsPerMillionAll: perMillion(all.cpuSeconds),
      bytesPerPoint: perPoint(after),
      bytesPerPointWithBlobs: perPoint(withBlobs),
      fileMb: round(after.fileBytes / 2 ** 20),
      commit: spread(...ran.map(({ commitMs }) => commitMs)),
    },
  };
}

function timesSince(started: number, cpuBefore: NodeJS.CpuUsage) {
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
}
