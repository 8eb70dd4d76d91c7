// Every fuzzer by name. A new one is a file and a line here; `canary`, which must fail, stands apart.
import { seededRandom } from "../../src/base/random.ts";
import { aggregatorFuzzer } from "./aggregator.ts";
import { frameFuzzer } from "./frame.ts";
import type { Fuzzer } from "./fuzzer.ts";
import { kernelAggregatorFuzzer } from "./kernel-aggregator.ts";
import { kernelLineFuzzer } from "./kernel-line.ts";
import { kernelNumberFuzzer } from "./kernel-number.ts";
import { kernelRouterFuzzer } from "./kernel-router.ts";
import { lineFuzzer } from "./line.ts";
import { msgpackFuzzer } from "./msgpack.ts";
import { nameFuzzer } from "./name.ts";
import { numberFuzzer } from "./number.ts";
import { pickleFuzzer } from "./pickle.ts";
import { pieceFuzzer } from "./piece.ts";
import { routerFuzzer } from "./router.ts";
import { statsdAggregatorFuzzer } from "./statsd-aggregator.ts";
import { statsdFuzzer } from "./statsd.ts";

export const fuzzers: readonly Fuzzer[] = [
  numberFuzzer,
  lineFuzzer,
  kernelNumberFuzzer,
  kernelLineFuzzer,
  nameFuzzer,
  routerFuzzer,
  kernelRouterFuzzer,
  statsdFuzzer,
  statsdAggregatorFuzzer,
  aggregatorFuzzer,
  kernelAggregatorFuzzer,
  frameFuzzer,
  pieceFuzzer,
  pickleFuzzer,
  msgpackFuzzer,
];

/** Runs rounds on a seed of their own each, so that a failed one can be run alone: the error names it. */
export function fuzz(fuzzer: Fuzzer, seed: number, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    try {
      fuzzer.round(seededRandom(seed + round));
    } catch (error) {
      throw new Error(`fuzzer ${fuzzer.name} failed: --only ${fuzzer.name} --seed ${seed + round}`, {
        cause: error,
      });
    }
  }
}
