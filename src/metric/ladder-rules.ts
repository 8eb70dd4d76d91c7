// Which ladder a series has, and since when: the tenant's storage-schemas rules, first match wins, then the default.
//
// R1. A pure function of (rules, tenant, name, time): upkeep of any shard on any node gives the same answer.
// R2. A change never touches the time before it: the old ladder goes on for older buckets, for late points too.
// R3. Each time is one set's: sets ascend. Between two that don't, a round would put each row under both.
import { assert } from "../base/assert.ts";
import { longestSpan, type Ladder } from "./bucket.ts";

/** A ladder that holds for buckets from `fromSeconds` on, until the next one's. */
export interface LadderSince {
  /** Epoch seconds; 0 in the first of a list. */
  fromSeconds: number;
  ladder: Ladder;
}

/** One rule of storage-schemas.conf. */
export interface SchemaRule {
  name: string;
  /** Source of a regular expression, searched for anywhere in the name. */
  pattern: string;
  ladder: Ladder;
}

/** The schemas of a tenant, one set after the other: ascending by fromSeconds, the first one from 0 on. */
export interface SchemasSince {
  fromSeconds: number;
  rules: SchemaRule[];
}

export interface LadderRules {
  /** Another one for other rules: caches of answers compare it. */
  readonly version: number;
  /** Where not, all names of the tenant have the same ladder. */
  hasOwn(tenant: string): boolean;
  /** Ascending, at least one, the first from 0 on. Equal answers are the same object. */
  laddersOf(tenant: string, name: string): readonly LadderSince[];
}

/** `tenants`: those with rules of their own, by id. */
export function compileLadderRules(
  version: number,
  standard: Ladder,
  tenants: ReadonlyMap<string, readonly SchemasSince[]>,
): LadderRules {
  const plain: readonly LadderSince[] = [{ fromSeconds: 0, ladder: standard }];
  const answers = new Map<string, readonly LadderSince[]>();
  const compiled = new Map(
    [...tenants].map(([tenant, sets]) => {
      for (const [i, { fromSeconds }] of sets.entries()) {
        const before = sets[i - 1]?.fromSeconds ?? -1;
        assert(before < fromSeconds, `sets of schemas that ascend (R3), got ${fromSeconds} after ${before}`);
      }
      const patterns = sets.map(({ rules }) => rules.map((rule) => new RegExp(rule.pattern)));
      return [tenant, { sets, patterns, byMatch: new Map<string, readonly LadderSince[]>() }];
    }),
  );

  /** The answer for a name that matches these rules, by their places in the sets. */
  function answerOf(sets: readonly SchemasSince[], matches: readonly number[]): readonly LadderSince[] {
    const list: LadderSince[] = [];
    for (const [i, { fromSeconds, rules }] of sets.entries()) {
      const ladder = rules[matches[i] ?? -1]?.ladder ?? standard;
      const before = list.at(-1);
      if (before === undefined) list.push({ fromSeconds: 0, ladder });
      else if (ladderText(before.ladder) !== ladderText(ladder)) list.push({ fromSeconds, ladder });
    }
    if (list.length === 0) return plain;
    const text = list.map((each) => `${each.fromSeconds} ${ladderText(each.ladder)}`).join("\n");
    const known = answers.get(text) ?? list;
    if (answers.size < matchesMax) answers.set(text, known);
    return known;
  }

  return {
    version,
    hasOwn: (tenant) => compiled.has(tenant),
    laddersOf(tenant, name) {
      const known = compiled.get(tenant);
      if (known === undefined) return plain;
      const matches = known.patterns.map((patterns) => patterns.findIndex((pattern) => pattern.test(name)));
      const key = matches.join();
      let answer = known.byMatch.get(key);
      if (answer === undefined) {
        // As many as there are ways to match, which is few unless the rules of eight sets were made for it.
        if (known.byMatch.size >= matchesMax) known.byMatch.clear();
        answer = answerOf(known.sets, matches);
        known.byMatch.set(key, answer);
      }
      return answer;
    },
  };
}

const matchesMax = 10_000;

/** As parseLadder reads it, in seconds: equal ladders have equal texts. */
export function ladderText(ladder: Ladder): string {
  return ladder.rungs.map(({ stepSeconds, spanSeconds }) => `${stepSeconds}s:${spanSeconds}s`).join(",");
}

/** The ladder of buckets that begin at `seconds`. */
export function ladderAt(ladders: readonly LadderSince[], seconds: number): Ladder {
  const found = ladders.findLast((each) => each.fromSeconds <= seconds) ?? ladders[0];
  return found?.ladder ?? { rungs: [] };
}

/** Bounds of what one tenant may ask for: each ladder is a family of pieces of its own in every store. */
export const rulesMax = 64;
export const laddersMax = 16;
export const schemaSetsMax = 8;
const rungsMax = 8;
const spanSecondsMax = 20 * 31_536_000;

/** Why a tenant may not have this ladder, if so. */
export function ladderProblem({ rungs }: Ladder): string | undefined {
  if (rungs.length > rungsMax) return `${rungs.length} steps; at most ${rungsMax} are served`;
  for (const [i, { spanSeconds, stepSeconds }] of rungs.entries()) {
    if (spanSeconds > spanSecondsMax) return `${spanSeconds}s is longer than 20 years`;
    const coarser = rungs[i + 1];
    // As whisper has it: what a coarser value is made of must still be there when it is.
    if (coarser !== undefined && spanSeconds < coarser.stepSeconds)
      return `${stepSeconds}s is kept for ${spanSeconds}s, which is less than the next step of ${coarser.stepSeconds}s`;
  }
  return undefined;
}

/** From a time on, how long anything is kept: the longest ladder of each set, ascending by time. */
export type Reach = readonly { fromSeconds: number; spanSeconds: number }[];

export function reachOf(standard: Ladder, sets: readonly SchemasSince[]): Reach {
  if (sets.length === 0) return [{ fromSeconds: 0, spanSeconds: longestSpan(standard) }];
  return sets.map((set) => ({ fromSeconds: set.fromSeconds, spanSeconds: longestOf(standard, [set]) }));
}

/** The earliest second that some ladder still holds: by R2 that of its own time counts, however long later ones are. */
export function oldestHeld(nowSeconds: number, reach: Reach): number {
  let oldest = nowSeconds;
  for (let i = 0; i < reach.length; i++) {
    const { fromSeconds, spanSeconds } = reach[i] as Reach[number];
    const from = Math.max(fromSeconds, nowSeconds - spanSeconds);
    if (from < (reach[i + 1]?.fromSeconds ?? Number.POSITIVE_INFINITY)) oldest = Math.min(oldest, from);
  }
  return Math.max(1, oldest);
}

/** How far back any series of these rules can reach. */
export function longestOf(standard: Ladder, sets: readonly SchemasSince[]): number {
  const rules = sets.flatMap((set) => set.rules);
  return Math.max(longestSpan(standard), ...rules.map((rule) => longestSpan(rule.ladder)));
}
