// Dead letters, quarantines and tombstones of the memory engine, in the plainest way: counts are counted when asked for.
import { assert } from "../../base/assert.ts";
import { compareTexts } from "../order.ts";
import {
  lettersBytesMost,
  partsPerFrame,
  type Buried,
  type Commit,
  type DeadCount,
  type DeadLetter,
  type LetterPlace,
  type Quarantined,
} from "../store.ts";
import type { Disk } from "./disk.ts";

export function keyOfLetter({ sequence, part }: LetterPlace): string {
  return `${sequence}/${part}`;
}

export function applyLetters(disk: Disk, { dead, retried = [], quarantine = [] }: Commit): void {
  for (const place of retried)
    assert(closeLetter(disk, place, "retried"), "letters that are retried are open");
  for (const { sequence, ...letter } of dead) {
    let { part } = letter;
    // Another one of the same line.
    while (disk.dead.has(keyOfLetter({ sequence, part }))) part += partsPerFrame;
    const bytes = Uint8Array.from(letter.bytes);
    disk.dead.set(keyOfLetter({ sequence, part }), { ...letter, sequence, part, bytes });
  }
  for (const { tenant, sinceMs, why } of quarantine)
    if (!disk.quarantined.has(tenant)) disk.quarantined.set(tenant, { sinceMs, why });
}

export function dropLetters(disk: Disk, places: readonly LetterPlace[]): number {
  return places.filter((place) => closeLetter(disk, place, "dropped")).length;
}

function closeLetter({ dead, closed }: Disk, place: LetterPlace, fate: Buried["fate"]): boolean {
  const letter = dead.get(keyOfLetter(place));
  if (letter === undefined) return false;
  closed.set(keyOfLetter(place), buriedOf(letter, fate));
  return dead.delete(keyOfLetter(place));
}

export function buriedIn({ dead, closed }: Pick<Disk, "dead" | "closed">): Buried[] {
  const open = Array.from(dead.values(), (letter) => buriedOf(letter, "open"));
  return [...open, ...closed.values()];
}

function buriedOf(
  { sequence, part, tenant, reason, receivedAtMs, bytes }: DeadLetter,
  fate: Buried["fate"],
): Buried {
  return { sequence, part, tenant, reason, receivedAtMs, bytes: bytes.length, fate };
}

export function quarantinedOf({ quarantined, dead }: Disk): Quarantined[] {
  const counts = countsOf([...dead.values()]);
  return [...quarantined]
    .map(([tenant, { sinceMs, why }]) => {
      const held = counts.find((each) => each.tenant === tenant && each.reason === "quarantined");
      return { tenant, sinceMs, why, bytes: held?.bytes ?? 0 };
    })
    .sort((a, b) => compareTexts(a.tenant, b.tenant));
}

export function countsOf(letters: readonly DeadLetter[]): DeadCount[] {
  const counts = new Map<string, DeadCount>();
  for (const { tenant, reason, lines, bytes } of letters) {
    const key = JSON.stringify([tenant, reason]);
    const known = counts.get(key) ?? { tenant, reason, letters: 0, lines: 0, bytes: 0 };
    counts.set(key, {
      ...known,
      letters: known.letters + 1,
      lines: known.lines + lines,
      bytes: known.bytes + bytes.length,
    });
  }
  return [...counts.values()].sort(
    (a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.reason, b.reason),
  );
}

export function pageOf(
  letters: readonly DeadLetter[],
  most: number,
  only: { after?: LetterPlace; tenant?: string; reason?: string },
): DeadLetter[] {
  const page = letters
    .filter(({ tenant, reason }) => (only.tenant ?? tenant) === tenant && (only.reason ?? reason) === reason)
    .sort(byPlace)
    .filter((letter) => only.after === undefined || byPlace(letter, only.after) > 0)
    .slice(0, most);
  let bytes = 0;
  const end = page.findIndex((letter, i) => (bytes += letter.bytes.length) > lettersBytesMost && i > 0);
  return end < 0 ? page : page.slice(0, end);
}

export function byPlace(a: LetterPlace, b: LetterPlace): number {
  return a.sequence - b.sequence || a.part - b.part;
}
