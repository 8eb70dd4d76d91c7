import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonCode, reasons } from "../../src/metric/reason.ts";

test("a reason's code is its place in the list, and fits a byte", () => {
  assert.equal(reasonCode.ok, 0);
  for (const [code, reason] of reasons.entries()) assert.equal(reasonCode[reason], code);
  assert.equal(new Set(reasons).size, reasons.length);
  assert.ok(reasons.length <= 256);
});

test("a reason is a word that counters, ledger and frames can carry", () => {
  for (const reason of reasons) assert.match(reason, /^[a-z][a-z0-9-]{1,63}$/);
});
