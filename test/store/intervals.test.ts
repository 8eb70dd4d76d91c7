// Sets of numbers as intervals, beside plain sets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { mergeIntervals, withoutIntervals } from "../../src/store/intervals.ts";
import type { Interval } from "../../src/store/store.ts";

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

test(`what of one set is not in another (MILLRACE_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  const some = () =>
    mergeIntervals(
      Array.from({ length: random.below(6) }, (): Interval => {
        const from = random.below(30);
        return [from, from + random.below(6)];
      }),
      [],
    );
  const numbers = (set: readonly Interval[]) =>
    set.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
  for (let round = 0; round < 2000; round++) {
    const a = some();
    const b = some();
    const taken = new Set(numbers(b));
    const rest = withoutIntervals(a, b);
    const text = JSON.stringify({ a, b, rest });
    assert.deepEqual(
      numbers(rest),
      numbers(a).filter((n) => !taken.has(n)),
      text,
    );
    assert.ok(
      rest.every(([from, to]) => from <= to),
      text,
    );
  }
});
