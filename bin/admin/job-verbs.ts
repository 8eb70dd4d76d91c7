// Verbs of the admin API about long work behind live data: filling the gaps that a skip left, and replays.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import type { FillStatus } from "../../cluster/fills.ts";
import type { ReplayView } from "../../cluster/job-messages.ts";
import { changeWish, type ShardWish } from "../../cluster/shard-wish.ts";
import { askShard } from "../ask-shard.ts";
import { fewAtATime } from "../few.ts";
import {
  allShards,
  shardOf,
  tenantOf,
  tenantsOf,
  textOf,
  type Operator,
  type OperatorOf,
} from "./operator.ts";
import { notDone, rowOf, type ShardRow } from "./shard-verbs.ts";
import { countDoing, countText, shardsText } from "../words.ts";

/** A shard with gaps. */
export interface BackfillRow extends FillStatus {
  /** Points a second at most. */
  rate: number | "full";
}

export interface ReplayRow extends Omit<ReplayView, "tenant"> {
  shard: number;
  /** Its name, or its id where it has none any more. */
  tenant: string;
}

/** A node that could not be asked may have some. */
export interface Unasked {
  shard: number;
  why: string;
}

export function jobVerbs(operator: OperatorOf): Verb[] {
  const changes = { method: "POST", effect: "changes" } as const;
  const backfill = "/v1/shards/:shard/backfill";
  const replay = "/v1/replays/:shard/:id";
  return [
    { method: "GET", url: "/v1/backfills", effect: "none", answer: () => backfills(operator) },
    { ...changes, url: `${backfill}/pause`, answer: (asked) => fill(operator, asked, { paused: true }) },
    { ...changes, url: `${backfill}/resume`, answer: (asked) => fill(operator, asked, { paused: false }) },
    {
      ...changes,
      url: `${backfill}/speed`,
      answer: (asked) => fill(operator, asked, { rate: rateOf(asked) }),
    },
    { method: "GET", url: "/v1/replays", effect: "none", answer: () => replays(operator) },
    { ...changes, url: "/v1/replays", answer: (asked) => begin(operator, asked) },
    { ...changes, url: `${replay}/stop`, answer: (asked) => control(operator, asked, "stop") },
    { ...changes, url: `${replay}/start`, answer: (asked) => control(operator, asked, "start") },
    { ...changes, url: `${replay}/abandon`, answer: (asked) => control(operator, asked, "abandon") },
  ];
}

async function backfills(operator: OperatorOf): Promise<object> {
  const at = await operator();
  const rows: BackfillRow[] = [];
  const unasked: Unasked[] = [];
  await fewAtATime(allShards(at), async (shard) => {
    const row = await rowOf(at, shard);
    if (!("gaps" in row)) unasked.push({ shard, why: row.why });
    else if (row.gaps.length > 0) rows.push(backfillOf(row));
  });
  return { backfills: rows.sort((a, b) => a.shard - b.shard), unasked };
}

function backfillOf({
  shard,
  gaps,
  gapFrames,
  backfill,
  wish,
}: Extract<ShardRow, { gaps: unknown }>): BackfillRow {
  const { rate, paused } = wish.backfill;
  if (backfill !== null) return { ...backfill, rate };
  const state = paused ? "paused" : "queued";
  const none = { points: 0, pointsPerSecond: 0, doneAtMs: undefined };
  return { shard, state, why: "", gaps, framesLeft: gapFrames, ...none, rate };
}

async function fill(
  operator: OperatorOf,
  asked: Asked,
  change: Partial<ShardWish["backfill"]>,
): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  const { rate, paused } = change;
  const speed = rate === "full" ? "at full speed" : `with at most ${countText(rate ?? 0, "point")}/s`;
  const does = rate !== undefined ? `goes on ${speed}` : paused === true ? "pauses" : "goes on";
  if (asked.dryRun) {
    const row = await rowOf(at, shard);
    const left = "gapFrames" in row ? countDoing(row.gapFrames, "frame", "waits", "wait") : row.why;
    return { preview: `shard ${shard}: ${left}; backfill ${does}` };
  }
  const { backfill } = await changeWish(at.cluster, shard, (wish) => ({
    backfill: { ...wish.backfill, ...change },
  }));
  return { done: `backfill of shard ${shard} ${does}`, shard, backfill };
}

