// Replays of the memory engine (../replays.ts), in the plainest way: staged rows lie in a list of their own, and a swap
// takes the old ones out of the rows and puts these in.
import type { Ladder } from "../../metric/bucket.ts";
import { beginProblem, cutProblem, isWithin, rangeProblem, replacedUnder, replayOf } from "../replays.ts";
import { swappedHead, withoutReplay, type ReplayAsked, type ReplayBegun } from "../replay-changes.ts";
import type { Replay } from "../state.ts";
import type { Disk, Row } from "./disk.ts";

export function beginReplay(disk: Disk, asked: ReplayAsked): ReplayBegun {
  const { tenant, from, until, first } = asked;
  const why =
    rangeProblem(asked) ??
    beginProblem(disk.state, first, disk.tombstones.has(tenant)) ??
    cutProblem(asked, laddersOf(disk, tenant));
  if (why !== undefined) return { kind: "refused", why };
  const { offset, gaps } = disk.state;
  const id = ++disk.lastReplay;
  const replay: Replay = { id, tenant, from, until, offset, gaps, state: "building", done: first - 1, first };
  disk.state = { ...disk.state, replays: [replay] };
  disk.barrier = disk.commits;
  return { kind: "begun", replay: structuredClone(replay) };
}

/** What the tenant has points under. */
function laddersOf(disk: Disk, tenant: string): Ladder[] {
  const mine = disk.rows.filter(({ series }) => disk.series.get(series)?.tenant === tenant);
  const texts = new Set(mine.flatMap(({ settled }) => settled ?? []));
  return [...texts].flatMap((text) => disk.ladders.get(text)?.ladder ?? []);
}

/** Y2, Y3: it is known under which ladder each of its rows is. */
export function isReady(disk: Disk): boolean {
  return replayOf(disk.state)?.state === "staged" && !isAwaited(disk);
}

/** Whether a replay waits for upkeep. */
export function isAwaited({ state, rows, staged, barrier }: Disk): boolean {
  const replay = replayOf(state);
  if (replay === undefined || replay.state === "swapped") return false;
  const isFresh = ({ settled }: Row) => settled === undefined;
  return (
    rows.some((row) => row.commit <= barrier && isFresh(row)) ||
    (replay.state === "staged" && staged.some(isFresh))
  );
}

export function swapReplay(disk: Disk, replay: Replay): void {
  const isReplaced = (row: Row) => {
    const ladder = disk.ladders.get(row.settled ?? "")?.ladder;
    return (
      disk.series.get(row.series)?.tenant === replay.tenant &&
      (disk.gaugeSince.get(row.series) ?? Number.POSITIVE_INFINITY) > disk.barrier &&
      ladder !== undefined &&
      isWithin(row.bucket, replacedUnder(replay, ladder))
    );
  };
  disk.rows = [
    ...disk.rows.filter((row) => row.commit > disk.barrier || !isReplaced(row)),
    ...disk.staged.filter(isReplaced).map((row) => ({ ...row, commit: disk.commits })),
  ];
  disk.staged = [];
  disk.state = swappedHead(disk.state);
}

export function giveUpReplay(disk: Disk, id: number): void {
  const replay = replayOf(disk.state);
  disk.state = withoutReplay(disk.state, id);
  if (replay !== replayOf(disk.state)) giveUpStaged(disk);
}

export function giveUpBuried(disk: Disk, id: number): void {
  const replay = replayOf(disk.state);
  if (replay?.id === id && disk.tombstones.has(replay.tenant)) giveUpReplay(disk, id);
}

/** Series that were new with these rows end as others do that nothing is left of. */
export function giveUpStaged(disk: Disk): void {
  for (const { series } of disk.staged) disk.expiryDay.set(series, disk.expiryDay.get(series) ?? 1);
  disk.staged = [];
}
