// Fuzzing as long as one likes: node dist/test/fuzz/run.js [--minutes 1] [--seed N] [--only name]
//
// All fuzzers in turn, a second each, on consecutive seeds, until the time is over. Without --minutes, and with --seed
// and --only, it runs that one round: what a failure prints.
import { parseArgs } from "node:util";
import { systemRandom } from "../../src/base/random.ts";
import { canary } from "./canary.ts";
import { fuzz, fuzzers } from "./list.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string" }, seed: { type: "string" }, only: { type: "string" } },
});
const chosen = [...fuzzers, canary].filter((f) =>
  values.only === undefined ? f !== canary : f.name === values.only,
);
if (chosen.length === 0) throw new Error(`no fuzzer is called ${values.only}`);
const seed = values.seed === undefined ? systemRandom.below(2 ** 31) : Number(values.seed);
if (values.minutes === undefined && values.seed !== undefined) {
  for (const fuzzer of chosen) fuzz(fuzzer, seed, 1);
  console.log(`seed ${seed}: fine`);
} else {
  const minutes = Number(values.minutes ?? 1);
  console.log(`fuzzing for ${minutes} min from seed ${seed}`);
  const done = chosen.map((fuzzer) => ({ fuzzer, rounds: 0 }));
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    for (const entry of done) {
      const turnEndMs = performance.now() + 1000;
      const rounds = Math.ceil(entry.fuzzer.smokeRounds / 20);
      while (performance.now() < turnEndMs) {
        fuzz(entry.fuzzer, seed + entry.rounds, rounds);
        entry.rounds += rounds;
      }
    }
  }
  for (const { fuzzer, rounds } of done) console.log(`${fuzzer.name}: ${rounds} rounds`);
}
