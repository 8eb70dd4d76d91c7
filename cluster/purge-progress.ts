// How far the purge of a tenant is, in the cluster's bucket: `purge.<tenant's id>`, there as long as it is under way.
//
// G1. Nodes write it by compare-and-set, each about its own shards: what one says never takes back what another said.
import { isOutage, Outage } from "../src/base/errors.ts";
import type { Kv } from "../src/bus/bus.ts";
import { snapshotOf } from "../src/bus/snapshot.ts";
import { encodeJson } from "./shard-map.ts";

export interface PurgeProgress {
  startedMs: number;
  /** Shards that hold nothing of the tenant any more, and never will. Ascending. */
  done: number[];
  /** Living series, by shard, of those that are under way. */
  left: Record<string, number>;
  /** Series that went so far. */
  series: number;
}

/** What a node has seen of its shards since it last said so. */
export interface PurgeNews {
  done: number[];
  left: Record<string, number>;
  series: number;
}

const keyPrefix = "purge.";
const triesMax = 20;

export function purgeKey(tenant: string): string {
  return keyPrefix + tenant;
}

/** Undefined: nobody has begun. */
export async function readPurge(kv: Kv, tenant: string): Promise<PurgeProgress | undefined> {
  const entry = await kv.get(purgeKey(tenant));
  return entry?.value === undefined ? undefined : decodePurge(entry.value);
}

/** All that are under way, by tenant's id. */
export async function readPurges(kv: Kv): Promise<Map<string, PurgeProgress>> {
  const out = new Map<string, PurgeProgress>();
  for (const { key, value } of await snapshotOf(kv))
    if (key.startsWith(keyPrefix) && value !== undefined)
      out.set(key.slice(keyPrefix.length), decodePurge(value));
  return out;
}

/** G1. Answers the progress as it is then. */
export async function addPurgeNews(
  kv: Kv,
  tenant: string,
  news: PurgeNews,
  nowMs: number,
): Promise<PurgeProgress> {
  const key = purgeKey(tenant);
  for (let tries = 1; ; tries++) {
    const entry = await kv.get(key);
    const before = entry?.value === undefined ? begun(nowMs) : decodePurge(entry.value);
    const after = withNews(before, news);
    try {
      if (entry?.value === undefined) await kv.create(key, encodeJson(after));
      else await kv.update(key, encodeJson(after), entry.revision);
      return after;
    } catch (error) {
      if (!isOutage(error, "revision-conflict")) throw error;
      if (tries >= triesMax) throw new Outage("bus-unavailable", `others keep changing ${key}`);
    }
  }
}

function withNews(before: PurgeProgress, news: PurgeNews): PurgeProgress {
  const done = [...new Set([...before.done, ...news.done])].sort((a, b) => a - b);
  const left = Object.fromEntries(
    Object.entries({ ...before.left, ...news.left }).filter(([shard]) => !done.includes(Number(shard))),
  );
  return { startedMs: before.startedMs, done, left, series: before.series + news.series };
}

function begun(nowMs: number): PurgeProgress {
  return { startedMs: nowMs, done: [], left: {}, series: 0 };
}

/** What can't be read is a purge that begins: each of its steps may be done again. */
export function decodePurge(value: Uint8Array): PurgeProgress {
  try {
    const { startedMs, done, left, series } = JSON.parse(new TextDecoder().decode(value)) as PurgeProgress;
    const isRead = Number.isFinite(startedMs) && Number.isFinite(series) && Array.isArray(done);
    return isRead ? { startedMs, done, left: { ...left }, series } : begun(0);
  } catch {
    return begun(0);
  }
}
