// A dead letter is named by the sequence of its frame and its part, for good: people write such names down, and frames
// that retry a letter carry them. A record that is adopted may count from 1 again, so each era of a shard, from one
// adopted record to the next, has a span of numbers of its own: what a letter is called is era x span + sequence, which
// in the first era is the sequence. Letters of earlier eras come first, as they did in time.
import { assert } from "../base/assert.ts";
import type { Commit } from "./store.ts";

/** A thousand frames a second fill it in 139 years. */
const span = 2 ** 42;
/** Numbers stay exact. Who adopts more records than this gets no further era: letters of the last one may meet. */
const eraLast = 2 ** 11 - 1;

export function nextEra(era: number): number {
  return Math.min(era + 1, eraLast);
}

/** The sequence by which letters of a frame are named. */
export function letterSequence(era: number, sequence: number): number {
  assert(sequence < span, `a sequence below ${span}, got ${sequence}`);
  return era * span + sequence;
}

/** Where in which era's record the frame of a letter was. */
export function placeInRecord(named: number): { era: number; sequence: number } {
  return { era: Math.floor(named / span), sequence: named % span };
}

/** The commit, with its letters by their names. */
export function withNamedLetters(era: number, commit: Commit): Commit {
  if (era === 0 || commit.dead.length === 0) return commit;
  const dead = commit.dead.map((letter) => ({ ...letter, sequence: letterSequence(era, letter.sequence) }));
  return { ...commit, dead };
}
