// Verbs of the admin API about what a tenant's series are kept in and shown as, and what it may send. A body that names
// no change asks for what holds.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { unreachable } from "../../src/base/assert.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import { parseAggregationFile, parseSchemasFile, type RuleFile } from "../../src/graphite/rule-files.ts";
import type { Ladder } from "../../src/metric/bucket.ts";
import { ladderText } from "../../src/metric/ladder-rules.ts";
import {
  changeLimits,
  changeRules,
  type LimitsChange,
  type LimitsChanged,
  type RulesChange,
  type RulesChanged,
  withLimits,
  withRules,
} from "../../src/tenant/admin.ts";
import {
  isLimit,
  limitNames,
  limitsOf,
  ownLimits,
  readLimits,
  type LimitName,
  type StandardLimits,
} from "../../src/tenant/limits.ts";
import { readRules, rulesOf, storeRules } from "../../src/tenant/rules.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { maybeTextOf, tenantOf, type OperatorOf } from "./operator.ts";

/** `would-change`: of a dry run. */
export type PolicyOutcome = "shown" | "changed" | "unchanged" | "would-change";

export interface LimitsShown {
  id: string;
  name: string;
  outcome: PolicyOutcome;
  limits: Record<LimitName, { value: number | "off"; from: "tenant" | "settings" | "built-in" }>;
  /** Why what the record holds can't be read; "": it can. */
  unreadable: string;
}

export interface RulesShown extends ReturnType<typeof storeRules> {
  id: string;
  name: string;
  outcome: PolicyOutcome;
  default: string;
  unreadable: string;
}

export function policyVerbs(operator: OperatorOf): Verb[] {
  const changes = { method: "POST", effect: "changes" } as const;
  return [
    {
      ...changes,
      url: "/v1/tenants/:name/limits",
      isQuestion: ({ body }) => limitNames.every((name) => body[name] === undefined),
      answer: (asked) => limits(operator, asked),
    },
    {
      ...changes,
      url: "/v1/tenants/:name/rules",
      isQuestion: ({ body }) => body["schemas"] === undefined && body["aggregation"] === undefined,
      answer: (asked) => rules(operator, asked),
    },
  ];
}

async function limits(operator: OperatorOf, asked: Asked): Promise<object> {
  const change = limitsChange(asked);
  const at = await operator();
  const tenant = await tenantOf(at, asked.params["name"] ?? "");
  if (Object.keys(change).length === 0) return limitsShown(tenant, "shown", at.settings);
  const result = asked.dryRun
    ? triedLimits(tenant, change)
    : await changeLimits(at.tenants, tenant.id, change);
  switch (result.kind) {
    case "unknown-tenant":
      throw new Refused(404, `there is no tenant ${tenant.name} any more`);
    case "changed":
      return limitsShown(result.tenant, asked.dryRun ? "would-change" : "changed", at.settings);
    case "unchanged":
      return limitsShown(result.tenant, "unchanged", at.settings);
    default:
      return unreachable(result);
  }
}

function limitsChange({ body }: Asked): LimitsChange {
  const change: { -readonly [Name in LimitName]?: number | "off" | "default" } = {};
  for (const name of limitNames) {
    const value = body[name];
    if (value === undefined) continue;
    if (value !== "default" && !isLimit(name, value))
      throw new Refused(400, `${name} is ${JSON.stringify(value)}: that is no limit`);
    change[name] = value;
  }
  return change;
}

function triedLimits(tenant: Tenant, change: LimitsChange): LimitsChanged {
  const next = withLimits(tenant, change);
  return next === undefined ? { kind: "unchanged", tenant } : { kind: "changed", tenant: next };
}

const fromSettings = { pointsPerSecond: true, series: true };

function limitsShown(tenant: Tenant, outcome: PolicyOutcome, standard: StandardLimits): LimitsShown {
  const own = ownLimits(tenant);
  const holds = limitsOf(tenant, standard);
  const read = readLimits(tenant.limits);
  const rows = limitNames.map((limit) => [
    limit,
    {
      value: Number.isFinite(holds[limit]) ? holds[limit] : "off",
      from: own[limit] === undefined ? (limit in fromSettings ? "settings" : "built-in") : "tenant",
    },
  ]);
  const { id, name } = tenant;
  const unreadable = read.kind === "invalid" ? read.why : "";
  return { id, name, outcome, limits: Object.fromEntries(rows) as LimitsShown["limits"], unreadable };
}

async function rules(operator: OperatorOf, asked: Asked): Promise<object> {
  const change = rulesChange(asked);
  const at = await operator();
  const tenant = await tenantOf(at, asked.params["name"] ?? "");
  const standard = at.settings.retention;
  if (change.schemas === undefined && change.aggregation === undefined)
    return rulesShown(tenant, "shown", standard);
  const result: RulesChanged = asked.dryRun
    ? triedRules(tenant, change, standard)
    : await changeRules(at.tenants, tenant.id, change, clock, standard);
  switch (result.kind) {
    case "unknown-tenant":
      throw new Refused(404, `there is no tenant ${tenant.name} any more`);
    case "too-big":
      throw new Refused(
        409,
        `the rules of ${tenant.name}, with the earlier ones that still hold, are too long for its record`,
      );
    case "changed":
      return rulesShown(result.tenant, asked.dryRun ? "would-change" : "changed", standard);
    case "unchanged":
      return rulesShown(result.tenant, "unchanged", standard);
    default:
      return unreachable(result);
  }
}

/** The bodies of carbon's files. */
function rulesChange(asked: Asked): RulesChange {
  const problems: string[] = [];
  const read = <Rule>(name: string, parse: (text: string) => RuleFile<Rule>) => {
    const text = maybeTextOf(asked, name);
    if (text === undefined) return undefined;
    const parsed = parse(text);
    if (parsed.kind === "rules") return parsed.rules;
    problems.push(...parsed.problems.map((problem) => `${name}: ${problem}`));
    return undefined;
  };
  const change = {
    schemas: read("schemas", parseSchemasFile),
    aggregation: read("aggregation", parseAggregationFile),
  };
  if (problems.length > 0) throw new Refused(400, problems.join("\n"), { problems });
  return change;
}

function triedRules(tenant: Tenant, change: RulesChange, standard: Ladder): RulesChanged {
  const next = withRules(tenant, change, Math.floor(clock.nowMs() / 1000), standard);
  if (next === "too-big") return { kind: "too-big" };
  return next === "unchanged" ? { kind: "unchanged", tenant } : { kind: "changed", tenant: next };
}

function rulesShown(tenant: Tenant, outcome: PolicyOutcome, standard: Ladder): RulesShown {
  const { id, name } = tenant;
  const read = readRules(tenant.rules);
  const unreadable = read.kind === "invalid" ? read.why : "";
  return { id, name, outcome, default: ladderText(standard), ...storeRules(rulesOf(tenant)), unreadable };
}
