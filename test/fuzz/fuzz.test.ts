// The short form of every fuzzer, on a fixed seed; run.ts is the long one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canary } from "./canary.ts";
import { fuzz, fuzzers } from "./list.ts";

const seed = 4711;

for (const fuzzer of fuzzers) {
  test(`smoke: ${fuzzer.name}, seed ${seed}`, () => fuzz(fuzzer, seed, fuzzer.smokeRounds));
}

test("canary: a wrong claim is found", () => {
  assert.throws(
    () => fuzz(canary, seed, canary.smokeRounds),
    /fuzzer canary failed: --only canary --seed \d+/,
  );
});
