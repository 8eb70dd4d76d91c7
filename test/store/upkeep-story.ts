// A history that is the same each time it is told: what commit n of it holds, when series are deleted, which ladders
// there are. Children tell it to a store that they are killed over (upkeep-child.ts), their parent to the memory engine.
//
// Time goes a minute a commit, and ladders are short: within some hundred commits rungs are left behind, spans are
// merged, points come late and too late, series are deleted and come again.
import { mergeSummary, summaryOf } from "../../src/metric/summary.ts";
import type { Commit, ShardStore, UpkeepTask } from "../../src/store/store.ts";
import { columns, commitOf, key, type RowInput } from "../contract/store-helpers.ts";
import { rulesOf, t0 } from "../contract/store-life.ts";

export const ladders = rulesOf("10s:10m,60s:3h", {
  t1: [[0, { "^odd": "7s:100s,49s:1000s,490s:20000s", "^many": "2s:50s,4s:60s,8s:70s,24s:80s,48s:5000s" }]],
  t2: [[0, { "^short": "1s:60s", "^one": "60s:2h" }]],
});
export const tenants = ["t1", "t2"];
export const groups = ["odd", "many", "short", "one", "other", "del"];
const seriesPerGroup = 6;
/** After so many commits series are deleted. */
export const deleteEvery = 20;

/** Times from here on every rung of every ladder above holds. */
export const heldSeconds = 50;

export function nowAt(offset: number): number {
  return t0 + offset * 60;
}

export function taskAt(offset: number, all: boolean): UpkeepTask {
  return { nowSeconds: nowAt(offset), ladders, all };
}

/** Commit from `offset` to the next: a function of the offset alone. */
export function commitAt(epoch: number, offset: number): Commit {
  const now = nowAt(offset + 1);
  const names: { tenant: string; name: string }[] = [];
  const rows: RowInput[] = [];
  for (const [g, group] of groups.entries())
    for (let i = 0; i < seriesPerGroup; i++) {
      if ((offset + i + g) % 3 === 0) continue;
      const series = names.push({ tenant: tenants[(g + i) % 2] as string, name: `${group}.s${i}` }) - 1;
      for (let n = 0; n < 3; n++) {
        const mixed = (offset * 7919 + i * 104_729 + g * 31 + n * 613) % 9973;
        const back = [mixed % 45, mixed % 45, mixed % 4000, mixed * 10][(mixed + n) % 4] as number;
        const sum = (mixed % 800) / 8;
        rows.push({ series, fresh: true, bucket: now - back, sum, lastReceivedAtMs: now * 1000 + n });
      }
    }
  return commitOf(epoch, offset, offset + 1, {
    receivedAtMs: now * 1000,
    newSeries: names.map(({ tenant, name }) => key(name, tenant)),
    deltas: columns(once(rows)),
    boots: [{ boot: "aa", applied: [[offset + 1, offset + 1]], lastAppliedMs: now * 1000 }],
  });
}

/** One row per series and bucket, as the aggregator gives them. */
function once(rows: readonly RowInput[]): RowInput[] {
  const out = new Map<string, RowInput>();
  for (const row of rows) {
    const at = `${row.series} ${row.bucket}`;
    const there = out.get(at);
    if (there === undefined) out.set(at, row);
    else {
      const summary = summaryOf(there.sum ?? 0, there.bucket, there.lastReceivedAtMs ?? 0);
      summary.points = there.points ?? 1;
      summary.min = there.min ?? summary.sum;
      summary.max = there.max ?? summary.sum;
      summary.last = there.last ?? summary.sum;
      mergeSummary(summary, summaryOf(row.sum ?? 0, row.bucket, row.lastReceivedAtMs ?? 0));
      out.set(at, { ...there, ...summary });
    }
  }
  return [...out.values()];
}

/** What is due before commit `offset`; doing it again changes nothing. */
export async function deleteAt(store: ShardStore, epoch: number, offset: number): Promise<void> {
  if (offset === 0 || offset % deleteEvery !== 0) return;
  for (const tenant of tenants) await store.deleteSeries(epoch, tenant, "del.*", 1000);
}
