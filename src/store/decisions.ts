// What the owner's smaller changes come to, each decided against one state of the shard: an answer, and what is to be
// written for it to be true. An old epoch changes nothing.
import type { State, Writes } from "./environment.ts";
import type { ShardHead } from "./head.ts";
import { deadPlace, purgeKey, quarantineKey, tombstoneKey } from "./keys.ts";
import { areListed, DeadLetters, keysOfTenant, planListing } from "./letters.ts";
import { encodeNumber } from "./rows.ts";
import type { Changed, LetterPlace } from "./store.ts";
import { hasTombstone } from "./tombstones.ts";
import { Unnaming } from "./unnaming.ts";

export type Decision<T> = { answer: T; change?: { head: ShardHead; writes: Writes; budgeted: boolean } };

/**
 * Answers those that went, all that still have a name: their names by id. `isBuried`: of a tenant that has its tombstone,
 * so no lane takes lines of it.
 */
export function decideDeletion(
  now: State,
  epoch: number,
  ids: readonly number[],
  isBuried: boolean,
): Decision<Map<number, Buffer>> {
  const gone = new Map<number, Buffer>();
  if (now.head.epoch !== epoch) return { answer: gone };
  const unnaming = new Unnaming(now);
  for (const id of ids) {
    const name = unnaming.remove(id);
    if (name !== undefined) gone.set(id, name);
  }
  if (gone.size === 0) return { answer: gone };
  const writes = unnaming.writes();
  for (const id of gone.keys()) writes.puts.push({ key: purgeKey(id), value: encodeNumber(now.head.blobs) });
  return changed(gone, now, writes, isBuried ? 0 : gone.size);
}

/** Answers how many there were. */
export function decideDrop(now: State, epoch: number, places: readonly LetterPlace[]): Decision<number> {
  if (now.head.epoch !== epoch) return { answer: 0 };
  const letters = new DeadLetters(now);
  const dropped = places.filter((place) => letters.close(place, "dropped") !== undefined).length;
  if (dropped === 0) return { answer: 0 };
  const writes = noWrites();
  letters.addTo(writes);
  return changed(dropped, now, writes);
}

/** Nothing is kept of the letters: nobody replays a tenant that has its tombstone. Answers how many there were. */
export function decideLetterPurge(now: State, epoch: number, tenant: string, most: number): Decision<number> {
  if (now.head.epoch !== epoch || !hasTombstone(now, tenant)) return { answer: 0 };
  const keys = keysOfTenant(now, tenant, most);
  if (keys.length === 0) return { answer: 0 };
  const letters = new DeadLetters(now);
  for (const key of keys) letters.remove(deadPlace(key));
  const writes = noWrites();
  letters.addTo(writes);
  return changed(keys.length, now, writes);
}

export function decideRelease(now: State, epoch: number, tenant: string): Decision<Changed> {
  if (now.head.epoch !== epoch) return { answer: "fenced" };
  const key = quarantineKey(tenant);
  if (now.peek(key) === undefined) return { answer: "ok" };
  return changed("ok", now, { puts: [], removes: [key] }, 1);
}

/** Who is buried is in quarantine no more. */
export function decideBurial(now: State, epoch: number, tenant: string): Decision<Changed> {
  if (now.head.epoch !== epoch) return { answer: "fenced" };
  const quarantine = quarantineKey(tenant);
  const held = now.peek(quarantine) !== undefined;
  if (hasTombstone(now, tenant) && !held) return { answer: "ok" };
  const puts = [{ key: tombstoneKey(tenant), value: Buffer.of(0) }];
  return changed("ok", now, { puts, removes: held ? [quarantine] : [] }, 1);
}

/** Brings letters from before there were lists into them: part after part, until none is left to go on from. */
export function decideListing(now: State, from: Buffer | undefined): Decision<Buffer | undefined> {
  if (areListed(now)) return { answer: undefined };
  const { writes, next } = planListing(now, from);
  return changed(next, now, writes);
}

function noWrites(): Writes {
  return { puts: [], removes: [] };
}

/** None of these adds much: they are for a store without room, too. */
function changed<T>(answer: T, now: State, writes: Writes, removals = 0): Decision<T> {
  const head = { ...now.head, removals: now.head.removals + removals };
  return { answer, change: { head, writes, budgeted: false } };
}
