// What a node answers of replays: what one would read, the beginning of one, and the verbs that stop it, let it go on, or
// give it up.
//
// V1. Refused where the record does not hold everything of the time asked for, with the earliest time that it could be.
// V2. A time is rounded out to whole spans of the coarsest rungs that the tenant's rules name.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Bus, Kv } from "../src/bus/bus.ts";
import { aheadSecondsMax } from "../src/metric/bucket.ts";
import type { Ladder } from "../src/metric/bucket.ts";
import { wholeFrom } from "../src/store/record.ts";
import { widened, type TimeRange } from "../src/store/replays.ts";
import { ledgerKeptMs, type ShardState, type ShardStore } from "../src/store/store.ts";
import type { UpkeepRules } from "../workers/messages.ts";
import type { Questions } from "./control.ts";
import type { ControlAnswer } from "./control-messages.ts";
import type { Heads } from "./heads.ts";
import { decodeJobQuestion, type JobQuestion } from "./job-messages.ts";
import type { Replays } from "./replays.ts";
import { changeWish } from "./shard-wish.ts";

export interface ReplayVerbsOptions {
  bus: Pick<Bus, "streamState" | "frameAt" | "missing">;
  heads: Heads;
  replays: Pick<Replays, "progress">;
  /** Of a shard of this node's. */
  openStore: (shard: number) => Promise<ShardStore>;
  /** undefined: not known yet. */
  rules(): UpkeepRules | undefined;
  /** The cluster's bucket: for wishes. */
  wishes(): Promise<Kv>;
  clock: Clock;
}

/** A gateway's clock may be ahead of the record's, and a frame under way, by so much. */
const marginMs = 60_000;

type Begin = Extract<JobQuestion, { kind: "replay-begin" }>;

/** A replay that could begin. */
interface Plan extends TimeRange {
  kind: "plan";
  first: number;
  frames: number;
  bytes: number;
  series: number;
  epoch: number;
}
type Refused = Extract<ControlAnswer, { kind: "replay-refused" }>;

export function replayQuestions(options: ReplayVerbsOptions): Questions {
  return {
    decode(asked) {
      const question = decodeJobQuestion(asked);
      return question && (() => answered(options, question));
    },
  };
}

async function answered(options: ReplayVerbsOptions, question: JobQuestion): Promise<ControlAnswer> {
  try {
    switch (question.kind) {
      case "replay-list":
        return await list(options, question.shard);
      case "replay-begin":
        return await begin(options, question);
      case "replay-control":
        return await control(options, question);
      default:
        return question satisfies never;
    }
  } catch (error) {
    if (!isOutage(error)) throw error;
    return { kind: "none", why: `${error.code}: ${messageOf(error)}` };
  }
}

async function list({ heads, replays }: ReplayVerbsOptions, shard: number): Promise<ControlAnswer> {
  const head = await heads.look(shard, (snapshot) => snapshot.progress());
  return {
    kind: "replays",
    replays: head.replays.map((replay) => ({ ...replay, job: replays.progress(shard, replay) })),
  };
}

async function begin(options: ReplayVerbsOptions, question: Begin): Promise<ControlAnswer> {
  const { shard, tenant, rate, dryRun } = question;
  const plan = await planOf(options, question);
  if (plan.kind === "replay-refused") return plan;
  const { from, until, first, frames, bytes, series, epoch } = plan;
  if (dryRun) return { kind: "would-replay", from, until, frames, bytes, series };
  // Before it begins: a wish of an earlier one must not stop it.
  await changeWish(await options.wishes(), shard, () => ({ replay: { stopped: false, rate } }));
  const begun = await withStore(options, shard, (store) =>
    store.beginReplay(epoch, { tenant, from, until, first }),
  );
  if (begun.kind === "fenced") return { kind: "none", why: "the shard has another owner now: ask again" };
  return begun.kind === "refused"
    ? { kind: "replay-refused", why: begun.why }
    : { kind: "replay-begun", replay: begun.replay };
}

