// `millrace top`: a live table of the shards, once a second; on no terminal, or with --once, one table.
import { askShard } from "./ask-shard.ts";
import { fewAtATime } from "./few.ts";
import { clock } from "./process.ts";
import { withDirectory, type Flags } from "./directory.ts";
import { say, type Output } from "./say.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { ShardView } from "../cluster/control-messages.ts";

export interface TopOptions extends Output {
  once: boolean;
}

const everyMs = 1000;
const head = [
  "shard",
  "state",
  "doing",
  "behind",
  "queued",
  "points/s",
  "series",
  "commit",
  "deaths",
  "gaps",
  "why",
];
const whyCharsMost = 60;

type Row = { shard: number; view: ShardView | undefined; why: string };

export function top(options: TopOptions, flags: Flags): Promise<void> {
  return withDirectory(flags, async (_kv, settings, bus) => {
    const numbers = Array.from({ length: settings.shards }, (_, shard) => shard);
    const look = () => fewAtATime(numbers, (shard) => rowOf(bus, shard));
    if (options.json || options.once || !process.stdout.isTTY) {
      const rows = await look();
      say(options, rows, tableOf(rows));
      return;
    }
    for (;;) {
      const lines = tableOf(await look());
      // Home, the table, and what was below it before goes.
      process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
      await clock.sleep(everyMs);
    }
  });
}

async function rowOf(bus: Bus, shard: number): Promise<Row> {
  const answer = await askShard(bus, { kind: "shard-state", shard });
  return answer.kind === "shard-state"
    ? { shard, view: answer.status, why: "" }
    : { shard, view: undefined, why: answer.kind === "none" ? answer.why : answer.kind };
}

export function tableOf(rows: readonly Row[]): string[] {
  const cells = [head, ...rows.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function cellsOf({ shard, view, why }: Row): string[] {
  if (view === undefined)
    return [String(shard), "unknown", "", "", "", "", "", "", "", "", why.slice(0, whyCharsMost)];
  const { behindMs, deaths, doing, gapFrames, isolated, pointsPerSecond, progress, queued, state } = view;
  return [
    String(shard),
    isolated ? `${state}, isolated` : state,
    doing,
    behindMs === null ? "?" : `${(behindMs / 1000).toFixed(1)} s`,
    queued === null ? "?" : String(queued),
    String(Math.round(pointsPerSecond)),
    String(progress?.series ?? 0),
    `${Math.round(progress?.commitMs ?? 0)} ms`,
    String(deaths),
    String(gapFrames),
    view.why.slice(0, whyCharsMost),
  ];
}
