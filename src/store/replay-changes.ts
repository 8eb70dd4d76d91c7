// What the owner's calls change for a replay (replays.ts), worked out against one state of the shard: begun, staged,
// swapped, given up. Nothing is written here.
import { assert } from "../base/assert.ts";
import type { Ladder } from "../metric/bucket.ts";
import { encodeBlob } from "./blob.ts";
import type { Decision } from "./decisions.ts";
import type { State, Writes } from "./environment.ts";
import type { ShardHead } from "./head.ts";
import { blockKey, blockOf, pieceKey, spanKey, stagedKey, tableRange } from "./keys.ts";
import { Naming } from "./naming.ts";
import {
  beginProblem,
  cutProblem,
  rangeProblem,
  replacedUnder,
  replayOf,
  type TimeRange,
} from "./replays.ts";
import { blocksOf } from "./span-walk.ts";
import { decodeSpan } from "./spans.ts";
import type { Replay } from "./state.ts";
import { hasTombstone } from "./tombstones.ts";
import {
  newSeriesFlag,
  type Changed,
  type CommitResult,
  type DeltaColumns,
  type SeriesKey,
  type ShardStore,
} from "./store.ts";
import { spanOf, type LadderWork } from "./work.ts";

export interface ReplayAsked extends TimeRange {
  tenant: string;
  first: number;
}

export interface StagedPart {
  from: number;
  to: number;
  newSeries: SeriesKey[];
  deltas: DeltaColumns;
}

export type ReplayBegun = Awaited<ReturnType<ShardStore["beginReplay"]>>;
export type Swapped = Awaited<ReturnType<ShardStore["swap"]>>;

const nothing: Writes = { puts: [], removes: [] };

/** Blocks of a tenant, and looks for pieces, that are worth an early warning: the swap cuts nothing without it (Y5). */
const blocksMost = 20_000;
const looksMost = 20_000;

export function decideBegin(now: State, epoch: number, asked: ReplayAsked): Decision<ReplayBegun> {
  if (now.head.epoch !== epoch) return { answer: { kind: "fenced" } };
  const plan = planBegin(now, asked);
  if ("why" in plan) return { answer: { kind: "refused", why: plan.why } };
  const { head, replay } = plan;
  return { answer: { kind: "begun", replay }, change: { head, writes: nothing, budgeted: false } };
}

export function decideStage(now: State, epoch: number, id: number, part: StagedPart): Decision<CommitResult> {
  if (now.head.epoch !== epoch) return { answer: { kind: "fenced", epoch: now.head.epoch } };
  const buried = withoutBuried(now, id);
  if (buried !== undefined) return { answer: { kind: "at", offset: -1 }, change: buried };
  const plan = planStage(now, id, part);
  if (plan === undefined) return { answer: { kind: "at", offset: doneOf(now.head, id) } };
  const { ids, head, writes } = plan;
  return { answer: { kind: "ok", ids }, change: { head, writes, budgeted: true } };
}

export function decideSwap(now: State, epoch: number, id: number): Decision<Swapped> {
  if (now.head.epoch !== epoch) return { answer: "fenced" };
  const replay = replayOf(now.head);
  if (replay?.id !== id) return { answer: "gone" };
  if (replay.state === "swapped") return { answer: "swapped" };
  const buried = withoutBuried(now, id);
  if (buried !== undefined) return { answer: "gone", change: buried };
  if (!isReady(now, replay)) return { answer: "waiting" };
  return { answer: "swapped", change: { head: swappedHead(now.head), writes: nothing, budgeted: false } };
}

export function decideAbandon(now: State, epoch: number, id: number): Decision<Changed> {
  if (now.head.epoch !== epoch) return { answer: "fenced" };
  const head = withoutReplay(now.head, id);
  if (head.replays.length === now.head.replays.length) return { answer: "ok" };
  return { answer: "ok", change: { head, writes: nothing, budgeted: false } };
}

/** A tenant that was buried since is not rebuilt: its names would come again behind its purge, and nobody to remove them. */
function withoutBuried(now: State, id: number): Decision<never>["change"] {
  const replay = replayOf(now.head);
  const isOver = replay?.id !== id || replay.state === "swapped" || !hasTombstone(now, replay.tenant);
  return isOver ? undefined : { head: withoutReplay(now.head, id), writes: nothing, budgeted: false };
}

function planBegin(now: State, asked: ReplayAsked): { head: ShardHead; replay: Replay } | { why: string } {
  const { head } = now;
  const { tenant, from, until, first } = asked;
  const why =
    rangeProblem(asked) ??
    beginProblem(head, first, hasTombstone(now, tenant)) ??
    cutProblem(asked, laddersCut(now, asked));
  if (why !== undefined) return { why };
  const id = head.lastReplay + 1;
  const { offset, gaps } = head;
  const replay: Replay = { id, tenant, from, until, offset, gaps, state: "building", done: first - 1, first };
  return { head: { ...head, replays: [replay], barrier: head.blobs, lastReplay: id }, replay };
}