async function control(
  options: ReplayVerbsOptions,
  { shard, id, verb }: Extract<JobQuestion, { kind: "replay-control" }>,
): Promise<ControlAnswer> {
  const { epoch, replays } = await options.heads.look(shard, (snapshot) => snapshot.progress());
  const replay = replays.find((each) => each.id === id);
  if (replay === undefined) return { kind: "replay-refused", why: "there is none of that number" };
  if (replay.state === "swapped") return { kind: "replay-refused", why: "readers see it already" };
  if (verb !== "abandon") {
    const stopped = verb === "stop";
    await changeWish(await options.wishes(), shard, (wish) => ({ replay: { ...wish.replay, stopped } }));
    return { kind: "replay-controlled" };
  }
  const done = await withStore(options, shard, (store) => store.abandonReplay(epoch, id));
  return done === "ok"
    ? { kind: "replay-controlled" }
    : { kind: "none", why: "the shard has another owner now: ask again" };
}

async function planOf(options: ReplayVerbsOptions, question: Begin): Promise<Plan | Refused> {
  const { bus, clock, heads } = options;
  const { shard, tenant } = question;
  const rules = options.rules();
  if (rules === undefined) return refusedFor("the tenants' rules are not known here yet");
  if (question.from >= question.until) return refusedFor("it ends before it begins");
  const { state, series } = await heads.look(shard, async (snapshot) => ({
    state: await snapshot.state(),
    series: (await snapshot.tenantSize(tenant)).series,
  }));
  const why = whyNot(state, tenant);
  if (why !== undefined) return refusedFor(why);
  const stream = await bus.streamState(shard);
  if (stream.incarnation !== state.incarnation) return refusedFor("its record is another one than was read");
  const range = widened(question, laddersOf(rules, tenant));
  const whole = await wholeFrom(bus, shard, stream, state.holes);
  const earliest = await earliestOf(bus, shard, state, whole, clock.nowMs());
  if (range.from < earliest)
    return { ...refusedFor("the record does not hold everything of that time any more"), earliest };
  const fromMs = (range.from - aheadSecondsMax) * 1000 - marginMs;
  const first = await firstSince(bus, shard, stream.firstSequence, state.offset, fromMs);
  const frames = state.offset - first + 1;
  const bytes = stream.messages === 0 ? 0 : Math.round((stream.bytes / stream.messages) * frames);
  return { kind: "plan", ...range, first, frames, bytes, series, epoch: state.epoch };
}

function whyNot({ offset, purging, quarantined, replays }: ShardState, tenant: string): string | undefined {
  if (offset === 0) return "nothing was ever stored";
  if (purging.includes(tenant)) return "the tenant is deleted, and its series are being purged";
  if (quarantined.some((each) => each.tenant === tenant))
    return "the tenant is quarantined: retry or drop its dead letters first";
  const [other] = replays;
  return other && `replay ${other.id} of the shard is not over`;
}

/** V2 */
function laddersOf({ standard, tenants }: UpkeepRules, tenant: string): Ladder[] {
  const own = tenants.find(([id]) => id === tenant)?.[1] ?? [];
  return [standard, ...own.flatMap(({ rules }) => rules.map(({ ladder }) => ladder))];
}

/** V1: points of this time and later, epoch seconds, are all in the record, and so is what is known of dead letters. */
async function earliestOf(
  bus: Pick<Bus, "frameAt">,
  shard: number,
  { era }: Pick<ShardState, "era">,
  whole: number,
  nowMs: number,
): Promise<number> {
  const first = await bus.frameAt(shard, whole);
  const beginMs = first?.timeMs ?? nowMs;
  const isWhole = era === 0 && whole === 1 && beginMs > nowMs - ledgerKeptMs;
  if (isWhole) return 0;
  const sinceMs = Math.max(beginMs, nowMs - ledgerKeptMs) + marginMs;
  return Math.ceil(sinceMs / 1000) + aheadSecondsMax;
}

/** The first frame recorded at this time or later, by bisection; one that the record lost counts as later. */
async function firstSince(
  bus: Pick<Bus, "frameAt">,
  shard: number,
  first: number,
  last: number,
  sinceMs: number,
): Promise<number> {
  let low = first;
  let high = Math.max(first, last);
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const frame = await bus.frameAt(shard, middle);
    if (frame !== undefined && frame.timeMs < sinceMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function withStore<T>(
  { openStore }: ReplayVerbsOptions,
  shard: number,
  use: (store: ShardStore) => Promise<T>,
): Promise<T> {
  const store = await openStore(shard);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function refusedFor(why: string): Refused {
  return { kind: "replay-refused", why };
}
