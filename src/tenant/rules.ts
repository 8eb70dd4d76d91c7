// A tenant's rules, as they lie in its record and as the system uses them: which ladder a series has and since when,
// and what of it is shown by default.
//
// R1. What can't be read costs the rules, not the tenant: it goes on with the default ladder and averages.
// R2. A changed set of schemas holds from the next full hour that is at least a minute ahead: every process has heard
//     of it by then, and buckets of every usual step begin there.
// R3. Bounded: an older set goes when no ladder of it reaches back to its time, or when there are too many.
import { createHash } from "node:crypto";
import { type Ladder, parseLadder } from "../metric/bucket.ts";
import {
  ladderProblem,
  laddersMax,
  ladderText,
  longestOf,
  type Reach,
  reachOf,
  rulesMax,
  schemaSetsMax,
  type SchemaRule,
  type SchemasSince,
} from "../metric/ladder-rules.ts";
import { judgePattern } from "../metric/pattern.ts";
import { type AggregationRule } from "../graphite/default-view.ts";
import { views } from "../graphite/view.ts";
import type { StoredRules, StoredSchemas, Tenant } from "./tenant.ts";

export interface TenantRules {
  /** Another one for other rules: caches of what was made of them compare it. */
  version: string;
  /** Ascending by fromSeconds, the first from 0 on; none: the default ladder. */
  schemas: readonly SchemasSince[];
  aggregation: readonly AggregationRule[];
}

export type ReadRules = { kind: "rules"; rules: TenantRules } | { kind: "invalid"; why: string };

export const noRules: TenantRules = { version: "", schemas: [], aggregation: [] };

/** By record, which never changes: a changed tenant is another object. */
const known = new WeakMap<Tenant, TenantRules>();

/** R1. */
export function rulesOf(tenant: Tenant): TenantRules {
  if (tenant.rules === undefined) return noRules;
  let rules = known.get(tenant);
  if (rules === undefined) {
    const read = readRules(tenant.rules);
    rules = read.kind === "rules" ? read.rules : noRules;
    known.set(tenant, rules);
  }
  return rules;
}

/** How far back points of this tenant may lie. `standard` is the default ladder. */
export function tenantReach(tenant: Tenant, standard: Ladder): Reach {
  return reachOf(standard, rulesOf(tenant).schemas);
}

/** Judges what a record holds. Nothing there is no rules. */
export function readRules(raw: unknown): ReadRules {
  if (raw === undefined) return { kind: "rules", rules: noRules };
  if (!isObject(raw)) return invalid("no object");
  const { schemas, aggregation } = raw;
  if (!Array.isArray(schemas) || schemas.length > schemaSetsMax) return invalid("schemas");
  if (!Array.isArray(aggregation) || aggregation.length > rulesMax) return invalid("aggregation");
  const sets: SchemasSince[] = [];
  for (const set of schemas as unknown[]) {
    const read = schemasFrom(set);
    if (
      read === undefined ||
      read.fromSeconds < (sets.length === 0 ? 0 : (sets.at(-1)?.fromSeconds ?? 0) + 1)
    )
      return invalid(`schemas, set ${sets.length + 1}`);
    sets.push(read);
  }
  if (sets.length > 0 && sets[0]?.fromSeconds !== 0) return invalid("schemas don't begin at 0");
  if (distinctLadders(sets) > laddersMax) return invalid(`more than ${laddersMax} ladders`);
  const rules: AggregationRule[] = [];
  for (const rule of aggregation as unknown[]) {
    if (!isAggregation(rule)) return invalid(`aggregation, rule ${rules.length + 1}`);
    rules.push(rule);
  }
  const version = createHash("sha256").update(JSON.stringify({ schemas, aggregation })).digest("base64");
  return { kind: "rules", rules: { version, schemas: sets, aggregation: rules } };
}

export function storeRules({ schemas, aggregation }: Omit<TenantRules, "version">): StoredRules {
  return { schemas: schemas.map(storeSchemas), aggregation: [...aggregation] };
}

function storeSchemas({ fromSeconds, rules }: SchemasSince): StoredSchemas {
  return {
    fromSeconds,
    rules: rules.map(({ name, pattern, ladder }) => ({ name, pattern, ladder: ladderText(ladder) })),
  };
}

