// What StatsD asks of a store.
import { gaugesCases } from "./store-gauges.ts";
import type { Case } from "./store-helpers.ts";
import { outputsCases } from "./store-outputs.ts";
import { sketchesCases } from "./store-sketches.ts";

export function statsdCases(f: Case): void {
  outputsCases(f);
  gaugesCases(f);
  sketchesCases(f);
}
