// What a tenant holds, over all its homes, and which of them could not be asked.
import type { ShardSpace } from "../cluster/control-messages.ts";
import type { Bus } from "../src/bus/bus.ts";
import type { TenantSize } from "../src/store/store.ts";
import { askShard } from "./ask-shard.ts";
import { fewAtATime } from "./few.ts";
import { countText } from "./words.ts";

export interface Holdings {
  series: number;
  points: number;
  bytes: number;
  /** Epoch seconds of the oldest and the newest bucket; null: nothing is held. */
  oldest: number | null;
  newest: number | null;
  /** The stores of the tenant's shards; all tenants share them. */
  stores: ({ shard: number } & ShardSpace)[];
  /** Not in the sums. */
  unasked: Unasked[];
}

export interface Unasked {
  shard: number;
  why: string;
}

export async function holdingsOf(bus: Bus, tenant: string, shards: readonly number[]): Promise<Holdings> {
  const answers = await fewAtATime(shards, async (shard) => ({
    shard,
    answer: await askShard(bus, { kind: "tenant-size", shard, tenant }),
  }));
  const sizes: TenantSize[] = [];
  const stores: Holdings["stores"] = [];
  const unasked: Unasked[] = [];
  for (const { shard, answer } of answers) {
    if (answer.kind === "size") {
      sizes.push(answer.size);
      stores.push({ shard, ...answer.space });
    } else unasked.push({ shard, why: answer.kind === "none" ? answer.why : `answered ${answer.kind}` });
  }
  const sum = (of: (size: TenantSize) => number) => sizes.reduce((all, size) => all + of(size), 0);
  return {
    series: sum((size) => size.series),
    points: sum((size) => size.points),
    bytes: sum((size) => size.bytes),
    oldest: first(sizes.map((size) => size.oldest)),
    newest: first(sizes.map((size) => size.newest).toReversed(), (a, b) => b - a),
    stores,
    unasked,
  };
}

function first(times: (number | undefined | null)[], order = (a: number, b: number) => a - b): number | null {
  return times.filter((time) => typeof time === "number").sort(order)[0] ?? null;
}

export function holdingsText({ series, points, bytes, oldest, newest, stores, unasked }: Holdings): string[] {
  const at = (seconds: number | null) => (seconds === null ? "-" : new Date(seconds * 1000).toISOString());
  return [
    ...(stores.length === 0
      ? []
      : [
          `holds ${countText(series, "series")}, ${countText(points, "point")}, ${sizeText(bytes)}`,
          `oldest ${at(oldest)}  newest ${at(newest)}`,
        ]),
    ...stores.map(
      ({ shard, usedBytes, budgetBytes }) =>
        `shard ${shard}, all tenants: ${sizeText(usedBytes)} of ${sizeText(budgetBytes)}`,
    ),
    ...unasked.map(({ shard, why }) => `shard ${shard} could not be asked: ${why}`),
  ];
}

function sizeText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = bytes;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1000;
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}
