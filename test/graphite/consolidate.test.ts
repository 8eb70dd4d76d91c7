import assert from "node:assert/strict";
import { test } from "node:test";
import {
  consolidate,
  consolidatedWidth,
  type How,
  planConsolidation,
  spanOf,
} from "../../src/graphite/consolidate.ts";

const counting = (width: number) => Float64Array.from({ length: width }, (_, i) => i + 1);

function planned(
  start: number,
  step: number,
  width: number,
  max: number | undefined,
  expected: { start: number; step: number; values: number[] },
  span = step * width,
): void {
  const plan = planConsolidation({ start, end: start + width * step, stepSeconds: step }, width, span, max);
  const values = consolidate(counting(width), plan, "average", 0);
  assert.equal(values.length, consolidatedWidth(width, plan));
  assert.deepEqual({ start: plan.start, step: plan.stepSeconds, values: [...values] }, expected);
}

test("M1, M2: bucket size from all series, aligned to the epoch, the front dropped", () => {
  planned(60, 60, 4, undefined, { start: 60, step: 60, values: [1, 2, 3, 4] });
  planned(60, 60, 4, 4, { start: 60, step: 60, values: [1, 2, 3, 4] });
  planned(60, 60, 4, 100, { start: 60, step: 60, values: [1, 2, 3, 4] });
  // 2 per point; the start goes from 60 to 120, and no value before it is more than a step older
  planned(60, 60, 4, 3, { start: 120, step: 120, values: [1.5, 3.5] });
  planned(120, 60, 4, 3, { start: 240, step: 120, values: [2.5, 4] });
  planned(60, 60, 4, 1, { start: 60, step: 240, values: [2.5] });
  // another series makes the span longer: 3 per point
  planned(60, 60, 4, 3, { start: 180, step: 180, values: [3] }, 9 * 60);
  // a start on the edge of a bucket moves a whole bucket on, and the edge itself is dropped
  planned(240, 60, 4, 2, { start: 360, step: 120, values: [2.5, 4] });
  planned(60, 60, 1, 2, { start: 60, step: 60, values: [1] });
});

test("how values become one; M4: averages are averaged", () => {
  const values = Float64Array.of(4, Number.NaN, 1, 7, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 5);
  function f(how: How, expected: (number | null)[], xFilesFactor = 0): void {
    const plan = { start: 0, stepSeconds: 4, drop: 0, perPoint: 4 };
    const got = [...consolidate(values, plan, how, xFilesFactor)].map((v) => (Number.isNaN(v) ? null : v));
    assert.deepEqual(got, expected);
  }
  f("average", [4, null, 5]);
  f("sum", [12, null, 5]);
  f("min", [1, null, 5]);
  f("max", [7, null, 5]);
  f("first", [4, null, 5]);
  f("last", [7, null, 5]);
  f("sum", [12, null, 5], 0.75);
  f("sum", [null, null, 5], 0.76);
});

test("the span of all series", () => {
  assert.equal(
    spanOf([
      { start: 60, end: 120, stepSeconds: 60 },
      { start: 30, end: 90, stepSeconds: 30 },
    ]),
    90,
  );
});
