// What shall outlive a node about a shard: whether it is paused, why it failed, how fast its gaps are filled. A key each
// in the cluster's bucket; operators write by compare-and-set, nodes watch, and write only that a shard failed.
//
// W1. Fields that this version does not know stay as they are.
// W2. What can't be read is a wish for nothing special: a shard runs rather than stands.
import { isOutage, Outage } from "../src/base/errors.ts";
import type { Kv } from "../src/bus/bus.ts";
import { encodeJson } from "./shard-map.ts";

export interface ShardFailed {
  /** Of src/base/errors.ts, or `restarts` where its budget was spent. */
  code: string;
  why: string;
  atMs: number;
}

export interface ShardWish {
  paused: boolean;
  /** Not tried again, here or elsewhere, before an operator says so. */
  failed: ShardFailed | null;
  /** `rate`: points a second. */
  backfill: { paused: boolean; rate: number | "full" };
  /** Of the shard's replay, whichever it is. */
  replay: { stopped: boolean; rate: number | "full" };
}

/** No date is later. */
const dateMsMax = 8.64e15;
const keyPrefix = "shard.";
/** Others write a shard's wish now and then: to lose so often in a row is no race but a fault. */
const triesMax = 20;

export function wishKey(shard: number): string {
  return `${keyPrefix}${shard}`;
}

/** Undefined for the bucket's other keys. */
export function shardOfWish(key: string): number | undefined {
  const digits = key.startsWith(keyPrefix) ? key.slice(keyPrefix.length) : "";
  return /^\d{1,4}$/.test(digits) ? Number(digits) : undefined;
}

/** W2. */
export function decodeWish(value: Uint8Array | undefined): ShardWish {
  const { paused, failed, backfill, replay } = fieldsOf(value);
  const fill = isObject(backfill) ? backfill : {};
  const again = isObject(replay) ? replay : {};
  return {
    paused: paused === true,
    failed: failedOf(failed),
    backfill: {
      paused: fill["paused"] === true,
      rate: rateOf(fill["rate"]),
    },
    replay: { stopped: again["stopped"] === true, rate: rateOf(again["rate"]) },
  };
}

/** Answers the wish as it is then. `change` may be asked again, of a newer wish. */
export async function changeWish(
  kv: Kv,
  shard: number,
  change: (wish: ShardWish) => Partial<ShardWish>,
): Promise<ShardWish> {
  const key = wishKey(shard);
  for (let tries = 1; ; tries++) {
    const entry = await kv.get(key);
    const fields = { ...fieldsOf(entry?.value), ...change(decodeWish(entry?.value)) };
    const value = encodeJson(fields);
    try {
      if (entry === undefined || entry.value === undefined) await kv.create(key, value);
      else await kv.update(key, value, entry.revision);
      return decodeWish(value);
    } catch (error) {
      if (!isOutage(error, "revision-conflict")) throw error;
      if (tries >= triesMax) throw new Outage("bus-unavailable", `others keep changing ${key}`);
    }
  }
}

function rateOf(value: unknown): number | "full" {
  return typeof value === "number" && value > 0 ? value : "full";
}

/** W1. */
function fieldsOf(value: Uint8Array | undefined): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(new TextDecoder().decode(value));
    return isObject(fields) ? fields : {};
  } catch {
    return {};
  }
}

/** W2. */
function failedOf(value: unknown): ShardFailed | null {
  const { code, why, atMs } = isObject(value) ? value : {};
  if (textOf(code) === "") return null;
  const isTime = typeof atMs === "number" && atMs >= 0 && atMs <= dateMsMax;
  return { code: textOf(code), why: textOf(why), atMs: isTime ? atMs : 0 };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
