import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import {
  addPoint,
  mergeSummary,
  readSummary,
  summaryOf,
  summaryViews,
  type Summary,
} from "../../src/metric/summary.ts";

type Point = [value: number, seconds: number, receivedAtMs: number];

function summarise(points: readonly Point[]): Summary {
  const [first = [0, 0, 0], ...rest] = points;
  const summary = summaryOf(...first);
  for (const point of rest) addPoint(summary, ...point);
  return summary;
}

function f(points: Point[], last: number) {
  assert.ok(Object.is(summarise(points).last, last));
  assert.ok(Object.is(summarise(points.toReversed()).last, last), "in the other order too");
}

test("S2: which value is last", () => {
  f([[1, 10, 5]], 1);
  f(
    [
      [1, 11, 5],
      [2, 10, 9],
    ],
    1,
  );
  f(
    [
      [1, 10, 6],
      [2, 10, 5],
    ],
    1,
  );
  f(
    [
      [1, 10, 5],
      [2, 10, 5],
    ],
    2,
  );
  f(
    [
      [-0, 10, 5],
      [0, 10, 5],
    ],
    0,
  );
  f(
    [
      [-5, 10, 5],
      [-0, 10, 5],
    ],
    -0,
  );
});

test("S3: zeros have their signs", () => {
  const both = summarise([
    [0, 1, 1],
    [-0, 1, 1],
  ]);
  assert.ok(Object.is(both.min, -0) && Object.is(both.max, 0) && Object.is(both.sum, 0));
  const minus = summarise([
    [-0, 1, 1],
    [-0, 1, 1],
  ]);
  assert.ok(Object.is(minus.sum, -0) && Object.is(minus.max, -0));
});

test("S1: merging parts in any order is adding all points", () => {
  const seed = 33;
  const random = seededRandom(seed);
  for (let round = 0; round < 500; round++) {
    // Whole numbers, so that sums are exact in every order.
    const points = Array.from(
      { length: 1 + random.below(20) },
      (): Point => [random.below(2000) - 1000, random.below(3), random.below(3)],
    );
    const parts: Point[][] = [[], [], []];
    for (const point of points) parts[random.below(3)]?.push(point);
    const summaries = parts.filter((part) => part.length > 0).map(summarise);
    summaries.sort(() => random.next() - 0.5);
    const merged = { ...(summaries[0] as Summary) };
    for (const summary of summaries.slice(1)) mergeSummary(merged, summary);
    assert.deepEqual(merged, summarise(points), `seed ${seed}, round ${round}`);
  }
});

test("what a reader may ask for", () => {
  const summary = summarise([
    [1, 1, 1],
    [5, 3, 1],
    [3, 2, 1],
  ]);
  assert.deepEqual(
    summaryViews.map((view) => [view, readSummary(view, summary)]),
    [
      ["avg", 3],
      ["sum", 9],
      ["min", 1],
      ["max", 5],
      ["count", 3],
      ["last", 5],
    ],
  );
  for (const view of summaryViews) assert.equal(readSummary(view, { ...summary, points: 0 }), undefined);
});
