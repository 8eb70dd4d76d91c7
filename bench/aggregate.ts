// Points per CPU second of the kernel alone: no network, no record, no store. One core, one thread.
//
//   npm run bench -- aggregate [--json] [--points 2000000]
//
// Workload: lines of about 73 bytes in frames of 256 KB; series in turn (10k) and in random order (500k); a commit
// every 500,000 points. The last line is one JSON object with points per CPU second.
import { parseArgs } from "node:util";
import { seededRandom } from "../src/base/random.ts";
import { createPlainAggregator } from "../src/kernel/plain-aggregator.ts";
import { createPlainRouter } from "../src/kernel/plain-router.ts";
import type { Aggregator } from "../src/kernel/kernel.ts";

const frameBytes = 256 << 10;
const commitPoints = 500_000;
const key = "0123456789abcdef0123456789abcdef01234567";
const receivedAtMs = 1_790_000_000_000;

interface Workload {
  series: number;
  order: "turn" | "random";
  keyed: boolean;
  /** Part of the points that are 1 to 30 steps late. */
  late?: number;
}

/** Frames of whole lines, and how many lines there are. */
function makeFrames(workload: Workload, points: number): Uint8Array[] {
  const random = seededRandom(1);
  const frames: Uint8Array[] = [];
  let lines: string[] = [];
  let bytes = 0;
  for (let i = 0; i < points; i++) {
    const series = workload.order === "turn" ? i % workload.series : random.below(workload.series);
    const late = random.next() < (workload.late ?? 0) ? 10 * (1 + random.below(30)) : 0;
    const seconds = Math.floor(receivedAtMs / 1000) - late;
    const prefix = workload.keyed ? `${key}.` : "";
    const value = (random.below(1_000_000) / 1000).toString();
    const line = `${prefix}servers.host${series % 1000}.app${series >> 10}.requests.latency.m${series} ${value} ${seconds}\n`;
    lines.push(line);
    bytes += line.length;
    if (bytes >= frameBytes || i === points - 1) {
      frames.push(new TextEncoder().encode(lines.join("")));
      lines = [];
      bytes = 0;
    }
  }
  return frames;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function benchRouter(workload: Workload, points: number): number {
  const frames = makeFrames(workload, Math.min(points, 500_000));
  const router = createPlainRouter();
  const run = (upTo: number) => {
    let rows = 0;
    while (rows < upTo) {
      for (const frame of frames) {
        let at = 0;
        while (at < frame.length) {
          router.route(frame, at, frame.length, { keyed: workload.keyed, last: true });
          at = router.lines.consumed;
          rows += router.lines.count;
        }
      }
    }
    return rows;
  };
  run(points / 4);
  const start = cpuSeconds();
  const rows = run(points);
  return rows / (cpuSeconds() - start);
}

function benchAggregator(workload: Workload, points: number): { perCpuSecond: number; growMs: number } {
  const frames = makeFrames(workload, points);
  const aggregator = createPlainAggregator({
    stepSeconds: 1,
    seed: seededRandom(2).bytes(8),
  });
  const growMs = feed(aggregator, frames);
  const start = cpuSeconds();
  feed(aggregator, frames);
  return { perCpuSecond: points / (cpuSeconds() - start), growMs };
}

/** Answers the longest frame, ms: the first run's says what growth costs. */
function feed(aggregator: Aggregator, frames: Uint8Array[]): number {
  let sinceCommit = 0;
  let longestMs = 0;
  for (const frame of frames) {
    const start = performance.now();
    sinceCommit += aggregator.ingest(1, frame, receivedAtMs, (reason) => {
      throw new Error(`a line was refused with reason ${reason}`);
    });
    if (sinceCommit >= commitPoints) {
      aggregator.commit();
      sinceCommit = 0;
    }
    longestMs = Math.max(longestMs, performance.now() - start);
  }
  return longestMs;
}

export function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: { json: { type: "boolean" }, points: { type: "string" } },
  });
  const points = Number(values.points ?? 2_000_000);
  const turn: Workload = { series: 10_000, order: "turn", keyed: false };
  const random: Workload = { series: 500_000, order: "random", keyed: false };
  const lateTurn: Workload = { ...turn, late: 0.05 };
  const result: Record<string, number> = {};
  const say = (name: string, value: number) => {
    result[name] = Math.round(value);
    if (values.json !== true) console.log(`${name} ${Math.round(value).toLocaleString("en")}`);
  };
  say("routerPointsPerCpuSecond10k", benchRouter({ ...turn, keyed: true }, points));
  say("routerPointsPerCpuSecond500k", benchRouter({ ...random, keyed: true }, points));
  const small = benchAggregator(turn, points);
  say("aggregatorPointsPerCpuSecond10k", small.perCpuSecond);
  say("aggregatorPointsPerCpuSecond10kLate", benchAggregator(lateTurn, points).perCpuSecond);
  const large = benchAggregator(random, points);
  say("aggregatorPointsPerCpuSecond500k", large.perCpuSecond);
  say("aggregatorLongestFrameMs500k", large.growMs);
  console.log(JSON.stringify({ bench: "aggregate", kernel: "plain", points, ...result }));
  return Promise.resolve();
}
