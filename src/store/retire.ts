// Which series nobody has fed for their longest ladder, and what goes with them. Worked out against one state of the
// shard; nothing is written here.
//
// Rounds of upkeep note the day from which on a series has nothing left (keys.ts: activity). That day is never wiped:
// upkeep and names are written under different conditions, and two writers of one row would undo each other's work. A
// series that went is known by its missing name.
//
// I1. A series goes only when its day is over and no blob, staged ones included, holds a row of it: what came since its
//     last round.
// I2. Work of one call is bounded: so many chunks, names and looks into blobs. It says where the next one goes on.
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import { decodeBlob, firstRowOf, valueAt } from "./blob.ts";
import type { State, Writes } from "./environment.ts";
import { activityKey, idsPerChunk, nameKey, tableRange, u32OfKey } from "./keys.ts";
import { Unnaming } from "./unnaming.ts";

export const daySeconds = 86_400;
const namesMost = 1000;
/** Looks for a living name; chunks read. */
const looksMost = 8192;
const chunksMost = 512;
const chunksPerPage = 16;
/** Looks for a series in a blob. */
const blobLooksMost = 200_000;
const pageRows = 1024;

export interface RetirePlan {
  ids: number[];
  writes: Writes;
  /** Where the next call goes on: ids below it are done in this pass. */
  next: number;
  more: boolean;
}

export function planRetire(state: State, nowSeconds: number, from: number): RetirePlan {
  const today = Math.floor(nowSeconds / daySeconds);
  const due = dueFrom(state, today, from);
  const blobs = due.ids.length === 0 ? [] : blobKeys(state);
  const most = Math.max(1, Math.floor(blobLooksMost / Math.max(1, blobs.length)));
  if (due.ids.length > most) {
    due.next = due.ids[most] ?? 0;
    due.ids.length = most;
  }
  const fed = fedOf(state, due.ids, blobs);
  const ids = due.ids.filter((id) => !fed.has(id));
  const unnaming = new Unnaming(state);
  for (const id of ids) unnaming.remove(id);
  return { ids, writes: unnaming.writes(), next: due.next ?? 0, more: due.next !== undefined };
}

/** Named series from `from` on whose day is over, ascending; `next` undefined: these are all. */
function dueFrom(state: State, today: number, from: number): { ids: number[]; next: number | undefined } {
  const ids: number[] = [];
  const { end } = tableRange("activity");
  let looks = 0;
  for (let at = from, chunks = 0; chunks < chunksMost; ) {
    const page = state.range(activityKey(Math.floor(at / idsPerChunk)), end, chunksPerPage);
    for (const { key, value } of page) {
      if (value.length !== 2 * idsPerChunk)
        throw new Outage("store-corrupt", "a row of last days is not what was written");
      const first = u32OfKey(key) * idsPerChunk;
      for (let id = Math.max(at, first); id < first + idsPerChunk; id++) {
        const day = value.readUInt16LE(2 * (id - first));
        if (day === 0 || day >= today) continue;
        if (ids.length >= namesMost || looks >= looksMost) return { ids, next: id };
        looks++;
        // The next name there is: what lies before it has gone already.
        const [living] = state.keys(nameKey(id), nameKey(first + idsPerChunk), 1);
        if (living === undefined) break;
        const named = u32OfKey(living);
        if (named === id) ids.push(id);
        else id = named - 1;
      }
      at = first + idsPerChunk;
    }
    if (page.length < chunksPerPage) return { ids, next: undefined };
    chunks += page.length;
    if (chunks >= chunksMost) return { ids, next: at };
  }
  return { ids, next: undefined };
}

function blobKeys(state: State): Buffer[] {
  const keys: Buffer[] = [];
  for (const { start, end } of [tableRange("blob"), tableRange("staged")])
    for (let from = start; ; ) {
      const page = state.keys(from, end, pageRows);
      keys.push(...page);
      const last = page.at(-1);
      if (page.length < pageRows || last === undefined) break;
      from = Buffer.concat([last, Buffer.of(0)]);
    }
  return keys;
}

/** I1. Which of these ids, ascending, have a row in a blob. */
function fedOf(state: State, ids: readonly number[], blobs: readonly Buffer[]): Set<number> {
  const fed = new Set<number>();
  for (const key of blobs) {
    if (fed.size === ids.length) break;
    const bytes = state.peek(key);
    assert(bytes !== undefined, "a blob whose key is there");
    const blob = decodeBlob(bytes);
    let row = 0;
    for (const id of ids) {
      row = firstRowOf(blob, id, row);
      if (row >= blob.rows) break;
      if (valueAt(blob.series, row) === id) fed.add(id);
    }
  }
  return fed;
}
