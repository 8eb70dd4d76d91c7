// Upkeep that is killed at random moments, beside commits and another upkeep: nothing is lost, nothing is there twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { killed, terminated } from "./upkeep-killing.ts";

const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

test(`C1, C6: kill -9 of owners and of upkeep at random moments (MILLRACE_SEED=${seed})`, async () => {
  const seen = await killed(seed, 8);
  for (const what of ["fragments", "merge", "retention", "purge"])
    assert.ok((seen.get(what) ?? 0) > 0, `${what} happened: ${JSON.stringify([...seen])}`);
});

test("a thread of upkeep terminated at random moments leaves a whole store and no lock", async () => {
  await terminated(20);
});
