// The kernel alone, beside its plain twin: no network, no record, no store. One thread; what is said is points per CPU
// second, of the whole process.
//
//   npm run bench -- aggregate [--json] [--points 2000000] [--rounds 3] [--only 10k,5M]
//
// Candidates take turns within each round, so that what else the machine does hits both; the middle round counts. A
// commit comes every 500,000 points. Series are known when the clock starts; what it costs to get to know them is
// measured apart. The last line is one JSON object; bench/README.md says what its fields mean.
import { parseArgs } from "node:util";
import type { Aggregator, Router } from "../src/kernel/kernel.ts";
import { aggregators, candidates, createFloor, routers, type Candidate } from "./kernel-candidates.ts";
import { frames, type Frame, type Workload } from "./kernel-lines.ts";
import { measureMemory } from "./kernel-memory.ts";
import { middle, round } from "./figures.ts";
import { machine } from "./store-place.ts";

const commitPoints = 500_000;
/** From so many series on, what it costs to get to know them is more than the compiler's warming up. */
const many = 100_000;

const workloads: Record<string, Workload> = {
  "10k": { series: 10_000, order: "turn" },
  "10kLate": { series: 10_000, order: "turn", late: 0.05 },
  "10kRandom": { series: 10_000, order: "random" },
  "10kClocks": { series: 10_000, order: "random", clocks: true },
  "500k": { series: 500_000, order: "random" },
  "5M": { series: 5_000_000, order: "random" },
};
const routed: Record<string, Workload> = {
  "10k": { series: 10_000, order: "turn", keyed: true },
  "500k": { series: 500_000, order: "random", keyed: true },
};
/** Rows open before a commit: few, so that what is left is the series' own. */
const fewRows = 50_000;

type Figures = Partial<Record<Candidate, number>>;

export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      json: { type: "boolean", default: false },
      points: { type: "string", default: "2000000" },
      rounds: { type: "string", default: "3" },
      only: { type: "string", default: Object.keys(workloads).join() },
    },
  });
  const points = Number(values.points);
  const rounds = Number(values.rounds);
  const only = values.only.split(",");
  const chosen = (all: Record<string, Workload>) =>
    Object.entries(all).filter(([name]) => only.includes(name));
  const say = (text: string) => {
    if (!values.json) console.log(text);
  };

  const router: Record<string, object> = {};
  for (const [name, workload] of chosen(routed)) {
    const perSecond = benchRouters(workload, Math.min(points, 1_000_000), rounds);
    router[name] = perSecond;
    say(`router ${name}: ${inWords(perSecond)}`);
  }
  const aggregator: Record<string, object> = {};
  for (const [name, workload] of chosen(workloads)) {
    const { perSecond, ...rest } = benchAggregators(workload, points, rounds);
    aggregator[name] = { ...perSecond, ...rest };
    say(`aggregator ${name}: ${inWords(perSecond)}, ${JSON.stringify(rest)}`);
  }
  const bytesPerSeries: Record<string, Figures> = {};
  const bytesPerOpenRow: Figures = {};
  for (const [name, { series }] of chosen(workloads).filter(([, workload]) => workload.series >= many)) {
    const figures: Figures = {};
    for (const candidate of candidates) {
      const few = await measureMemory({ candidate, series, commitPoints: fewRows });
      figures[candidate] = Math.round(few / series);
      if (bytesPerOpenRow[candidate] !== undefined) continue;
      const more = await measureMemory({ candidate, series, commitPoints });
      bytesPerOpenRow[candidate] = Math.round((more - few) / (commitPoints - fewRows));
    }
    bytesPerSeries[name] = figures;
    say(`bytes per series ${name}: ${JSON.stringify(figures)}`);
  }
  const memory = { bytesPerSeries, bytesPerOpenRow };
  console.log(
    JSON.stringify({ bench: "aggregate", points, rounds, router, aggregator, ...memory, machine: machine() }),
  );
}

