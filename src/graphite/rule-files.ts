// carbon's storage-schemas.conf and storage-aggregation.conf, as an operator hands them over.
//
// F1. A file is taken whole or not at all, and everything that is wrong is said, with its line.
// F2. What carbon would read differently, or not at all, is refused and never guessed: a rule that silently matches
//     nothing loses somebody's history.
import { type Ladder, parseLadder } from "../metric/bucket.ts";
import { ladderProblem, laddersMax, ladderText, rulesMax, type SchemaRule } from "../metric/ladder-rules.ts";
import { judgePattern } from "../metric/pattern.ts";
import { type AggregationRule, methodViews } from "./default-view.ts";

/** `problems`: a sentence each, `line 7: ...`, in the order of the file. */
export type RuleFile<Rule> = { kind: "rules"; rules: Rule[] } | { kind: "invalid"; problems: string[] };

const sectionCharsMax = 100;
/** Sixty-four rules of the longest patterns, and comments. */
export const ruleFileCharsMax = 500_000;
/** A file that is none at all need not be explained line by line. */
const problemsMax = 50;

interface Section {
  name: string;
  line: number;
  values: Map<string, { text: string; line: number }>;
}

class Problems {
  readonly #all: { line: number; why: string }[] = [];

  add(line: number, why: string): undefined {
    this.#all.push({ line, why });
    return undefined;
  }

  get none(): boolean {
    return this.#all.length === 0;
  }

  texts(): string[] {
    const texts = this.#all
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, why }) => `line ${line}: ${why}`);
    const more = texts.length - problemsMax;
    return more <= 0 ? texts : [...texts.slice(0, problemsMax), `and ${more} more`];
  }
}

export function parseSchemasFile(text: string): RuleFile<SchemaRule> {
  const ladders = new Set<string>();
  return parseFile(text, ["pattern", "retentions"], (section, problems) => {
    const pattern = patternOf(section, problems);
    const said = section.values.get("retentions");
    if (said === undefined) return problems.add(section.line, `[${section.name}] has no retentions`);
    const ladder = parseRetentions(said.text);
    if (typeof ladder === "string") return problems.add(said.line, ladder);
    ladders.add(ladderText(ladder));
    if (ladders.size === laddersMax + 1)
      problems.add(said.line, `more than ${laddersMax} different retentions in one file`);
    return pattern === undefined ? undefined : { name: section.name, pattern, ladder };
  });
}

export function parseAggregationFile(text: string): RuleFile<AggregationRule> {
  return parseFile(text, ["pattern", "xFilesFactor", "aggregationMethod"], (section, problems) => {
    const pattern = patternOf(section, problems);
    const factor = section.values.get("xfilesfactor");
    const xFilesFactor = Number(factor?.text ?? 0.5);
    if (factor !== undefined && (!/^\d*\.?\d+$/.test(factor.text) || xFilesFactor > 1))
      problems.add(factor.line, `xFilesFactor is a number from 0 to 1, not "${clip(factor.text)}"`);
    const method = section.values.get("aggregationmethod");
    const view = methodViews.get(method?.text ?? "average");
    if (view === undefined)
      return problems.add(
        method?.line ?? section.line,
        `aggregationMethod "${clip(method?.text ?? "")}" is not served; ${[...methodViews.keys()].join(", ")} are`,
      );
    return pattern === undefined ? undefined : { name: section.name, pattern, view, xFilesFactor };
  });
}

/** `60s:1d,5m:30d`, or a sentence. A bare number is seconds before the colon and a count of points behind it. */
export function parseRetentions(text: string): Ladder | string {
  const rungs: { stepSeconds: number; spanSeconds: number }[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    const [step = "", span = "", more] = part.split(":").map((each) => each.trim());
    const stepSeconds = secondsOf(step, 1);
    const spanSeconds = secondsOf(span, stepSeconds ?? 1);
    if (stepSeconds === undefined || spanSeconds === undefined || more !== undefined)
      return `"${clip(part)}" is not of the form 60s:1d or 60:1440`;
    if (stepSeconds < 1) return `"${clip(part)}": a step is at least one second`;
    // Whole points, as carbon counts them.
    rungs.push({ stepSeconds, spanSeconds: spanSeconds - (spanSeconds % stepSeconds) });
  }
  rungs.sort((a, b) => a.stepSeconds - b.stepSeconds);
  const parsed = parseLadder(ladderText({ rungs }));
  if (parsed.kind === "invalid") return parsed.why;
  return ladderProblem(parsed.ladder) ?? parsed.ladder;
}

