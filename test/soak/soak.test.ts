import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak.ts";

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
const seconds = 20;

test(`a storm of kills, poison and on-call's verbs leaves every point once (MILLRACE_SEED=${seed})`, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const said: string[] = [];
  const report = await soak({ seed, seconds, say: (line) => void said.push(line) });
  assert.deepEqual(report.wrong, [], `seed ${seed}\n${said.join("\n")}`);
  assert(report.points > 1000, `the senders got through: ${report.points} points`);
  t.diagnostic(`${report.points} points acknowledged, ${JSON.stringify(report.done)}`);
});
