// `millrace tenant rules NAME`: what a tenant's series are kept in and shown as, from carbon's own files.
//
// Every mistake of every file is said before anything is changed; what is changed is changed at once.
import { readFileSync } from "node:fs";
import { messageOf } from "../src/base/errors.ts";
import { parseAggregationFile, parseSchemasFile, type RuleFile } from "../src/graphite/rule-files.ts";
import { withAdmin } from "./admin/client.ts";
import type { PolicyOutcome, RulesShown } from "./admin/policy-verbs.ts";
import type { Flags } from "./directory.ts";
import { clock } from "./process.ts";
import { say, type Output } from "./say.ts";
import { pathOf } from "./tenant.ts";

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
  await withAdmin(flags, async (admin) => {
    const body = { ...change, dryRun: options.dryRun };
    const { unreadable, ...shown } = await admin.post<RulesShown>(pathOf(name, "rules"), body);
    say(output, shown, textOf(shown, unreadable));
  });
}

/** The files' texts. Ends the process when a file can't be used. */
function readFiles({ schemas, aggregation }: RulesOptions): { schemas?: string; aggregation?: string } {
  const problems: string[] = [];
  const read = (file: string | undefined, parse: (text: string) => RuleFile<unknown>) => {
    if (file === undefined) return undefined;
    try {
      const text = readFileSync(file === "-" ? 0 : file, "utf8");
      const parsed = parse(text);
      if (parsed.kind === "rules") return text;
      problems.push(...parsed.problems.map((problem) => `${file}: ${problem}`));
    } catch (error) {
      problems.push(`${file} can't be read: ${messageOf(error)}`);
    }
    return undefined;
  };
  if (schemas === "-" && aggregation === "-") problems.push("stdin can be one of the files, not both");
  const texts =
    problems.length > 0 ? [] : [read(schemas, parseSchemasFile), read(aggregation, parseAggregationFile)];
  if (problems.length > 0) {
    process.stderr.write(problems.map((problem) => `millrace: ${problem}\n`).join(""));
    process.exit(1);
  }
  const [schemasText, aggregationText] = texts;
  return {
    ...(schemasText !== undefined && { schemas: schemasText }),
    ...(aggregationText !== undefined && { aggregation: aggregationText }),
  };
}

const outcomes: Record<PolicyOutcome, string> = {
  shown: "",
  changed: "changed",
  unchanged: "nothing to change: these rules hold already",
  "would-change": "this would change (nothing was changed: --dry-run)",
};

function textOf(shown: Omit<RulesShown, "unreadable">, unreadable: string): string[] {
  const { name, outcome, schemas, aggregation } = shown;
  return [
    ...(outcomes[outcome] === "" ? [] : [outcomes[outcome]]),
    ...(unreadable === "" ? [] : [`the rules in the record of ${name} can't be read (${unreadable})`]),
    `retention of ${name}; the default is ${shown.default}`,
    ...(schemas.length === 0 ? ["  no rules"] : schemas.flatMap(setLines)),
    `default views of ${name}; the default is avg`,
    ...(aggregation.length === 0 ? ["  no rules"] : aggregation.map(viewLine)),
  ];
}

function setLines({ fromSeconds, rules }: RulesShown["schemas"][number]): string[] {
  const nowSeconds = clock.nowMs() / 1000;
  const since = new Date(fromSeconds * 1000).toISOString();
  const when =
    fromSeconds === 0 ? "from the beginning" : `from ${since}${fromSeconds > nowSeconds ? " on" : ""}`;
  return [
    `  ${when}`,
    ...(rules.length === 0 ? ["    no rules"] : []),
    ...rules.map((rule) => `    [${rule.name}]  ${rule.pattern}  ${rule.ladder}`),
  ];
}

function viewLine({ name, pattern, view, xFilesFactor }: RulesShown["aggregation"][number]): string {
  return `    [${name}]  ${pattern}  ${view}  xFilesFactor ${xFilesFactor}`;
}
