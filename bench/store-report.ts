// The store bench's figures for people: a table each for what is written, what upkeep does and what is read.
import type { ReadsFigure } from "./store-reads.ts";
import type { Spread, UpkeepFigures } from "./store-threads.ts";

type Cell = string | number;

/** A stretch of commits with upkeep beside them. */
export interface StretchFigures {
  points: number;
  /** Until upkeep had caught up: it wanted to do no more for now, with so much left in blobs. */
  pointsPerSecond: number;
  leftInBlobsMb: number;
  /** Until every point lay in fragments and everything was merged. */
  pointsPerSecondAll: number;
  seconds: number;
  commitSeconds: number;
  /** Of a writer, for upkeep. */
  waitedSeconds: number;
  cpuSecondsPerMillion: number;
  cpuSecondsPerMillionAll: number;
  bytesPerPoint: number;
  bytesPerPointWithBlobs: number;
  fileMb: number;
  commit: Spread;
}

export function tableOf(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`);
  return `${lines.join("\n")}\n`;
}

function spreadCells({ p50Ms, p99Ms, maxMs, count }: Spread): Cell[] {
  return [p50Ms, p99Ms, maxMs, count];
}

const spreadHeads = ["p50 ms", "p99 ms", "max ms", "count"];

export function stretchTable(stretches: Record<string, StretchFigures | undefined>): string {
  const heads = [
    "",
    "points",
    "points/s",
    "all",
    "CPU s per M",
    "all",
    "bytes a point",
    "with blobs",
    "file MB",
  ];
  const rows = Object.entries(stretches).flatMap(([name, each]) => {
    if (each === undefined) return [];
    const speed = [each.pointsPerSecond, each.pointsPerSecondAll];
    const cpu = [each.cpuSecondsPerMillion, each.cpuSecondsPerMillionAll];
    return [
      [name, each.points, ...speed, ...cpu, each.bytesPerPoint, each.bytesPerPointWithBlobs, each.fileMb],
    ];
  });
  return tableOf(heads, rows);
}

export function commitTable(commits: Record<string, Spread>): string {
  const rows = Object.entries(commits).map(([name, each]) => [name, ...spreadCells(each)]);
  return tableOf(["commits", ...spreadHeads], rows);
}

export function upkeepTable(beside: string, { steps }: UpkeepFigures): string {
  const rows = Object.entries(steps).map(([work, { step, rows: read, mb }]) => [
    work,
    ...spreadCells(step),
    read,
    mb,
  ]);
  return tableOf([`upkeep, ${beside}`, ...spreadHeads, "rows", "MB written"], rows);
}

export function readsTable(figures: readonly ReadsFigure[]): string {
  const rows = figures.map((each) => [
    each.series,
    `${each.range} at ${each.stepSeconds} s`,
    each.how,
    each.filledPercent,
    ...spreadCells(each),
  ]);
  return tableOf(["series", "range", "how", "filled %", ...spreadHeads], rows);
}
