// The lmdb engine alone, measured: no network, no record, no parsing. Threads as in the product: a writer per shard,
// upkeep and reading on threads of their own, a sync per commit.
//
// Simulated time runs as fast as the store takes points, so upkeep sees days pass in seconds; points, commits, steps
// and reads are all real. CPU seconds are the process's own over all threads, without what making the points costs.
//
//   npm run bench -- store [--json] [--series 100000] [--points 60000000] [--values mixed|random] ...
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { arch, cpus, platform, release, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { SpaceUsed } from "../src/store/environment.ts";
import { loadCpuSeconds, type ValueKind, valueKinds } from "./store-load.ts";
import { Shared, type ReaderRan, type ReaderRun, type WriterRan, type WriterRun } from "./store-messages.ts";
import { reads, type ReadsFigure } from "./store-reads.ts";
import { ask, Asked, round, space, spread, sumOf, upkeep } from "./store-threads.ts";

export const defaultLadder = "10s:2d,60s:30d,600s:2y";
const daySeconds = 86_400;
const nowSeconds = 1_790_000_000;
const dense = 10;
const sparse = 600;
const liveCommits = 5;
const unbounded = Number.MAX_SAFE_INTEGER;

export interface Bench {
  shards: number;
  series: number;
  readSeries: number;
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
  const readSeries = Math.min(series, Math.ceil(Number(values["read-series"]) / shards));
  const rows = Number(values.rows);
  const hasUpkeep = !values["no-upkeep"];
  const behindBytesMost = hasUpkeep ? (Number(values["behind-mb"]) * 2 ** 20) / shards : unbounded;
  const historyDays = Number(values["history-days"]);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  if (values.folder !== undefined) mkdirSync(values.folder, { recursive: true });
  const folder = mkdtempSync(join(resolve(values.folder ?? tmpdir()), "millrace-bench-"));
  const bench = open(folder, Number(values["map-gb"]) * 2 ** 30, values.ladder, kind, hasUpkeep, {
    shards,
    series,
    readSeries,
    upkeepThreads: Number(values["upkeep-threads"]),
  });
  try {
    const loadSeconds = loadCpuSeconds(kind);
    const write = (job: Omit<WriterRun, "kind">) => ask<WriterRan>(bench.writers, { ...job, kind: "run" });

    say(
      `history: ${historyDays} days at ${sparse} s, the last at ${dense} s, of ${readSeries * shards} series`,
    );
    const common = { ...commonRun, rows, behindBytesMost };
    const begin = nowSeconds - historyDays * daySeconds;
    const dayBefore = Math.max(begin, nowSeconds - daySeconds);
    const history = [];
    for (const part of [
      { stepSeconds: sparse, startSeconds: begin, untilSeconds: dayBefore },
      { stepSeconds: dense, startSeconds: dayBefore, untilSeconds: nowSeconds },
    ])
      history.push(await stretch(bench, loadSeconds, () => write({ ...common, ...part, count: readSeries })));

    say(`names of ${series * shards} series`);
    const flow = { ...common, count: series, stepSeconds: dense, startSeconds: nowSeconds };
    const untilSeconds = nowSeconds + 10 * 365 * daySeconds;
    const names = await write({ ...flow, untilSeconds, pointsMost: series, behindBytesMost: unbounded });

    say("commits without upkeep");
    const quiet = await write({
      ...flow,
      untilSeconds,
      pointsMost: Number(values["quiet-points"]) / shards,
      behindBytesMost: unbounded,
    });
    await upkeep(bench, { kind: "drain", all: true });

    say(`fill: ${values.points} points as fast as the store takes them, upkeep beside them`);
    const pointsMost = Number(values.points) / shards;
    const fill = await stretch(bench, loadSeconds, () => write({ ...flow, untilSeconds, pointsMost }));

    const liveRate = Number(values["live-rate"]);
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
    const calm = await live(Number(values["live-seconds"]));
    say("reads beside the same");
    const ids = await ask<Uint32Array>(bench.writers, { kind: "ids" });
    const figures: ReadsFigure[] = [];
    const readSeconds = Number(values["read-seconds"]);
    let reading = true;
    const readBeside = async () => {
      const now = Math.max(...calm.map(({ endSeconds }) => endSeconds));
      const query = (job: Omit<ReaderRun, "kind" | "ids">) =>
        bench.reader().ask<ReaderRan>({ ...job, ids, kind: "read" });
      for await (const figure of reads(query, {
        shards,
        now,
        historyDays,
        readSeconds,
        ladder: values.ladder,
      })) {
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
      ladder: values.ladder,
      shards,
      upkeepThreads: Number(values["upkeep-threads"]),
      rowsPerCommit: rows,
      names: { series: sumOf(names.map(({ points }) => points)), commit: ofCommits(names) },
      commitWithoutUpkeep: ofCommits(quiet),
      fill: { ...fill.figures, ...fill.upkeep },
      history: history.map(({ figures: each }) => each),
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
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else console.dir(result, { depth: 6 });
  } finally {
    try {
      for (const thread of [bench.reader(), ...bench.upkeeps, ...bench.writers]) await thread.end();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function open(
  folder: string,
  mapBytes: number,
  ladder: string,
  values: ValueKind,
  hasUpkeep: boolean,
  sizes: { shards: number; series: number; readSeries: number; upkeepThreads: number },
): Bench {
  const { shards, series, readSeries, upkeepThreads } = sizes;
  const place = { folder, mapBytes, shared: Shared.forShards(shards) };
  const all = Array.from({ length: shards }, (_, shard) => shard);
  let reader: Asked | undefined;
  return {
    shards,
    series,
    readSeries,
    writers: all.map((shard) => new Asked("store-writer", { ...place, shard, series, readSeries, values })),
    upkeeps: Array.from({ length: hasUpkeep ? upkeepThreads : 0 }, (_, thread) => {
      const own = all.filter((shard) => shard % upkeepThreads === thread);
      return new Asked("store-upkeep", { ...place, ladder, shards: own });
    }),
    // Opens what the writers have made by then.
    reader: () => (reader ??= new Asked("store-reader", { ...place, shards })),
  };
}

/** Commits with upkeep beside them, until upkeep has caught up; then everything into fragments, to see its size. */
async function stretch(bench: Bench, loadSeconds: number, write: () => Promise<WriterRan[]>) {
  const before = await space(bench);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await upkeep(bench, { kind: "start" });
  const ran = await write();
  const committedMs = performance.now() - started;
  const beside = await upkeep(bench, { kind: "pause" });
  const withBlobs = await space(bench);
  const rest = await upkeep(bench, { kind: "drain", all: false });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const points = sumOf(ran.map((each) => each.points));
  await upkeep(bench, { kind: "drain", all: true });
  const after = await space(bench);
  const perPoint = ({ usedBytes }: SpaceUsed) => round((usedBytes - before.usedBytes) / points);
  return {
    upkeep: { beside, rest },
    figures: {
      points,
      pointsPerSecond: Math.round(points / seconds),
      seconds: round(seconds),
      commitSeconds: round(committedMs / 1000),
      waitedSeconds: round(sumOf(ran.map(({ waitedMs }) => waitedMs)) / 1000 / bench.shards),
      cpuSecondsPerMillion: round(((user + system) / 1e6 / points - loadSeconds) * 1e6),
      bytesPerPoint: perPoint(after),
      bytesPerPointWithBlobs: perPoint(withBlobs),
      fileMb: round(after.fileBytes / 2 ** 20),
      commit: spread(...ran.map(({ commitMs }) => commitMs)),
    },
  };
}

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? "",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

/** What the folder lies on, as the kernel says it; unknown elsewhere than on Linux. */
export function fileSystemOf(folder: string): string {
  try {
    const mounts = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, at = "/"]) => at === "/" || folder === at || folder.startsWith(`${at}/`))
      .sort(([, a = ""], [, b = ""]) => b.length - a.length);
    return mounts[0]?.[2] ?? "unknown";
  } catch {
    return "unknown";
  }
}
