// Which series a pattern finds, and under which names, in the plainest way: every name is tried.
import { compilePattern, type Pattern } from "../../metric/glob.ts";
import { hasOutput, listedOutputs, storedOutput } from "../../metric/outputs.ts";
import { compareTexts } from "../order.ts";
import type { FoundSeries } from "../store.ts";
import { namesOf, type Series } from "./disk.ts";

/** Outputs that a pattern may ask for: those that are listed, and those that it spells out. */
export function outputsFor(node: string, { nodes }: Pattern): string[] {
  const spelt = (nodes.at(-1)?.words ?? []).filter((word) => hasOutput(node, word));
  return [...new Set([...(listedOutputs(node) ?? []), ...spelt])];
}

/** By name; of one name, what was sent comes before outputs. */
export function foundIn(series: ReadonlyMap<number, Series>, tenant: string, pattern: string): FoundSeries[] {
  const compiled = compilePattern(pattern);
  const found = namesOf(series, tenant, () => true).flatMap(({ id, name }): FoundSeries[] => {
    const stored = storedOutput(name);
    if (stored === undefined) return compiled.matches(name) ? [{ id, name }] : [];
    return outputsFor(stored.node, compiled)
      .map((output) => ({ id, name: stored.read(output), output }))
      .filter((each) => compiled.matches(each.name));
  });
  return found.sort(
    (a, b) => compareTexts(a.name, b.name) || Number(a.output !== undefined) - Number(b.output !== undefined),
  );
}
