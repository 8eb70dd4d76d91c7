// When poison is no longer a matter of one line: a tenant that is quarantined, a shard that is stopped.
//
// O1. By the times at which lines were received, so that it does not matter how long their deaths took.
// O2. More lines a minute than that are no senders' fault, and dead letters are no place to empty a record into.
import type { DeadLetter, LetterPlace, ShardReader, ShardState } from "../src/store/store.ts";

/** O2. */
export const poisonLinesPerMinuteMax = 100;
const minuteMs = 60_000;

export const quarantineLines = 3;
export const quarantineWithinMs = 600_000;

const lettersPerPage = 1000;

/** When each poison line of the tenant that is a dead letter was received, ms. */
export type PoisonLetters = (tenant: string) => Promise<number[]>;

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
  const near = (await letters(tenant)).filter((ms) => Math.abs(ms - receivedAtMs) < quarantineWithinMs);
  if (near.length + 1 < quarantineLines) return "";
  return `${near.length + 1} of its lines poisoned within ${quarantineWithinMs / minuteMs} minutes`;
}

export function poisonLettersOf(openReader: () => Promise<ShardReader>): PoisonLetters {
  return async (tenant) => {
    const reader = await openReader();
    try {
      const snapshot = await reader.snapshot();
      const times: number[] = [];
      let after: LetterPlace | undefined;
      let page: DeadLetter[];
      do {
        const only = { tenant, reason: "poison", ...(after !== undefined && { after }) };
        page = await snapshot.dead(lettersPerPage, only);
        times.push(...page.map((letter) => letter.receivedAtMs));
        after = page.at(-1);
      } while (page.length > 0);
      snapshot.close();
      return times;
    } finally {
      await reader.close();
    }
  };
}
