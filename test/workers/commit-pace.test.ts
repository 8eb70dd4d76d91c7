import assert from "node:assert/strict";
import { test } from "node:test";
import { CommitPace, type Committed } from "../../workers/commit-pace.ts";

const quiet: Committed = { tookMs: 5, sinceMs: 200, points: 5000, rows: 2500, waitingBytes: 0 };
const crowded: Committed = { tookMs: 40, sinceMs: 200, points: 60_000, rows: 60_000, waitingBytes: 0 };
const behind: Committed = { ...crowded, waitingBytes: 8 << 20 };

/** Intervals after each of these commits. */
function f(commits: Committed[], expected: number[], leastMs = 200): void {
  const pace = new CommitPace(leastMs);
  const found = commits.map((commit) => {
    pace.committed(commit);
    return pace.intervalMs;
  });
  assert.deepEqual(found, expected);
}

test("T1: points are visible soon, and slow commits take a quarter of the time at most", () => {
  const took = (...each: number[]) => each.map((tookMs) => ({ ...quiet, tookMs }));
  f([quiet, quiet], [200, 200]);
  f(took(100, 100), [200, 400]);
  f(took(5, 5000, 5), [200, 200, 200]);
  f(took(5000, 5000), [200, 1000]);
  f(took(5000, 5000), [60_000, 60_000], 60_000);
  f([{ ...quiet, points: 0, rows: 0, sinceMs: 0 }], [200]);
});

test("T2: many rows of hardly more than a point make it longer, step by step, to a second", () => {
  f([crowded, crowded, crowded, crowded], [400, 800, 1000, 1000]);
  // Rows that hold many points gain nothing; nor do few points.
  f([{ ...crowded, rows: 2500 }], [200]);
  f([{ ...crowded, points: 10_000, rows: 10_000 }], [200]);
});

test("T3: to three seconds where frames wait", () => {
  f([behind, behind, behind, behind, behind, crowded], [400, 800, 1600, 3000, 3000, 1000]);
});

test("T4: and back at once", () => {
  f([behind, behind, behind, behind, quiet], [400, 800, 1600, 3000, 200]);
});

test("T5: the first commit after a start comes at once", () => {
  assert.equal(new CommitPace(200).intervalMs, 20);
  assert.equal(new CommitPace(5).intervalMs, 5);
});
