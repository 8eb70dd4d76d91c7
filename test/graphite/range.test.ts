import assert from "node:assert/strict";
import { test } from "node:test";
import { clipRange, gridOf, parseRange, pickRung, type RangeTexts } from "../../src/graphite/range.ts";
import { parseLadder } from "../../src/metric/bucket.ts";

const now = 1_795_341_600;
const parsed = parseLadder("10s:2d,60s:30d,600s:2y");
assert.ok(parsed.kind === "ladder");
const { ladder } = parsed;

test("ranges: default, swapped, equal", () => {
  function f(texts: RangeTexts, expected: [number, number] | RegExp): void {
    const answer = parseRange(texts, now);
    if (expected instanceof RegExp)
      assert.match(answer.kind === "invalid" ? answer.why : "a range", expected);
    else assert.deepEqual(answer, { kind: "range", range: { from: expected[0], until: expected[1] } });
  }
  f({}, [now - 86_400, now]);
  f({ from: "-1h" }, [now - 3600, now]);
  f({ from: "0", until: "100" }, [0, 100]);
  f({ from: "100", until: "0" }, [0, 100]);
  f({ from: "now-2h", until: "now-1h", now: "1000000" }, [1_000_000 - 7200, 1_000_000 - 3600]);
  f({ from: "-1h", now: "-1h" }, [now - 7200, now - 3600]);
  f({ from: "midnight", tz: "Nowhere/None" }, [now - (now % 86_400), now]);
  f({ from: "now" }, /empty/);
  f({ from: "5", until: "5" }, /empty/);
  f({ from: "" }, /empty/);
  f({ from: "NaN" }, /^from: "NaN" is no time/);
  f({ until: "-1" }, /^until: "-1" is no time/);
  f({ now: "later" }, /^now: /);
});

function grid(from: number, until: number, step: number, start: number, width: number): void {
  assert.deepEqual(gridOf({ from, until }, step), { start, stepSeconds: step, width });
}

test("R1: from is exclusive, until inclusive, on the grid; never empty", () => {
  grid(0, 600, 60, 60, 10);
  grid(-1830 + now, now - 30, 60, now - 1800, 30);
  grid(now - 61, now - 1, 60, now - 60, 1);
  grid(now - 50, now - 10, 60, now, 1);
  grid(now - 60, now, 60, now, 1);
  grid(now - 59, now + 1, 60, now, 1);
  grid(59, 61, 60, 60, 1);
  grid(1, 2, 60, 60, 1);
  grid(0, 1, 1, 1, 1);
});

test("the finest rung that still holds from", () => {
  function f(ageSeconds: number, step: number): void {
    assert.equal(pickRung(ladder, now - ageSeconds, now).stepSeconds, step);
  }
  f(-10, 10);
  f(3600, 10);
  f(2 * 86_400, 10);
  f(2 * 86_400 + 1, 60);
  f(30 * 86_400, 60);
  f(31 * 86_400, 600);
  f(now, 600);
});

test("R3: no grid is wider than the ladder, and none is empty", () => {
  const span = 2 * 31_536_000;
  function f(from: number, until: number, expected: [number, number]): void {
    const clipped = clipRange({ from, until }, span, 600, now);
    assert.deepEqual(clipped, { from: expected[0], until: expected[1] });
    const { width } = gridOf(clipped, 600);
    assert.ok(width >= 1 && width <= span / 600 + 10, `width ${width}`);
  }
  f(now - 3600, now, [now - 3600, now]);
  f(now - 3600, now + 60, [now - 3600, now + 60]);
  f(0, now, [now - span, now]);
  f(-253_402_300_799, 253_402_300_799, [now - span, now + 3600]);
  f(now - 10 * span, now - 9 * span, [now - 9 * span - 600, now - 9 * span]);
  f(now + 10 * span, now + 11 * span, [now + 10 * span, now + 10 * span + 600]);
});