const units = [
  ["seconds", 1],
  ["minutes", 60],
  ["hours", 3600],
  ["days", 86_400],
  ["weeks", 604_800],
  ["years", 31_536_000],
] as const;

/** carbon takes any beginning of a unit's name. `bare`: what a number without a unit counts. */
function secondsOf(text: string, bare: number): number | undefined {
  const match = /^(\d{1,10})([a-z]*)$/.exec(text);
  if (match === null) return undefined;
  const said = match[2] ?? "";
  const unit = said === "" ? bare : units.find(([name]) => name.startsWith(said))?.[1];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}

function patternOf(section: Section, problems: Problems): string | undefined {
  const said = section.values.get("pattern");
  if (said === undefined) return problems.add(section.line, `[${section.name}] has no pattern`);
  const judged = judgePattern(said.text);
  return judged.kind === "pattern" ? judged.source : problems.add(said.line, `pattern: ${judged.why}`);
}

function parseFile<Rule>(
  text: string,
  keys: readonly string[],
  ruleOf: (section: Section, problems: Problems) => Rule | undefined,
): RuleFile<Rule> {
  if (text.length > ruleFileCharsMax)
    return { kind: "invalid", problems: [`the file is longer than ${ruleFileCharsMax} characters`] };
  const problems = new Problems();
  const sections = sectionsOf(text.replace(/^\uFEFF/, ""), keys, problems);
  const overflow = sections[rulesMax];
  if (overflow !== undefined) problems.add(overflow.line, `more than ${rulesMax} rules`);
  const rules = sections.slice(0, rulesMax).flatMap((section) => ruleOf(section, problems) ?? []);
  return problems.none ? { kind: "rules", rules } : { kind: "invalid", problems: problems.texts() };
}

function sectionsOf(text: string, keys: readonly string[], problems: Problems): Section[] {
  const sections: Section[] = [];
  const names = new Map<string, number>();
  for (const [i, raw] of text.split(/\r\n|\n|\r/).entries()) {
    const line = i + 1;
    const said = raw.trim();
    if (said === "" || said.startsWith("#") || said.startsWith(";")) continue;
    if (said.startsWith("[")) {
      const name = /^\[([^\]]+)\]$/.exec(said)?.[1]?.trim() ?? "";
      if (name === "" || name.length > sectionCharsMax)
        problems.add(line, `"${clip(said)}" is no [name] of at most ${sectionCharsMax} characters`);
      else if (name === "DEFAULT")
        problems.add(line, "[DEFAULT] means something else in carbon: give the rule another name");
      const before = names.get(name);
      if (before !== undefined) problems.add(line, `[${name}] is there already, on line ${before}`);
      names.set(name, line);
      sections.push({ name, line, values: new Map() });
      continue;
    }
    const [, key = "", value = ""] = /^([^=:\s]+)\s*[=:]\s*(.*)$/.exec(said) ?? [];
    const section = sections.at(-1);
    if (key === "") problems.add(line, `"${clip(said)}" is neither [name] nor key = value`);
    else if (section === undefined) problems.add(line, `${clip(key)} stands before the first [name]`);
    else if (key.toLowerCase() === "priority")
      problems.add(line, "priority is not served: rules are tried in the order of the file");
    // carbon, too, reads keys in any case.
    else if (!keys.some((each) => each.toLowerCase() === key.toLowerCase()))
      problems.add(line, `"${clip(key)}" is not known; ${keys.join(", ")} are`);
    else if (section.values.has(key.toLowerCase()))
      problems.add(line, `${key} is there twice in [${section.name}]`);
    else section.values.set(key.toLowerCase(), { text: value, line });
  }
  return sections;
}

function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
