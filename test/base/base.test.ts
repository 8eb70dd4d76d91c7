import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Backoff } from "../../src/base/backoff.ts";
import { Counters, sumTexts } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ManualClock } from "../harness/clock.ts";

test("backoff doubles, is bounded, and resets only after a healthy spell", () => {
  const clock = new ManualClock();
  const backoff = new Backoff({ firstMs: 100, mostMs: 1000, healthyMs: 5000 }, clock, {
    ...seededRandom(1),
    next: () => 1,
  });
  const waits = (lives: number[]) =>
    lives.map((lifeMs) => {
      backoff.started();
      clock.advance(lifeMs);
      return backoff.nextMs();
    });
  assert.deepEqual(waits([0, 0, 0, 0, 0, 0]), [100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(waits([4999, 5000, 0]), [1000, 100, 200]);
});

test("the same seed repeats itself", () => {
  const take = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 5 }, () => random.next());
  };
  assert.deepEqual(take(7), take(7));
  assert.notDeepEqual(take(7), take(8));
  const random = seededRandom(3);
  for (let i = 0; i < 1000; i++) {
    const value = random.below(7);
    assert(value >= 0 && value < 7 && Number.isInteger(value));
  }
});

test("counters are Prometheus text, and texts of several processes are summed", () => {
  const one = new Counters();
  one.counter("a_total", "As", { door: 'q"\n\\' }).value += 2;
  one.gauge("b", "Bs").value = 1;
  assert.equal(
    one.text(),
    '# HELP a_total As\n# TYPE a_total counter\na_total{door="q\\"\\n\\\\"} 2\n# HELP b Bs\n# TYPE b gauge\nb 1\n',
  );
  const two = new Counters();
  two.counter("a_total", "As", { door: 'q"\n\\' }).value += 3;
  two.counter("a_total", "As", { door: "x" }).value += 1;
  assert.equal(
    sumTexts([one.text(), two.text()]),
    '# HELP a_total As\n# TYPE a_total counter\na_total{door="q\\"\\n\\\\"} 5\na_total{door="x"} 1\n# HELP b Bs\n# TYPE b gauge\nb 1\n',
  );
});

test("a family's label sets are bounded: what is over goes to other", () => {
  const counters = new Counters();
  for (let i = 0; i < 20_000; i++) counters.counter("many_total", "Many", { i }).value++;
  const lines = counters.text().split("\n");
  assert(lines.length < 10_010, `${lines.length} lines`);
  assert(lines.includes('many_total{i="other"} 10000'));
});
