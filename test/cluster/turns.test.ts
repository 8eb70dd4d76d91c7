import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "../../cluster/turns.ts";
import { ManualClock, settle } from "../harness/clock.ts";

test("T1: so many at a time, first come first served, and nobody waits for long", async () => {
  const clock = new ManualClock();
  const turns = new Turns({ most: 2, waitingMost: 2, waitMs: 100, clock });
  const told: string[] = [];
  const take = (name: string) => void turns.take().then((turn) => told.push(`${name} ${turn}`));
  for (const name of ["a", "b", "c", "d", "e"]) take(name);
  await settle();
  assert.deepEqual(told.splice(0), ["a true", "b true", "e false"]);
  turns.give();
  await settle();
  assert.deepEqual(told.splice(0), ["c true"]);
  await clock.pass(100);
  assert.deepEqual(told.splice(0), ["d false"]);
  turns.give();
  turns.give();
  assert.equal(await turns.take(), true);
  turns.give();
  assert.throws(() => turns.give(), /was taken/);
});
