// What of a series is shown where a target says nothing: the tenant's storage-aggregation rules, first match wins,
// then the last value of a StatsD gauge and the average of anything else.
//
// xFilesFactor is kept and shown, but a stored summary counts every point, so nothing is ever left out for its sake;
// the xFilesFactor of a request does what it does in Graphite.
import { gaugePrefix } from "../metric/outputs.ts";
import { defaultView, type View } from "./view.ts";

/** One rule of storage-aggregation.conf. */
export interface AggregationRule {
  name: string;
  /** Source of a regular expression, searched for anywhere in the name. */
  pattern: string;
  view: View;
  /** 0 to 1. */
  xFilesFactor: number;
}

/** carbon's aggregationMethod as a view of ours. Others (avg_zero, absmax, ...) can't be read from a summary. */
export const methodViews: ReadonlyMap<string, View> = new Map<string, View>([
  ["average", "avg"],
  ["avg", "avg"],
  ["sum", "sum"],
  ["last", "last"],
  ["max", "max"],
  ["min", "min"],
]);

export type ViewOf = (name: string) => View;

export function compileViews(rules: readonly AggregationRule[]): ViewOf {
  if (rules.length === 0) return unruled;
  const compiled = rules.map(({ pattern, view }) => ({ view, pattern: new RegExp(pattern) }));
  return (name) => compiled.find((rule) => rule.pattern.test(name))?.view ?? unruled(name);
}

function unruled(name: string): View {
  return name.startsWith(gaugePrefix) ? "last" : defaultView;
}
