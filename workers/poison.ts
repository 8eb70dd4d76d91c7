// When poison is no longer a matter of one line: a tenant that is quarantined, a shard that is stopped.
//
// O1. By the times at which lines were received, so that it does not matter how long their deaths took.
// O2. More lines a minute than that are no senders' fault, and dead letters are no place to empty a record into.
// O3. So many open letters of poison are looked at and no more: who has as many is quarantined for that alone.
import type { LetterPlace, ShardReader, ShardState, Snapshot } from "../src/store/store.ts";

/** O2. */
export const poisonLinesPerMinuteMax = 100;
const minuteMs = 60_000;

export const quarantineLines = 3;
export const quarantineWithinMs = 600_000;

/** O3. */
export const poisonOpenMost = 1000;

/** When poison lines of the tenant that are dead letters were received, ms: of at most so many. */
export type PoisonLetters = (tenant: string, most: number) => Promise<number[]>;

/** One line more. `why` is not empty where that is one too many. */
export function countPoison(
  { sinceMs, lines }: ShardState["poison"],
  nowMs: number,
): { poison: ShardState["poison"]; why: string } {
  const isSame = nowMs >= sinceMs && nowMs - sinceMs < minuteMs;
  const poison = isSame ? { sinceMs, lines: lines + 1 } : { sinceMs: nowMs, lines: 1 };
  const isFlood = poison.lines > poisonLinesPerMinuteMax;
  return {
    poison,
    why: isFlood
      ? `more than ${poisonLinesPerMinuteMax} lines poisoned within a minute, the last one by`
      : "",
  };
}

/** O1. "": it is not to be quarantined for one more line that was received then. */
export async function whyQuarantined(
  letters: PoisonLetters,
  tenant: string,
  receivedAtMs: number,
): Promise<string> {
  const times = await letters(tenant, poisonOpenMost);
  if (times.length >= poisonOpenMost) return `${poisonOpenMost} of its poison lines are open dead letters`;
  const near = times.filter((ms) => Math.abs(ms - receivedAtMs) < quarantineWithinMs);
  if (near.length + 1 < quarantineLines) return "";
  return `${near.length + 1} of its lines poisoned within ${quarantineWithinMs / minuteMs} minutes`;
}

export function poisonLettersOf(openReader: () => Promise<ShardReader>): PoisonLetters {
  return async (tenant, most) => {
    const reader = await openReader();
    try {
      const snapshot = await reader.snapshot();
      try {
        return await receivedOf(snapshot, tenant, most);
      } finally {
        snapshot.close();
      }
    } finally {
      await reader.close();
    }
  };
}

async function receivedOf(snapshot: Snapshot, tenant: string, most: number): Promise<number[]> {
  const times: number[] = [];
  for (let after: LetterPlace | undefined; times.length < most; ) {
    const only = { tenant, reason: "poison", ...(after !== undefined && { after }) };
    const page = await snapshot.dead(most - times.length, only);
    times.push(...page.map((letter) => letter.receivedAtMs));
    after = page.at(-1);
    if (after === undefined) break;
  }
  return times;
}
