// Dead letters that are no more: of each that was retried or dropped a small row stays, for as long as letters are kept.
// So it can be said of any line of the record whether it was buried once: a replay must leave it out, for what became of
// it has come, or will come, by a frame of its own (workers/replay.ts).
import type { State, Writes } from "./environment.ts";
import type { Breathe } from "./find.ts";
import { closedKey, deadKey, deadPlace, tableRange } from "./keys.ts";
import { justAfter } from "./paging.ts";
import { count, letterFacts, pack, text, unpack, type LetterFacts } from "./rows.ts";
import type { Buried, LetterPlace } from "./store.ts";

const fates = ["retried", "dropped"] as const;
export type Closing = (typeof fates)[number];

/** Rows looked at by one forgetting. They lie in the order of the record, so after so many young ones it stops. */
const rowsMost = 5000;
const youngMost = 100;
/** Letters, each perhaps a megabyte, before others get a turn. */
const lettersPerTurn = 64;

export function encodeClosed({ tenant, reason, receivedAtMs, bytes }: LetterFacts, fate: Closing): Buffer {
  return pack([tenant, reason, receivedAtMs, fates.indexOf(fate), bytes]);
}

function decodeClosed(key: Buffer, value: Uint8Array): Buried {
  const what = "a closed dead letter";
  const [tenant, reason, receivedAtMs, fate, bytes] = unpack(value, 5, what);
  return {
    ...deadPlace(key),
    tenant: text(tenant, what),
    reason: text(reason, what),
    receivedAtMs: count(receivedAtMs, what),
    bytes: count(bytes, what),
    fate: fates[count(fate, what)] ?? "dropped",
  };
}

/** See Snapshot.buried. */
export async function readBuried(
  state: State,
  most: number,
  behind: LetterPlace | undefined,
  breathe: Breathe,
): Promise<Buried[]> {
  const open = await openOnes(state, most + 1, behind, breathe);
  return pageOfBuried([...open, ...closedOnes(state, most + 1, behind)], most);
}

/** An open one and a closed one may have the same place: who goes on behind it would miss the other. */
export function pageOfBuried(found: readonly Buried[], most: number): Buried[] {
  const sorted = found.toSorted((a, b) => a.sequence - b.sequence || a.part - b.part);
  let end = Math.min(most, sorted.length);
  while (end > 0 && end < sorted.length && samePlace(sorted[end - 1], sorted[end])) end++;
  return sorted.slice(0, end);
}

/** Answers how many rows go. */
export function planClosed(state: State, beforeMs: number, writes: Writes): number {
  const { start, end } = tableRange("closed");
  let young = 0;
  let gone = 0;
  for (const { key, value } of state.range(start, end, rowsMost)) {
    if (decodeClosed(key, value).receivedAtMs < beforeMs) {
      writes.removes.push(key);
      gone++;
    } else if (++young > youngMost) break;
  }
  return gone;
}

async function openOnes(
  state: State,
  most: number,
  behind: LetterPlace | undefined,
  breathe: Breathe,
): Promise<Buried[]> {
  const { start, end } = tableRange("dead");
  const from = behind === undefined ? start : justAfter(deadKey(behind.sequence, behind.part));
  const found: Buried[] = [];
  for (const key of state.keys(from, end, most)) {
    const value = state.peek(key);
    if (value === undefined) continue;
    const { tenant, reason, receivedAtMs, bytes } = letterFacts(value);
    found.push({ ...deadPlace(key), tenant, reason, receivedAtMs, bytes, fate: "open" });
    if (found.length % lettersPerTurn === 0) await breathe();
  }
  return found;
}

function closedOnes(state: State, most: number, behind: LetterPlace | undefined): Buried[] {
  const { start, end } = tableRange("closed");
  const from = behind === undefined ? start : justAfter(closedKey(behind.sequence, behind.part));
  return state.range(from, end, most).map(({ key, value }) => decodeClosed(key, value));
}

function samePlace(a: LetterPlace | undefined, b: LetterPlace | undefined): boolean {
  return a?.sequence === b?.sequence && a?.part === b?.part;
}
