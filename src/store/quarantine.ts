// Tenants in quarantine: a row each, from the commit that says so until somebody releases it.
//
// Q1. What a quarantine holds is counted nowhere but where dead letters are counted (letters.ts): it grows and falls with
//     them, whoever puts or removes them.
import type { State, Writes } from "./environment.ts";
import { quarantineKey, tableRange, tenantOfKey } from "./keys.ts";
import { quarantinedBytes } from "./letters.ts";
import { rowsOf } from "./paging.ts";
import { count, pack, text, unpack } from "./rows.ts";
import type { Commit, Quarantined } from "./store.ts";

/** A tenant that is in quarantine already stays in it as it is. */
export function planQuarantine(
  state: State,
  quarantine: NonNullable<Commit["quarantine"]>,
  writes: Writes,
): void {
  const once = new Map(quarantine.toReversed().map((each) => [each.tenant, each]));
  for (const { tenant, sinceMs, why } of once.values()) {
    const key = quarantineKey(tenant);
    if (state.peek(key) === undefined) writes.puts.push({ key, value: pack([sinceMs, why]) });
  }
}

/** Sorted by tenant, as UTF-8 bytes. */
export function readQuarantined(state: State): Quarantined[] {
  const what = "the row of a quarantine";
  return Array.from(rowsOf(state, tableRange("quarantine")), ({ key, value }) => {
    const tenant = tenantOfKey(key);
    const [sinceMs, why] = unpack(value, 2, what);
    return {
      tenant,
      sinceMs: count(sinceMs, what),
      why: text(why, what),
      bytes: quarantinedBytes(state, tenant),
    };
  });
}