function inWords(figures: Record<string, number>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toLocaleString("en")}`)
    .join(", ");
}

/** Points per CPU second of each, the ratio of the two, and what part of the floor's speed the kernel reaches. */
function compare(turns: Record<string, () => number>, rounds: number): Record<string, number> {
  const taken: Record<string, number[]> = {};
  const parts: Record<string, number[]> = {};
  for (let i = 0; i < rounds; i++) {
    const now: Record<string, number> = {};
    for (const [name, turn] of Object.entries(turns)) {
      const before = cpuSeconds();
      const lines = turn();
      now[name] = lines / (cpuSeconds() - before);
    }
    for (const [name, value] of Object.entries(now)) (taken[name] ??= []).push(value);
    const { plain, kernel, floor } = now;
    if (kernel === undefined || plain === undefined || floor === undefined) continue;
    (parts["kernelToPlain"] ??= []).push(kernel / plain);
    (parts["floorToKernel"] ??= []).push(floor / kernel);
  }
  return Object.fromEntries([
    ...Object.entries(taken).map(([name, values]) => [name, Math.round(middle(values))]),
    ...Object.entries(parts).map(([name, values]) => [name, round(middle(values), 2)]),
  ]);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** A scan is quick: often enough that the clock has something to tell. */
const floorTurns = 10;

function floorTurn(all: readonly Frame[]): () => number {
  const scan = createFloor(all);
  const wanted = all.reduce((sum, frame) => sum + frame.lines, 0);
  if (scan() !== wanted) throw new Error("the floor has missed lines");
  return () => {
    let lines = 0;
    for (let i = 0; i < floorTurns; i++) lines += scan();
    return lines;
  };
}

function benchRouters(workload: Workload, points: number, rounds: number): Record<string, number> {
  const all = [...frames(workload, points)];
  const turns: Record<string, () => number> = {};
  for (const candidate of candidates) {
    const router = routers[candidate]();
    route(router, all);
    turns[candidate] = () => route(router, all);
  }
  turns["floor"] = floorTurn(all);
  return compare(turns, rounds);
}

function route(router: Router, all: readonly Frame[]): number {
  let rows = 0;
  for (const { bytes } of all)
    for (let at = 0; at < bytes.length; at = router.lines.consumed) {
      router.route(bytes, at, bytes.length, { keyed: true, last: true });
      rows += router.lines.count;
    }
  return rows;
}

interface AggregatorFigures {
  perSecond: Record<string, number>;
  /** Points per CPU second while every series is new, and the longest 256 KB frame meanwhile, ms; of many series. */
  cold?: Figures;
  longestFrameMs?: Figures;
  /** JavaScript objects made, bytes per million points. */
  garbagePerMillion: Figures;
}

function benchAggregators(workload: Workload, points: number, rounds: number): AggregatorFigures {
  const all = [...frames(workload, points)];
  const cold: Figures = {};
  const longestFrameMs: Figures = {};
  const garbagePerMillion: Figures = {};
  const turns: Record<string, () => number> = {};
  const made = candidates.map((candidate) => ({ candidate, aggregator: aggregators[candidate]() }));
  for (const { candidate, aggregator } of made) {
    const { perSecond, longestMs } = learn(aggregator, workload.series);
    cold[candidate] = Math.round(perSecond);
    longestFrameMs[candidate] = round(longestMs, 1);
    feed(aggregator, all);
    turns[candidate] = () => feed(aggregator, all);
  }
  const perSecond = compare({ ...turns, floor: floorTurn(all) }, rounds);
  for (const { candidate, aggregator } of made)
    garbagePerMillion[candidate] = Math.round(garbage(aggregator, all) / (points / 1e6));
  const isMany = workload.series >= many;
  return { perSecond, garbagePerMillion, ...(isMany ? { cold, longestFrameMs } : {}) };
}

function refuse(reason: number): never {
  throw new Error(`a line was refused with reason ${reason}`);
}

/** Every series once. Making the lines is not counted. */
function learn(aggregator: Aggregator, series: number): { perSecond: number; longestMs: number } {
  let seconds = 0;
  let longestMs = 0;
  let sinceCommit = 0;
  for (const { bytes, receivedAtMs } of frames({ series, order: "turn" }, series)) {
    const started = performance.now();
    const before = cpuSeconds();
    sinceCommit += aggregator.ingest(1, bytes, receivedAtMs, refuse);
    if (sinceCommit >= commitPoints) {
      aggregator.commit();
      sinceCommit = 0;
    }
    seconds += cpuSeconds() - before;
    longestMs = Math.max(longestMs, performance.now() - started);
  }
  aggregator.commit();
  return { perSecond: series / seconds, longestMs };
}

function feed(aggregator: Aggregator, all: readonly Frame[]): number {
  let points = 0;
  let committed = 0;
  for (const { bytes, receivedAtMs } of all) {
    points += aggregator.ingest(1, bytes, receivedAtMs, refuse);
    if (points - committed < commitPoints) continue;
    aggregator.commit();
    committed = points;
  }
  aggregator.commit();
  return points;
}

/**
 * Bytes of objects that feeding makes. The heap is looked at after each frame; a look's own objects are taken off, and a
 * frame within which garbage was collected is left out.
 */
function garbage(aggregator: Aggregator, all: readonly Frame[]): number {
  let ignored = 0;
  const own = middle(Array.from({ length: 50 }, () => grown(() => ignored++)));
  let bytes = 0;
  let sinceCommit = 0;
  for (const frame of all) {
    const more = grown(() => {
      sinceCommit += aggregator.ingest(1, frame.bytes, frame.receivedAtMs, refuse);
      if (sinceCommit < commitPoints) return;
      aggregator.commit();
      sinceCommit = 0;
    });
    bytes += Math.max(0, more - own);
  }
  return bytes;
}

function grown(action: () => void): number {
  const before = process.memoryUsage().heapUsed;
  action();
  return process.memoryUsage().heapUsed - before;
}
