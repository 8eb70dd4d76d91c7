// A tenant's rules on a query thread: compiled once per tenant and version, and kept for the next query.
import { LRUCache } from "lru-cache";
import { compileViews, type ViewOf } from "../graphite/default-view.ts";
import { compileLadderRules, type LadderSince, ladderText } from "../metric/ladder-rules.ts";
import type { QueryJob } from "./messages.ts";

export interface SeriesRules {
  laddersOf(name: string): readonly LadderSince[];
  viewOf: ViewOf;
}

/** Tenants whose rules a thread keeps. */
const keptMax = 200;
const kept = new LRUCache<string, SeriesRules>({ max: keptMax });

export function seriesRules({ tenant, ladder, rules }: QueryJob): SeriesRules {
  const key = `${tenant} ${rules?.version ?? ""} ${ladderText(ladder)}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const ladders = compileLadderRules(
    0,
    ladder,
    new Map(rules === undefined ? [] : [[tenant, rules.schemas]]),
  );
  const made: SeriesRules = {
    laddersOf: (name) => ladders.laddersOf(tenant, name),
    viewOf: compileViews(rules?.aggregation ?? []),
  };
  kept.set(key, made);
  return made;
}
