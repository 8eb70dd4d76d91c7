import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acceptedSeconds,
  aheadSecondsMax,
  bucketOf,
  finestStep,
  longestSpan,
  parseLadder,
  parseSpan,
} from "../../src/metric/bucket.ts";

function span(text: string, expected: number | undefined) {
  assert.equal(parseSpan(text), expected, text);
}

test("spans as rows", () => {
  span("90", 90);
  span("60s", 60);
  span("5m", 300);
  span("5min", 300);
  span("1h", 3600);
  span("2d", 172_800);
  span("1w", 604_800);
  span("2y", 63_072_000);
  span(" 10s ", 10);
  for (const text of ["", "s", "-1s", "1.5h", "1 h", "1mon", "1H", "12345678901"]) span(text, undefined);
});

/** Steps and spans, or what the refusal says. */
function ladder(text: string, expected: [number, number][] | RegExp) {
  const parsed = parseLadder(text);
  if (expected instanceof RegExp) assert.match(parsed.kind === "invalid" ? parsed.why : "a ladder", expected);
  else {
    const rungs = parsed.kind === "ladder" ? parsed.ladder.rungs : [];
    assert.deepEqual(
      rungs.map((rung) => [rung.stepSeconds, rung.spanSeconds]),
      expected,
    );
  }
}

test("ladders as rows", () => {
  ladder("10s:2d,60s:30d,600s:2y", [
    [10, 172_800],
    [60, 2_592_000],
    [600, 63_072_000],
  ]);
  ladder("60:1d", [[60, 86_400]]);
  ladder("1s:1s", [[1, 1]]);
  ladder("", /not of the form/);
  ladder("10s", /not of the form/);
  ladder("10s:2d:3", /not of the form/);
  ladder("10s:2d,", /not of the form/);
  ladder("0s:2d", /at least one second/);
  ladder("60s:10s", /shorter than the step/);
  ladder("10s:2d,15s:30d", /multiple of 10s/);
  ladder("60s:2d,10s:30d", /multiple of 60s/);
  ladder("10s:2d,60s:2d", /longer than/);
});

test("points belong to the bucket that starts before them", () => {
  assert.equal(bucketOf(1_700_000_009, 10), 1_700_000_000);
  assert.equal(bucketOf(1_700_000_010, 10), 1_700_000_010);
  assert.equal(bucketOf(59, 60), 0);
  assert.equal(bucketOf(4_294_967_295, 1), 4_294_967_295);
});

test("which time stamps count rests on receivedAtMs and the ladder", () => {
  const parsed = parseLadder("10s:2d,60s:30d");
  assert.equal(parsed.kind, "ladder");
  if (parsed.kind !== "ladder") return;
  assert.equal(finestStep(parsed.ladder), 10);
  assert.equal(longestSpan(parsed.ladder), 2_592_000);
  assert.deepEqual(acceptedSeconds(1_790_000_000_999, parsed.ladder), {
    oldest: 1_790_000_000 - 2_592_000,
    newest: 1_790_000_000 + aheadSecondsMax,
  });
  assert.equal(acceptedSeconds(5000, parsed.ladder).oldest, 1, "never 0: 1970 is a clock gone wrong");
});
