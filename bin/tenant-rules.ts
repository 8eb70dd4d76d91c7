// `millrace tenant rules NAME`: what a tenant's series are kept in and shown as, from carbon's own files.
//
// Every mistake of every file is said before anything is changed; what is changed is changed at once.
import { readFileSync } from "node:fs";
import { unreachable } from "../src/base/assert.ts";
import { messageOf } from "../src/base/errors.ts";
import type { AggregationRule } from "../src/graphite/default-view.ts";
import { parseAggregationFile, parseSchemasFile, type RuleFile } from "../src/graphite/rule-files.ts";
import type { Ladder } from "../src/metric/bucket.ts";
import { ladderText, type SchemasSince } from "../src/metric/ladder-rules.ts";
import { changeRules, type RulesChange, type RulesChanged, withRules } from "../src/tenant/admin.ts";
import { readRules, rulesOf, storeRules } from "../src/tenant/rules.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { clock } from "./process.ts";
import { find, type Flags, type Output, Refusal, say, withDirectory } from "./tenant.ts";

export interface RulesOptions {
  /** Names of files; `-` is stdin. */
  schemas: string | undefined;
  aggregation: string | undefined;
  dryRun: boolean;
}

export async function tenantRules(
  name: string,
  options: RulesOptions,
  output: Output,
  flags: Flags,
): Promise<void> {
  const change = readFiles(options);
  await withDirectory(flags, async (kv, settings) => {
    const tenant = await find(kv, name);
    const standard = settings.retention;
    if (options.schemas === undefined && options.aggregation === undefined)
      return show(tenant, "shown", output, standard);
    const result: RulesChanged = options.dryRun
      ? tried(tenant, change, standard)
      : await changeRules(kv, tenant.id, change, clock, standard);
    switch (result.kind) {
      case "unknown-tenant":
        throw new Refusal(`there is no tenant ${name} any more`);
      case "too-big":
        throw new Refusal(
          `the rules of ${name}, with the earlier ones that still hold, are too long for its record`,
        );
      case "changed":
      case "unchanged": {
        const outcome = options.dryRun && result.kind === "changed" ? "would-change" : result.kind;
        return show(result.tenant, outcome, output, standard);
      }
      default:
        return unreachable(result);
    }
  });
}

/** Ends the process when a file can't be used. */
function readFiles({ schemas, aggregation }: RulesOptions): RulesChange {
  const problems: string[] = [];
  const read = <Rule>(file: string | undefined, parse: (text: string) => RuleFile<Rule>) => {
    if (file === undefined) return undefined;
    try {
      const parsed = parse(readFileSync(file === "-" ? 0 : file, "utf8"));
      if (parsed.kind === "rules") return parsed.rules;
      problems.push(...parsed.problems.map((problem) => `${file}: ${problem}`));
    } catch (error) {
      problems.push(`${file} can't be read: ${messageOf(error)}`);
    }
    return undefined;
  };
  if (schemas === "-" && aggregation === "-") problems.push("stdin can be one of the files, not both");
  const change =
    problems.length > 0
      ? {}
      : { schemas: read(schemas, parseSchemasFile), aggregation: read(aggregation, parseAggregationFile) };
  if (problems.length > 0) {
    process.stderr.write(problems.map((problem) => `millrace: ${problem}\n`).join(""));
    process.exit(1);
  }
  return change;
}

function tried(tenant: Tenant, change: RulesChange, standard: Ladder): RulesChanged {
  const next = withRules(tenant, change, Math.floor(clock.nowMs() / 1000), standard);
  if (next === "too-big") return { kind: "too-big" };
  return next === "unchanged" ? { kind: "unchanged", tenant } : { kind: "changed", tenant: next };
}

const outcomes = {
  shown: "",
  changed: "changed",
  unchanged: "nothing to change: these rules hold already",
  "would-change": "this would change (nothing was changed: --dry-run)",
};

function show(tenant: Tenant, outcome: keyof typeof outcomes, output: Output, standard: Ladder): void {
  const rules = rulesOf(tenant);
  const read = readRules(tenant.rules);
  const { id, name } = tenant;
  say(output, { id, name, outcome, default: ladderText(standard), ...storeRules(rules) }, [
    ...(outcomes[outcome] === "" ? [] : [outcomes[outcome]]),
    ...(read.kind === "invalid" ? [`the rules in the record of ${name} can't be read (${read.why})`] : []),
    `retention of ${name}; the default is ${ladderText(standard)}`,
    ...(rules.schemas.length === 0 ? ["  no rules"] : rules.schemas.flatMap(setLines)),
    `default views of ${name}; the default is avg`,
    ...(rules.aggregation.length === 0 ? ["  no rules"] : rules.aggregation.map(viewLine)),
  ]);
}

function setLines({ fromSeconds, rules }: SchemasSince): string[] {
  const nowSeconds = clock.nowMs() / 1000;
  const since = new Date(fromSeconds * 1000).toISOString();
  const when =
    fromSeconds === 0 ? "from the beginning" : `from ${since}${fromSeconds > nowSeconds ? " on" : ""}`;
  return [
    `  ${when}`,
    ...(rules.length === 0 ? ["    no rules"] : []),
    ...rules.map((rule) => `    [${rule.name}]  ${rule.pattern}  ${ladderText(rule.ladder)}`),
  ];
}

function viewLine({ name, pattern, view, xFilesFactor }: AggregationRule): string {
  return `    [${name}]  ${pattern}  ${view}  xFilesFactor ${xFilesFactor}`;
}