function isSecond(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function rateOf({ body }: Asked): number | "full" {
  const { rate } = body;
  if (rate === "full" || (typeof rate === "number" && Number.isSafeInteger(rate) && rate > 0)) return rate;
  throw new Refused(400, '"rate" is "full" or points a second');
}

async function replays(operator: OperatorOf): Promise<object> {
  const at = await operator();
  const names = new Map((await tenantsOf(at)).map(({ id, name }) => [id, name]));
  const rows: ReplayRow[] = [];
  const unasked: Unasked[] = [];
  await fewAtATime(allShards(at), async (shard) => {
    const answer = await askShard(at.bus, { kind: "replay-list", shard });
    if (answer.kind !== "replays") unasked.push({ shard, why: whyNot(answer) });
    else
      for (const replay of answer.replays)
        rows.push({ ...replay, shard, tenant: names.get(replay.tenant) ?? replay.tenant });
  });
  return { replays: rows.sort((a, b) => a.shard - b.shard || a.id - b.id), unasked };
}

async function begin(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const tenant = await tenantOf(at, textOf(asked, "tenant"));
  const { from, until } = asked.body;
  if (!isSecond(from) || !isSecond(until) || from >= until)
    throw new Refused(400, '"from" and "until" are whole epoch seconds, "from" the earlier one');
  const rate = asked.body["rate"] === undefined ? "full" : rateOf(asked);
  const question = { kind: "replay-begin", tenant: tenant.id, from, until, rate } as const;
  const shards = allHomes(tenant, at.settings.shards);
  // None is begun where another one would refuse.
  const would = await fewAtATime(shards, (shard) => wouldReplay(at, { ...question, shard, dryRun: true }));
  const range = `${timeText(Math.min(...would.map((each) => each.from)))} to ${timeText(Math.max(...would.map((each) => each.until)))}`;
  const sum = (of: (each: (typeof would)[number]) => number) =>
    would.reduce((all, each) => all + of(each), 0);
  const frames = sum((each) => each.frames);
  if (asked.dryRun) {
    const read = `${countText(frames, "frame")}, ${(sum((each) => each.bytes) / 1e6).toFixed(1)} MB`;
    const preview = `tenant ${tenant.name}, ${range}: ${read} of ${shardsText(shards)} would be read; siblings untouched`;
    return { preview, frames, shards: would };
  }
  const begun: { shard: number; id: number }[] = [];
  for (const shard of shards) {
    const answer = await askShard(at.bus, { ...question, shard, dryRun: false });
    if (answer.kind === "replay-refused") throw refused(shard, answer, begun);
    if (answer.kind !== "replay-begun") throw notDone(shard, answer);
    begun.push({ shard, id: answer.replay.id });
  }
  return {
    done: `tenant ${tenant.name}, ${range}: ${countDoing(frames, "frame", "is", "are")} read again`,
    replays: begun,
  };
}

async function wouldReplay(at: Operator, question: Parameters<typeof askShard>[1]) {
  const answer = await askShard(at.bus, question);
  if (answer.kind === "replay-refused") throw refused(question.shard, answer, []);
  if (answer.kind !== "would-replay") throw notDone(question.shard, answer);
  return { shard: question.shard, ...answer };
}

function refused(
  shard: number,
  { why, earliest }: { why: string; earliest?: number },
  begun: { shard: number; id: number }[],
): Refused {
  const from =
    earliest === undefined ? "" : `; the earliest possible time is ${timeText(earliest)} (${earliest})`;
  const before = begun.length === 0 ? "" : `; begun before: ${begun.map((each) => each.shard).join(", ")}`;
  return new Refused(409, `shard ${shard}: ${why}${from}${before}`, { earliest: earliest ?? null, begun });
}

async function control(
  operator: OperatorOf,
  asked: Asked,
  verb: "stop" | "start" | "abandon",
): Promise<object> {
  const at = await operator();
  const shard = shardOf(at, asked.params["shard"]);
  const id = Number(asked.params["id"]);
  if (!Number.isSafeInteger(id) || id < 1) throw new Refused(404, `there is no replay ${asked.params["id"]}`);
  const does = { stop: "is stopped", start: "goes on", abandon: "is given up" }[verb];
  const done = `replay ${shard}/${id} ${does}`;
  if (asked.dryRun) return { preview: `${done}; what readers see stays` };
  const answer = await askShard(at.bus, { kind: "replay-control", shard, id, verb });
  if (answer.kind === "replay-refused") throw new Refused(409, `replay ${shard}/${id}: ${answer.why}`);
  if (answer.kind !== "replay-controlled") throw notDone(shard, answer);
  return { done, shard, id };
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

function whyNot(answer: { kind: string; why?: string }): string {
  return answer.why ?? `its node answered ${answer.kind}`;
}
