import assert from "node:assert/strict";
import { test } from "node:test";
import { Admissions } from "../../src/api/admission.ts";

test("places are bounded, per tenant and in all; a place is given back once", () => {
  const admissions = new Admissions({ total: 3, perTenant: 2 });
  const admit = (tenant: string) => {
    const answer = admissions.admit(tenant);
    return answer.kind === "full" ? answer.whose : answer.release;
  };
  const first = admit("a");
  const second = admit("a");
  assert.ok(typeof first === "function" && typeof second === "function");
  assert.equal(admit("a"), "tenant");
  assert.equal(typeof admit("b"), "function");
  assert.equal(admit("b"), "everybody");
  assert.equal(admissions.open, 3);
  first();
  first();
  assert.equal(admissions.open, 2);
  assert.equal(typeof admit("a"), "function");
  assert.equal(admit("a"), "tenant");
  second();
  assert.equal(typeof admit("c"), "function");
});
