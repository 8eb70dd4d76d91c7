// What an operator is told before a tenant is deleted, and while it is purged.
import type { PurgeProgress } from "../cluster/purge-progress.ts";
import type { Bus } from "../src/bus/bus.ts";
import { askLedger } from "./ask-ledger.ts";
import { askShard } from "./ask-shard.ts";
import type { Unasked } from "./holdings.ts";
import { countText, shardsText } from "./words.ts";

/** What a tenant holds and sends. */
export interface TenantWeight {
  series: number;
  /** That hold series of it. */
  shards: number[];
  /** What the doors received, over the last minute or two; refused lines too. */
  pointsPerSecond: number;
  /** Not in the sums. */
  unasked: Unasked[];
}

export async function weightOf(
  bus: Bus,
  tenant: string,
  homes: readonly number[],
  nowMs: number,
): Promise<TenantWeight> {
  const weight: TenantWeight = { series: 0, shards: [], pointsPerSecond: 0, unasked: [] };
  for (const shard of homes) {
    const answer = await askShard(bus, { kind: "tenant-size", shard, tenant });
    if (answer.kind === "size") {
      weight.series += answer.size.series;
      if (answer.size.series > 0) weight.shards.push(shard);
    } else
      weight.unasked.push({ shard, why: answer.kind === "none" ? answer.why : `answered ${answer.kind}` });
  }
  const now = Math.floor(nowMs / 1000);
  const from = Math.floor(now / 60) * 60 - 60;
  const { parts } = await askLedger(bus, tenant, homes, from, now, true);
  const counts = parts.flatMap(({ rows, queued }) => [
    ...rows.filter(({ fate }) => fate === "received").map(({ count }) => count),
    ...queued.map(({ count }) => count),
  ]);
  weight.pointsPerSecond = counts.reduce((sum, count) => sum + count, 0) / (now - from);
  return weight;
}

/** "tenant acme: 12,345 series in shards 1, 4; sends 2,100 points/s now; gone for good on ... unless undeleted". */
export function deletePreview(name: string, weight: TenantWeight, purgeMs: number): string {
  const { pointsPerSecond, unasked } = weight;
  const rate = Math.round(pointsPerSecond);
  const sends = rate === 0 && pointsPerSecond > 0 ? "less than 1 point/s" : `${countText(rate, "point")}/s`;
  return [
    `tenant ${name}: ${held(weight)}`,
    pointsPerSecond === 0 ? "sends nothing now" : `sends ${sends} now`,
    ...(unasked.length > 0 ? [`${shardsText(unasked.map(({ shard }) => shard))} could not be asked`] : []),
    `gone for good on ${day(purgeMs)} unless undeleted`,
  ].join("; ");
}

/** The same of a purge that does not wait for the end of the grace. */
export function purgePreview(name: string, weight: TenantWeight): string {
  return `tenant ${name}: ${held(weight)} ${weight.series === 1 ? "is" : "are"} gone for good from now on; nothing brings them back`;
}

/** How far it is; undefined: nobody has begun, or it is over. `all`: how many shards there are. */
export function purgeText(name: string, progress: PurgeProgress | undefined, all: number): string {
  if (progress === undefined) return `tenant ${name}: its purge waits for a node`;
  const { done, left, series } = progress;
  const rest = Object.values(left).reduce((sum, count) => sum + count, 0);
  return `tenant ${name}: ${done.length} of ${all} shards done, ${countText(series, "series")} gone, ${number(rest)} known to be left`;
}

function held({ series, shards: holding }: TenantWeight): string {
  return series === 0 ? "no series" : `${countText(series, "series")} in ${shardsText(holding)}`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function day(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
