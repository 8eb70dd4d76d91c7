// What claims, commits, skips and trials do to a shard's head: pure, and the same for every engine.
//
// L1. Only the epoch's owner changes anything; a lane that is started again counts its own starts, never the other's.
// L2. The live lane's place is the offset, the fill lane's are the beginnings of the gaps, and lines of the frame behind
//     it. A commit moves its lane's place and nothing else, so each line is committed by exactly one of them, once.
//     Of series and tenants that go the live lane is told; the fill lane hears it when its commit is refused.
// L3. A part of a frame belongs to the frame, not to the lane: a skip takes it along into the gap.
import { assert } from "../base/assert.ts";
import { nextEra } from "./eras.ts";
import { mergeIntervals } from "./intervals.ts";
import { freshLane } from "./lanes.ts";
import type { Commit, Interval, Lane, LaneState, Owner, ShardState, Trial, TrialRange } from "./store.ts";

/** What of a head the lanes know. */
export interface LaneHead
  extends Pick<
    ShardState,
    | "epoch"
    | "era"
    | "offset"
    | "incarnation"
    | "frameTimeMs"
    | "receivedAtMs"
    | "gaps"
    | "holes"
    | "lanes"
    | "parts"
    | "poison"
    | "replays"
    | "removals"
  > {
  owner: Owner | undefined;
}

/** The owner that has the shard, where it is not for `owner` to claim. */
export function claimedBefore(last: Owner | undefined, owner: Owner): Owner | undefined {
  if (last === undefined) return undefined;
  const older = owner.mapVersion < last.mapVersion;
  const other = owner.mapVersion === last.mapVersion && owner.node !== last.node;
  return older || other ? last : undefined;
}

export function claimedHead<H extends LaneHead>(head: H, owner: Owner): H {
  const lanes = { ...head.lanes, live: startedLane(head.lanes.live, owner.instance) };
  return { ...head, epoch: head.epoch + 1, lanes, owner };
}

export function fillStartedHead<H extends LaneHead>(head: H, instance: string): H {
  return { ...head, lanes: { ...head.lanes, fill: startedLane(head.lanes.fill, instance) } };
}

/** The lane as who has just started it sees it: `lastInstance` is the one before. */
export function seenByStarter(
  lanes: ShardState["lanes"],
  lane: Lane,
  before: LaneState,
): ShardState["lanes"] {
  return { ...lanes, [lane]: { ...lanes[lane], lastInstance: before.lastInstance } };
}

function startedLane({ starts, trial }: LaneState, instance: string): LaneState {
  return {
    starts: starts + 1,
    lastInstance: instance,
    trial: trial?.isUnderWay === true ? { ...trial, deaths: trial.deaths + 1, isUnderWay: false } : trial,
  };
}

export function attemptedHead<H extends LaneHead>(head: H, lane: Lane, trial: TrialRange | undefined): H {
  const before = head.lanes[lane].trial;
  const same =
    before !== undefined &&
    trial !== undefined &&
    before.sequence === trial.sequence &&
    before.from === trial.from &&
    before.to === trial.to;
  const next: Trial | undefined = trial && { ...trial, deaths: same ? before.deaths : 0, isUnderWay: true };
  return { ...head, lanes: { ...head.lanes, [lane]: { ...head.lanes[lane], trial: next } } };
}

export function settledHead<H extends LaneHead>(head: H, lane: Lane): H {
  return { ...head, lanes: { ...head.lanes, [lane]: freshLane() } };
}

/** undefined: it may be committed. Otherwise where its lane is. */
export function commitRefused(head: LaneHead, commit: Commit): { kind: "at"; offset: number } | undefined {
  const { from, to, fromLines = 0 } = commit;
  const lines = head.parts.find(({ sequence }) => sequence === from + 1)?.lines ?? 0;
  if (commit.lane !== "fill")
    return from === head.offset && fromLines === lines ? undefined : { kind: "at", offset: head.offset };
  const gap = head.gaps.find(([first]) => first === from + 1);
  const isThere = gap !== undefined && to <= gap[1] && fromLines === lines;
  const isOfNow = (commit.removals ?? head.removals) === head.removals;
  if (isThere && isOfNow && commit.incarnation === head.incarnation) return undefined;
  return { kind: "at", offset: (head.gaps[0]?.[0] ?? head.offset + 1) - 1 };
}

/** The commit is not refused. */
export function committedHead<H extends LaneHead>(head: H, commit: Commit): H {
  const { from, to, partLines } = commit;
  assert(to >= from, `a place that does not go back, got ${from} to ${to}`);
  const parts = head.parts.filter(({ sequence }) => sequence <= from || sequence > to + 1);
  if (partLines !== undefined && partLines > 0) parts.push({ sequence: to + 1, lines: partLines });
  else if (from === to)
    // Nothing of the frame behind it was committed: a part of it stays what it was.
    parts.push(...head.parts.filter(({ sequence }) => sequence === to + 1));
  const common = {
    ...head,
    parts,
    holes: mergeIntervals(head.holes, commit.holes),
    receivedAtMs: Math.max(head.receivedAtMs, commit.receivedAtMs),
    poison: commit.poison ?? head.poison,
    lanes: { ...head.lanes, [commit.lane ?? "live"]: freshLane() },
  };
  if (commit.lane === "fill") return { ...common, gaps: shrunk(head.gaps, from, to) };
  return {
    ...common,
    offset: to,
    incarnation: commit.incarnation,
    frameTimeMs: commit.frameTimeMs,
    receivedAtMs: commit.receivedAtMs,
  };
}

function shrunk(gaps: readonly Interval[], from: number, to: number): Interval[] {
  return gaps.flatMap(([first, last]): Interval[] => {
    if (first !== from + 1) return [[first, last]];
    return to >= last ? [] : [[to + 1, last]];
  });
}

export function skippedHead<H extends LaneHead>(
  head: H,
  to: number,
  at: { incarnation: string; frameTimeMs: number; receivedAtMs: number },
): H {
  assert(to > head.offset, `a skip ahead of ${head.offset}, got ${to}`);
  return {
    ...head,
    gaps: mergeIntervals(head.gaps, [[head.offset + 1, to]]),
    offset: to,
    incarnation: at.incarnation,
    frameTimeMs: at.frameTimeMs,
    receivedAtMs: Math.max(head.receivedAtMs, at.receivedAtMs),
    lanes: { ...head.lanes, live: freshLane() },
  };
}

export function adoptedHead<H extends LaneHead>(
  head: H,
  to: { incarnation: string; offset: number; frameTimeMs: number; hole: Interval | undefined },
): H {
  return {
    ...head,
    incarnation: to.incarnation,
    offset: to.offset,
    // 0 where nothing is known of the frame at this offset.
    frameTimeMs: to.frameTimeMs,
    era: nextEra(head.era),
    holes: mergeIntervals(head.holes, [...head.gaps, ...(to.hole === undefined ? [] : [to.hole])]),
    gaps: [],
    parts: [],
    // One that is swapped is what readers see: upkeep finishes it.
    replays: head.replays.filter(({ state }) => state === "swapped"),
    lanes: { live: freshLane(), fill: freshLane() },
  };
}
