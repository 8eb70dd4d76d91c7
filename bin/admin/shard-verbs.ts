// Verbs of the admin API about shards: how each is, and putting one right while its siblings go on. What an actor or a
// node has to do is asked of the node; what shall outlive both is a wish in the cluster's bucket.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import type { ShardView } from "../../cluster/control-messages.ts";
import { changeWish, decodeWish, wishKey, type ShardWish } from "../../cluster/shard-wish.ts";
import { askShard } from "../ask-shard.ts";
import { fewAtATime } from "../few.ts";
import { allShards, shardOf, type Operator, type OperatorOf } from "./operator.ts";
import { countText, spanText } from "../words.ts";

const url = "/v1/shards";

/** Of one that can't be asked only the reason. */
export type ShardRow = (ShardView | { shard: number; state: "unasked"; why: string }) & { wish: ShardWish };

export function shardVerbs(operator: OperatorOf): Verb[] {
  const changes = { method: "POST", effect: "changes" } as const;
  const discards = { method: "POST", effect: "discards" } as const;
  return [
    { method: "GET", url, effect: "none", answer: () => list(operator) },
    { method: "GET", url: `${url}/:shard`, effect: "none", answer: (asked) => show(operator, asked) },
    { ...changes, url: `${url}/:shard/restart`, answer: (asked) => restart(operator, asked) },
    { ...changes, url: `${url}/:shard/pause`, answer: (asked) => pause(operator, asked, true) },
    { ...changes, url: `${url}/:shard/resume`, answer: (asked) => pause(operator, asked, false) },
    { ...discards, url: `${url}/:shard/skip`, answer: (asked) => skip(operator, asked) },
    { ...discards, url: `${url}/:shard/adopt`, answer: (asked) => adopt(operator, asked) },
  ];
}

export async function rowOf(at: Operator, shard: number): Promise<ShardRow> {
  const [answer, entry] = await Promise.all([
    askShard(at.bus, { kind: "shard-state", shard }),
    at.cluster.get(wishKey(shard)),
  ]);
  const wish = decodeWish(entry?.value);
  if (answer.kind === "shard-state") return { ...answer.status, wish };
  const why = answer.kind === "none" ? answer.why : `its node answered ${answer.kind}`;
  return { shard, state: "unasked", why, wish };
}

async function list(operator: OperatorOf): Promise<object> {
  const at = await operator();
  return { shards: await fewAtATime(allShards(at), (shard) => rowOf(at, shard)) };
}

async function show(operator: OperatorOf, { params }: Asked): Promise<object> {
  const at = await operator();
  return rowOf(at, shardOf(at, params["shard"]));
}

async function restart(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  if (asked.dryRun) {
    const row = await rowOf(at, shard);
    const why = row.why === "" ? "" : ` (${row.why})`;
    return {
      preview: `shard ${shard}, ${row.state}${why}: its actor would be started anew; siblings untouched`,
    };
  }
  const answer = await askShard(at.bus, { kind: "shard-restart", shard });
  if (answer.kind !== "restarted") throw notDone(shard, answer);
  return { done: `shard ${shard} is started anew`, shard };
}

async function pause(operator: OperatorOf, asked: Asked, paused: boolean): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  const does = paused ? "stops after a commit; the record keeps what comes" : "goes on from where it stopped";
  if (asked.dryRun) return { preview: `shard ${shard} ${does}; siblings untouched` };
  await changeWish(at.cluster, shard, () => ({ paused }));
  return { done: `shard ${shard} ${does}`, shard, paused };
}

async function skip(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  const answer = await askShard(at.bus, { kind: "shard-skip", shard, dryRun: asked.dryRun });
  if (answer.kind === "would-skip") {
    const { frames, bytes, behindMs, tenants } = answer;
    const would =
      frames === 0
        ? "nothing to skip"
        : "all of it would be set aside for backfill, and live data goes on at once";
    const behind = `${spanText(behindMs)}, ${countText(frames, "frame")} and ${(bytes / 1e6).toFixed(1)} MB behind`;
    const preview = `shard ${shard}: ${countText(tenants, "tenant")}, ${behind}; ${would}; siblings untouched`;
    return { preview, nothing: frames === 0, ...answer, shard };
  }
  if (answer.kind !== "skipped") throw notDone(shard, answer);
  const { gap, tookMs } = answer;
  const done =
    gap === undefined
      ? `shard ${shard} was at the newest frame already`
      : `shard ${shard} is at live data after ${spanText(tookMs)}; frames ${gap[0]} to ${gap[1]} wait for backfill`;
  return { done, shard, gap: gap ?? null, tookMs };
}

async function adopt(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  const answer = await askShard(at.bus, { kind: "shard-adopt", shard, dryRun: asked.dryRun });
  if (answer.kind === "would-adopt") {
    const { wrong, offset, tenants } = answer;
    const would =
      wrong === ""
        ? "its record is the one that it has read: there is nothing to adopt"
        : `${wrong}; it would go on in this record, and what only the old one had is written down as a hole`;
    const preview = `shard ${shard}: ${countText(tenants, "tenant")}, offset ${offset}; ${would}; siblings untouched`;
    return { preview, nothing: wrong === "", ...answer, shard };
  }
  if (answer.kind !== "adopted") throw notDone(shard, answer);
  const { offset, hole, tookMs } = answer;
  const lost = hole === undefined ? "" : `; frames ${hole[0]} to ${hole[1]} of the old record are a hole`;
  return {
    done: `shard ${shard} goes on behind ${offset} of its record${lost}`,
    shard,
    offset,
    hole,
    tookMs,
  };
}

/** Whether it happened is open, where it was asked of an actor. */
export function notDone(shard: number, answer: { kind: string; why?: string }): Refused {
  return new Refused(503, `shard ${shard}: ${answer.why ?? `its node answered ${answer.kind}`}`);
}
