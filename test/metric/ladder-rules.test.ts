import assert from "node:assert/strict";
import { test } from "node:test";
import { Bug } from "../../src/base/assert.ts";
import { parseLadder, type Ladder } from "../../src/metric/bucket.ts";
import { compileLadderRules, ladderText } from "../../src/metric/ladder-rules.ts";
import { changeSchemas } from "../../src/tenant/rules.ts";

function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  assert.equal(parsed.kind, "ladder");
  return parsed.kind === "ladder" ? parsed.ladder : { rungs: [] };
}

const standard = ladderOf("10s:1h");
const ruleOf = (text: string) => ({ name: text, pattern: "^a", ladder: ladderOf(text) });

/** Since when each ladder holds, of a tenant whose sets begin at these times. */
function since(times: readonly number[]): string[] {
  const sets = times.map((fromSeconds, i) => ({ fromSeconds, rules: [ruleOf(`${i + 1}s:1h`)] }));
  return compileLadderRules(1, standard, new Map([["t", sets]]))
    .laddersOf("t", "a.b")
    .map(({ fromSeconds, ladder }) => `${fromSeconds} ${ladderText(ladder)}`);
}

test("R3: sets that don't ascend are nobody's rules", () => {
  assert.deepEqual(since([0, 100, 200]), ["0 1s:3600s", "100 2s:3600s", "200 3s:3600s"]);
  for (const times of [
    [0, 200, 100],
    [0, 100, 100],
    [5, 0],
  ])
    assert.throws(() => since(times), Bug);
});

test("R3: changes by a clock that goes back ascend, and so can be compiled", () => {
  const hour = 3600;
  let sets: ReturnType<typeof changeSchemas> = [];
  for (const [i, now] of [100, 104, 101, 101, 102, 99].entries()) {
    sets = changeSchemas(sets, [ruleOf(`${i + 1}s:9d`)], now * hour, standard);
    compileLadderRules(1, standard, new Map([["t", sets]]));
  }
  assert.deepEqual(
    sets.map(({ fromSeconds }) => fromSeconds / hour),
    [0, 100],
  );
});
