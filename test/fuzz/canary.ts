// A fuzzer that must fail: it holds that adding doubles does not depend on their order. If it passes, fuzzing is broken.
import assert from "node:assert/strict";
import { addPoint, summaryOf } from "../../src/metric/summary.ts";
import type { Fuzzer } from "./fuzzer.ts";

export const canary: Fuzzer = {
  name: "canary",
  smokeRounds: 1000,
  round(random) {
    const values = [random.next(), random.next(), random.next() * 1e10];
    assert.equal(sumOf(values), sumOf(values.toReversed()));
  },
};

function sumOf([first = 0, ...rest]: number[]): number {
  const summary = summaryOf(first, 1, 1);
  for (const value of rest) addPoint(summary, value, 1, 1);
  return summary.sum;
}
