// What a forgetting removes, worked out against one state of the shard: keyed ids, boots, minutes of the ledger and dead
// letters that nobody will ask for any more. Nothing is written here.
//
// F1. Work and memory of one call are bounded, however much there is: it says where the next one goes on.
// F2. While frames wait in a gap, what was applied is not forgotten: one of them may be a copy, or have one, however long
//     it waits. The store's budget is the bound.
import type { State, Writes } from "./environment.ts";
import {
  after,
  bootOfKey,
  deadPlace,
  idOfKeyedTimeKey,
  keyedKey,
  keyedTimeKey,
  ledgerPlace,
  ledgerPrefix,
  tableRange,
  tenantPrefixOfLedger,
} from "./keys.ts";
import { planClosed } from "./closed-letters.ts";
import { DeadLetters } from "./letters.ts";
import { decodeBoot, letterFacts } from "./rows.ts";
import { bootKeptMs, ledgerKeptMs, keyedKeptMs, type Forgotten } from "./store.ts";

/** Rows of each table looked at by one forgetting. */
const rowsMost = 5000;
/** Tenants in whose ledger it looks. */
const tenantsMost = 1000;
/** Dead letters looked at: 40 ms of work, where they are small, once a second while there are old ones. */
const lettersMost = 2000;
/** Letters lie in the order of the record, not of time, but nearly so: after so many young ones it stops. */
const youngMost = 100;

/** Where the next forgetting begins among the boots and in the ledger; undefined: at the beginning. */
export interface ForgetPlace {
  boots: Buffer | undefined;
  ledger: Buffer | undefined;
}

export interface ForgetPlan {
  writes: Writes;
  forgotten: Forgotten;
  next: ForgetPlace;
}

export function planForget(state: State, nowMs: number, from: ForgetPlace): ForgetPlan {
  const waits = state.head.gaps.length > 0; // F2
  const keyed = waits ? [] : planKeyed(state, nowMs - keyedKeptMs);
  const boots = waits ? { removes: [], next: from.boots } : planBoots(state, nowMs - bootKeptMs, from.boots);
  const ledger = planLedger(state, nowMs - ledgerKeptMs, from.ledger);
  const writes: Writes = { puts: [], removes: [...keyed.flat(), ...boots.removes, ...ledger.removes] };
  const dead = planDead(state, nowMs - ledgerKeptMs, writes);
  const closed = planClosed(state, nowMs - ledgerKeptMs, writes);
  return {
    writes,
    forgotten: {
      keyed: keyed.length,
      boots: boots.removes.length,
      ledger: ledger.removes.length,
      dead,
      closed,
    },
    next: { boots: boots.next, ledger: ledger.next },
  };
}

/** Two rows each. */
function planKeyed(state: State, beforeMs: number): [Buffer, Buffer][] {
  const { start } = tableRange("keyedTime");
  const expired = state.keys(start, keyedTimeKey(beforeMs, Buffer.alloc(0)), rowsMost);
  return expired.map((key) => [key, keyedKey(idOfKeyedTimeKey(key))]);
}

interface Part {
  removes: Buffer[];
  next: Buffer | undefined;
}

function planBoots(state: State, beforeMs: number, from: Buffer | undefined): Part {
  const table = tableRange("boot");
  const page = state.range(from ?? table.start, table.end, rowsMost);
  const old = page.filter(({ key, value }) => decodeBoot(bootOfKey(key), value).lastAppliedMs < beforeMs);
  const last = page.at(-1);
  return {
    removes: old.map(({ key }) => key),
    next: page.length === rowsMost && last !== undefined ? after(last.key) : undefined,
  };
}

/** From tenant to tenant; of each, its oldest minutes. */
function planLedger(state: State, beforeMs: number, from: Buffer | undefined): Part {
  const table = tableRange("ledger");
  const minute = Math.max(0, Math.floor(beforeMs / 1000));
  const removes: Buffer[] = [];
  let at = from ?? table.start;
  for (let tenants = 0; tenants < tenantsMost; tenants++) {
    const [first] = state.keys(at, table.end, 1);
    if (first === undefined) return { removes, next: undefined };
    const { tenant } = ledgerPlace(first);
    const old = state.keys(first, ledgerPrefix(tenant, minute), rowsMost - removes.length);
    removes.push(...old);
    // There may be more of this tenant's.
    if (removes.length >= rowsMost) return { removes, next: first };
    at = after(tenantPrefixOfLedger(tenant));
  }
  return { removes, next: at };
}

/** Goes by the record's order; answers how many go. */
function planDead(state: State, beforeMs: number, writes: Writes): number {
  const { start, end } = tableRange("dead");
  const letters = new DeadLetters(state);
  let young = 0;
  let gone = 0;
  for (const key of state.keys(start, end, lettersMost)) {
    const value = state.peek(key);
    if (value !== undefined && letterFacts(value).receivedAtMs < beforeMs) {
      letters.remove(deadPlace(key));
      gone++;
    } else if (++young > youngMost) break;
  }
  letters.addTo(writes);
  return gone;
}
