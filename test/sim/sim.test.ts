// P1, P2, P5 through lost acks, repeated and reordered frames, lost connections, deaths at any await and zombie owners.
// Short form; the long one: node dist/test/sim/run.js --seeds 10000
import assert from "node:assert/strict";
import { test } from "node:test";
import { report, simulate } from "./simulate.ts";

const first = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
const seeds = 50;

test(`${seeds} runs of a shard in trouble count every point once (MILLRACE_SEED=${first})`, async () => {
  const totals = {
    frames: 0,
    points: 0,
    repeated: 0,
    lives: 0,
    commits: 0,
    lost: 0,
    spooled: 0,
    poisoned: 0,
  };
  let innocent = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const outcome = await simulate(seed);
    assert.deepEqual(outcome.wrong, [], report(outcome));
    innocent += outcome.innocent;
    for (const what of Object.keys(totals) as (keyof typeof totals)[]) totals[what] += outcome.seen[what];
  }
  assert(innocent <= seeds / 20, `${innocent} lines were buried that kill nobody`);
  // A run in which nothing happens proves nothing.
  for (const [what, count] of Object.entries(totals)) assert(count > seeds / 10, `${what}: only ${count}`);
});

test("the same seed gives the same run", async () => {
  assert.deepEqual(await simulate(first), await simulate(first));
});