/** R2: when a change made now begins to hold. */
export function changeHoldsFrom(nowSeconds: number): number {
  return Math.ceil((nowSeconds + 60) / 3600) * 3600;
}

/** R2, R3: the sets after a change, made now, to `rules`; the same ones where nothing changes. */
export function changeSchemas(
  sets: readonly SchemasSince[],
  rules: readonly SchemaRule[],
  nowSeconds: number,
  standard: Ladder,
): readonly SchemasSince[] {
  const fromSeconds = changeHoldsFrom(nowSeconds);
  // What was to hold from then on never will.
  const before: SchemasSince[] = sets.filter((set) => set.fromSeconds < fromSeconds);
  const latest = before.at(-1) ?? { fromSeconds: 0, rules: [] };
  const changed = [...before];
  if (!sameRules(latest.rules, rules)) {
    if (changed.length === 0) changed.push(latest);
    changed.push({ fromSeconds, rules: [...rules] });
  }
  if (sameSets(changed, sets)) return sets;
  return withoutSpent(changed, nowSeconds, standard);
}

/** R3. The first that stays holds for everything before it, too. */
function withoutSpent(
  sets: readonly SchemasSince[],
  nowSeconds: number,
  standard: Ladder,
): readonly SchemasSince[] {
  let first = 0;
  for (; first < sets.length - 1; first++) {
    const left = sets.slice(first);
    const [oldest, next] = left;
    if (oldest === undefined || next === undefined) break;
    const spent = next.fromSeconds <= nowSeconds - longestOf(standard, [oldest]);
    if (!spent && left.length <= schemaSetsMax && distinctLadders(left) <= laddersMax) break;
  }
  const [oldest, ...rest] = sets.slice(first);
  if (oldest === undefined || (rest.length === 0 && oldest.rules.length === 0)) return [];
  return [{ ...oldest, fromSeconds: 0 }, ...rest];
}

function distinctLadders(sets: readonly SchemasSince[]): number {
  return new Set(sets.flatMap(({ rules }) => rules.map((rule) => ladderText(rule.ladder)))).size;
}

function sameSets(a: readonly SchemasSince[], b: readonly SchemasSince[]): boolean {
  return JSON.stringify(a.map(storeSchemas)) === JSON.stringify(b.map(storeSchemas));
}

function sameRules(a: readonly SchemaRule[], b: readonly SchemaRule[]): boolean {
  return sameSets([{ fromSeconds: 0, rules: [...a] }], [{ fromSeconds: 0, rules: [...b] }]);
}

function schemasFrom(raw: unknown): SchemasSince | undefined {
  if (!isObject(raw) || !Number.isSafeInteger(raw["fromSeconds"])) return undefined;
  const { rules: said } = raw;
  if (!Array.isArray(said) || said.length > rulesMax) return undefined;
  const rules: SchemaRule[] = [];
  for (const rule of said as unknown[]) {
    if (!isObject(rule) || !isNamedPattern(rule) || typeof rule["ladder"] !== "string") return undefined;
    const parsed = parseLadder(rule["ladder"]);
    if (parsed.kind === "invalid" || ladderProblem(parsed.ladder) !== undefined) return undefined;
    rules.push({ name: rule.name, pattern: rule.pattern, ladder: parsed.ladder });
  }
  return { fromSeconds: Number(raw["fromSeconds"]), rules };
}

function isAggregation(raw: unknown): raw is AggregationRule {
  if (!isObject(raw) || !isNamedPattern(raw)) return false;
  const factor = raw["xFilesFactor"];
  return (
    (views as readonly unknown[]).includes(raw["view"]) &&
    typeof factor === "number" &&
    factor >= 0 &&
    factor <= 1
  );
}

/** A pattern is judged again: whoever wrote the record, it must not hang us. */
function isNamedPattern(
  raw: Record<string, unknown>,
): raw is Record<string, unknown> & { name: string; pattern: string } {
  const { name, pattern } = raw;
  if (typeof name !== "string" || name.length > 100 || typeof pattern !== "string") return false;
  const judged = judgePattern(pattern);
  return judged.kind === "pattern" && judged.source === pattern;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(why: string): ReadRules {
  return { kind: "invalid", why };
}
