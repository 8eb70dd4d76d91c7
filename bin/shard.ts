// `millrace shard ...`: how each shard is, and putting one right while its siblings go on.
import { withAdmin } from "./admin/client.ts";
import type { ShardRow } from "./admin/shard-verbs.ts";
import { makeAndSay, table, type ChangeOptions } from "./change.ts";
import type { Flags } from "./directory.ts";
import { say, type Output } from "./say.ts";
import { countText, spanText } from "./words.ts";

export type ShardVerb = "restart" | "pause" | "resume" | "skip" | "adopt";

export function shardUrl(shard: string, verb = ""): string {
  return `/v1/shards/${encodeURIComponent(shard)}${verb === "" ? "" : `/${verb}`}`;
}

export function shardList(output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { shards } = await admin.get<{ shards: ShardRow[] }>("/v1/shards");
    const head = ["shard", "state", "behind", "queued", "points/s", "gap frames", "restarts", "why"];
    say(output, shards, table(head, shards.map(rowText)));
  });
}

function rowText(row: ShardRow): string[] {
  const state = `${row.state}${"isolated" in row && row.isolated ? ", isolated" : ""}`;
  if (!("queued" in row)) return [String(row.shard), state, "-", "-", "-", "-", "-", row.why];
  const { behindMs, queued, pointsPerSecond, gapFrames, restarts, why } = row;
  return [
    String(row.shard),
    state,
    behindMs === null ? "?" : spanText(behindMs),
    queued === null ? "?" : String(queued),
    String(Math.round(pointsPerSecond)),
    String(gapFrames),
    String(restarts),
    why,
  ];
}

export function shardShow(shard: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const row = await admin.get<ShardRow>(shardUrl(shard));
    say(output, row, showText(row));
  });
}

function rangesText(ranges: readonly (readonly [number, number])[]): string {
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from} to ${to}`)).join(", ");
}

function showText(row: ShardRow): string[] {
  const { wish } = row;
  const why = row.why === "" ? "" : `: ${row.why}`;
  const wished = [
    ...(wish.paused ? ["paused by an operator: millrace shard resume"] : []),
    ...(wish.failed === null
      ? []
      : [
          `failed since ${new Date(wish.failed.atMs).toISOString()} (${wish.failed.code}): ${wish.failed.why}`,
        ]),
    ...(wish.backfill.paused ? ["its backfill is paused by an operator: millrace backfill resume"] : []),
    ...(wish.backfill.rate === "full"
      ? []
      : [`its backfill takes at most ${countText(wish.backfill.rate, "point")}/s`]),
  ];
  if (!("queued" in row)) return [`shard ${row.shard} is ${row.state}${why}`, ...wished];
  const { offset, last, queued, behindMs, gaps, holes, quarantined } = row;
  const behind =
    behindMs === null || queued === null ? "?" : `${spanText(behindMs)}, ${countText(queued, "frame")}`;
  const died = `${countText(row.restarts, "restart")}, ${countText(row.deaths, "death")}`;
  return [
    `shard ${row.shard} is ${row.state}${why}`,
    `offset ${offset ?? "?"} of ${last ?? "?"}; ${behind} behind; ${countText(row.pointsPerSecond, "point")}/s`,
    `epoch ${row.epoch ?? "?"}; runs in a ${row.hosting}, ${row.doing}; ${died}`,
    ...(row.lastDeath === "" ? [] : [`died last of: ${row.lastDeath}`]),
    ...(row.isolated ? ["isolated: frames are tried one by one until the line is found that kills"] : []),
    ...(gaps.length === 0
      ? []
      : [`waits for backfill: ${rangesText(gaps)} (${countText(row.gapFrames, "frame")})`]),
    ...(holes.length === 0 ? [] : [`holes, frames that the record lost: ${rangesText(holes)}`]),
    ...(quarantined.length === 0 ? [] : [`in quarantine: ${quarantined.join(", ")}`]),
    ...wished,
  ];
}

/** Skip sets aside and discards nothing; adopt gives up what only the old record had. */
export function shardVerb(
  verb: ShardVerb,
  shard: string,
  options: ChangeOptions,
  flags: Flags,
): Promise<void> {
  const question = verb === "adopt" ? { question: "Go on in this record?" } : {};
  return withAdmin(flags, (admin) => makeAndSay(admin, { url: shardUrl(shard, verb), ...question }, options));
}
