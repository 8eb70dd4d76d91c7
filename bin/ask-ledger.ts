// A tenant's books, asked of the shards that hold its history: for the command line and for the api.
import type { Bus } from "../src/bus/bus.ts";
import type { QueuedRow } from "../src/store/books.ts";
import type { LedgerRow, ShardState } from "../src/store/store.ts";
import { askShard } from "./ask-shard.ts";

/** What one shard said of a stretch of minutes. */
export interface ShardLedger extends Pick<ShardState, "offset" | "gaps" | "parts"> {
  shard: number;
  /** Of the frames up to the offset, without those in gaps and the rest of those that are committed in part. */
  rows: LedgerRow[];
  queued: QueuedRow[];
  /** There is more queued than could be counted in the time. */
  queuedMore: boolean;
  /** The minutes that these are all rows of, both included. */
  from: number;
  until: number;
}

export interface AskedLedger {
  parts: ShardLedger[];
  unasked: { shard: number; why: string }[];
}

/** Questions that one tenant's books may take of one shard: a year in minutes would still fit. */
const questionsMax = 1000;

/** Minutes from `from` to `until`, epoch seconds, both included. Never rejects for an outage: `unasked` says why not. */
export async function askLedger(
  bus: Bus,
  tenant: string,
  shards: readonly number[],
  from: number,
  until: number,
  queued: boolean,
): Promise<AskedLedger> {
  const asked: AskedLedger = { parts: [], unasked: [] };
  for (const shard of shards) {
    let at = from;
    for (let questions = 0; at <= until; questions++) {
      const answer = await askShard(bus, { kind: "ledger", shard, tenant, from: at, until, queued });
      if (answer.kind !== "ledger" || questions >= questionsMax) {
        const why =
          answer.kind === "none"
            ? answer.why
            : answer.kind === "ledger"
              ? "more than it can be asked for"
              : answer.kind;
        asked.unasked.push({ shard, why });
        break;
      }
      const { offset, gaps, parts, rows, queuedMore, rowsMore } = answer;
      const end = rowsMore ? (rows.at(-1)?.minute ?? until) : until;
      const within = answer.queued.filter(({ minute }) => minute <= end);
      asked.parts.push({
        shard,
        offset,
        gaps,
        parts,
        rows,
        queued: within,
        queuedMore,
        from: at,
        until: end,
      });
      at = end + 60;
    }
  }
  return asked;
}
