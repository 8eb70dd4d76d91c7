// Upkeep of the memory engine: rows stay where they are, and get the ladder that decides how a read shows them.
//
// U1. A row has the ladder that the rules gave for its own time when upkeep came to it.
// U2. A rung reaches back to `kept`, which only grows: to the span that holds its oldest second. Rows that upkeep has not
//     come to are settled first, so that a late one still reaches each rung that holds its time.
// U3. A row that no rung reaches is gone.
import { longestSpan } from "../../metric/bucket.ts";
import { ladderAt, ladderText } from "../../metric/ladder-rules.ts";
import type { UpkeepStep, UpkeepTask } from "../store.ts";
import { spanOf } from "../work.ts";
import { replayOf } from "../replays.ts";
import type { Disk, Reach, Row } from "./disk.ts";
import { isAwaited } from "./replays.ts";

export const daySeconds = 86_400;
/** What a row is said to take on disk. */
export const rowBytes = 64;

export function upkeepStep(disk: Disk, { ladders, nowSeconds, all }: UpkeepTask): UpkeepStep {
  if (replayOf(disk.state)?.state === "swapped") {
    disk.state = { ...disk.state, replays: [] };
    return { kind: "worked", work: "replay", rows: 0, bytes: 0, backlogBytes: 0 };
  }
  const now = Math.min(nowSeconds, Math.floor(disk.state.receivedAtMs / 1000));
  const grown = [...disk.ladders].filter(([, reach]) => String(keptAt(reach, now)) !== String(reach.kept));
  const fresh = [...disk.rows, ...disk.staged].filter((row) => row.settled === undefined);
  if (fresh.length > 0 && (all || grown.length > 0 || isAwaited(disk))) {
    const settled = (row: Row) => (row.settled === undefined ? settle(disk, row, ladders) : row);
    disk.rows = disk.rows.map(settled);
    disk.staged = disk.staged.map(settled);
    dropUnheld(disk);
    return {
      kind: "worked",
      work: "fragments",
      rows: fresh.length,
      bytes: fresh.length * rowBytes,
      backlogBytes: 0,
    };
  }
  if (grown.length === 0) return { kind: "idle", backlogBytes: 0 };
  const before = disk.rows.length;
  for (const [text, reach] of grown) disk.ladders.set(text, { ...reach, kept: keptAt(reach, now) });
  dropUnheld(disk);
  return { kind: "worked", work: "retention", rows: before - disk.rows.length, bytes: 0, backlogBytes: 0 };
}

/** U1 */
function settle(disk: Disk, row: Row, rules: UpkeepTask["ladders"]): Row {
  const series = disk.series.get(row.series);
  if (series === undefined) return row;
  const ladder = ladderAt(rules.laddersOf(series.tenant, series.name), row.bucket);
  const text = ladderText(ladder);
  if (!disk.ladders.has(text)) disk.ladders.set(text, { ladder, kept: ladder.rungs.map(() => 0) });
  const day = Math.floor((row.bucket + longestSpan(ladder)) / daySeconds) + 1;
  disk.expiryDay.set(row.series, Math.max(day, disk.expiryDay.get(row.series) ?? 0));
  return { ...row, settled: text };
}

/** U2 */
function keptAt({ ladder, kept }: Reach, now: number): number[] {
  return ladder.rungs.map((rung, k) =>
    Math.max(kept[k] ?? 0, spanOf(ladder, k, Math.max(0, now - rung.spanSeconds))),
  );
}

/** U3, and rows of series that were deleted. */
function dropUnheld(disk: Disk): void {
  disk.rows = disk.rows.filter((row) => {
    const reach = row.settled === undefined ? undefined : disk.ladders.get(row.settled);
    return disk.series.has(row.series) && reach?.kept.some((kept) => row.bucket >= kept) === true;
  });
}
