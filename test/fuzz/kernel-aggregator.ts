// The kernel's aggregator and its twin live through the same histories: sections of several tenants, plaintext and
// StatsD, names of all kinds and spellings, late and early points, names that may not be, series that are forgotten,
// bounds, and commits at random moments.
import type { Random } from "../../src/base/random.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { pick, type Fuzzer } from "./fuzzer.ts";
import {
  largeSection,
  oddMoments,
  plaintextSection,
  randomHistory,
  statsdSection,
  Twins,
} from "./twin-history.ts";

/** Rows that a section may add, and the kernel has room for. */
const rowsMax = 400_000;
const seriesMost = 30_000;

function compareHistories(random: Random, sections: number): void {
  const history = randomHistory(random);
  const seriesMax = pick(random, [seriesMost, seriesMost, 40]);
  const options = { stepSeconds: pick(random, [1, 10, 60]), seriesMax };
  const twins = new Twins(
    createPlainAggregator({ ...options, seed: random.bytes(8) }),
    createKernelAggregator({ ...options, seed: random.bytes(8), rowsMax }),
  );
  const linesMost = pick(random, [3, 40, 700]);
  const isLarge = random.below(15) === 0;
  for (let i = 0; i < sections; i++) {
    history.nowMs += pick(random, [0, 0, 1, 500, 10_000, -2000]);
    const moment = random.below(40) === 0 ? pick(random, oddMoments) : history.nowMs;
    const tenant = pick(random, history.tenants);
    if (random.below(10) === 0) twins.deny(pick(random, [0, 0, 0.2, 1]));
    if (random.below(4) === 0) twins.ingest("statsd", tenant, statsdSection(random, linesMost), moment);
    else if (isLarge && i === 0) twins.ingest("plaintext", tenant, largeSection(random, history), moment);
    else twins.ingest("plaintext", tenant, plaintextSection(random, history, linesMost), moment);
    while (twins.seriesCount > 0 && random.below(3) === 0) twins.forget(random.below(twins.seriesCount));
    if (random.below(3) === 0 || i === sections - 1) twins.commit();
  }
  twins.compareNames();
}

export const kernelAggregatorFuzzer: Fuzzer = {
  name: "kernel-aggregator",
  smokeRounds: 60,
  round: (random) => compareHistories(random, 1 + random.below(14)),
};