/** Ladders of which a bucket would be cut by an end of the range, and that the tenant has points under there. */
function laddersCut(now: State, asked: ReplayAsked): Ladder[] {
  const cut = [...now.work().work.ladders.entries()].filter(([, { ladder }]) => {
    const { from, until } = replacedUnder(asked, ladder);
    return from !== asked.from || until !== asked.until;
  });
  if (cut.length === 0) return [];
  const blocks = blocksOf(now, asked.tenant, blocksMost);
  return cut.filter((each) => isUsed(now, each, asked, blocks)).map(([, { ladder }]) => ladder);
}

function isUsed(
  now: State,
  [number, { ladder }]: [number: number, LadderWork],
  { from, until }: TimeRange,
  blocks: readonly number[],
): boolean {
  const rung = ladder.rungs.length - 1;
  const spans = new Set([from, until].map((seconds) => spanOf(ladder, rung, seconds)));
  let looks = 0;
  for (const span of spans) {
    const place = { ladder: number, rung, span };
    const stored = now.get(spanKey(place));
    for (const { number: piece } of stored === undefined ? [] : decodeSpan(stored))
      for (const block of blocks) {
        if (++looks > looksMost) return false;
        if (now.peek(pieceKey(place, block, piece)) !== undefined) return true;
      }
  }
  return false;
}

/** undefined: the replay is elsewhere, or over. */
function planStage(
  now: State,
  id: number,
  part: StagedPart,
): { head: ShardHead; writes: Writes; ids: Uint32Array } | undefined {
  const { head } = now;
  const replay = replayOf(head);
  if (!isNext(replay, id, part)) return undefined;
  const { newSeries, deltas, to } = part;
  const next = { block: head.nextBlock, node: head.nextNode };
  const naming = new Naming(now, next, newSeries.length);
  for (const { tenant } of newSeries) assert(tenant === replay.tenant, "series of the replay's tenant");
  const ids = Uint32Array.from(newSeries, (key) => naming.idOf(key));
  const writes: Writes = { puts: naming.puts(), removes: [], packed: naming.packed() };
  if (deltas.count > 0) {
    assertOwn(now, replay.tenant, deltas);
    const { bytes, minBucket, maxBucket } = encodeBlob(deltas, ids);
    assert(minBucket >= replay.from && maxBucket < replay.until, "rows of the replay's time");
    writes.puts.push({ key: stagedKey(id, to), value: bytes });
  }
  return {
    head: { ...stagedHead(head, to), nextBlock: naming.next.block, nextNode: naming.next.node },
    writes,
    ids,
  };
}

/** Stored ids that are said are the tenant's; new ones are by their names. */
function assertOwn(now: State, tenant: string, { count, series }: DeltaColumns): void {
  const seen = new Set<number>();
  for (let row = 0; row < count; row++) {
    const said = series[row] as number;
    const block = blockOf(said);
    if (said >= newSeriesFlag || seen.has(block)) continue;
    seen.add(block);
    assert(now.get(blockKey(block))?.toString() === tenant, "rows of the replay's tenant");
  }
}

/** Whether a part goes on where the replay is. */
export function isNext(
  replay: Replay | undefined,
  id: number,
  { from, to }: Pick<StagedPart, "from" | "to">,
): replay is Replay {
  if (replay?.id !== id || replay.state !== "building" || replay.done !== from) return false;
  assert(to > from && to <= replay.offset, `a part up to the barrier ${replay.offset}, got ${from} to ${to}`);
  return true;
}

export function stagedHead<H extends Pick<ShardHead, "replays">>(head: H, to: number): H {
  const replays = head.replays.map(
    (replay): Replay => ({ ...replay, done: to, state: to === replay.offset ? "staged" : "building" }),
  );
  return { ...head, replays };
}

/** Up to which frame a replay has come; -1: it is over. */
export function doneOf(head: Pick<ShardHead, "replays">, id: number): number {
  return head.replays.find((each) => each.id === id)?.done ?? -1;
}

export function swappedHead<H extends Pick<ShardHead, "replays">>(head: H): H {
  return { ...head, replays: head.replays.map((replay): Replay => ({ ...replay, state: "swapped" })) };
}

/** A swapped one stays: it is what readers see. */
export function withoutReplay<H extends Pick<ShardHead, "replays">>(head: H, id: number): H {
  return { ...head, replays: head.replays.filter((each) => each.id !== id || each.state === "swapped") };
}

/** Y4. Both stay true once they are. */
function isReady(now: State, { id, state }: Replay): boolean {
  const { replay, round } = now.work().work;
  const { start, end } = tableRange("staged");
  // A round of staged rows keeps its blobs until its last slice.
  return (
    state === "staged" &&
    replay?.id === id &&
    replay.bound !== undefined &&
    round?.replay === undefined &&
    now.keys(start, end, 1).length === 0
  );
}
