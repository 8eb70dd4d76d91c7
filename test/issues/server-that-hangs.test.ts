// A NATS server that hangs holds its connections open: a watch of the tenants begun then says nothing for minutes, and
// with it hung `millrace dead list`, at night, until it gave up with the wrong sentence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tenantOf, tenantsOf, within } from "../../bin/admin/operator.ts";
import { isOutage } from "../../src/base/errors.ts";
import type { Kv } from "../../src/bus/bus.ts";

test("what the directory does not answer in time is an outage, for each verb", async () => {
  const never = new Promise<never>(() => {});
  const tenants = { get: () => never, watch: () => ({ stop: () => {} }) } as unknown as Kv;
  for (const asked of [tenantsOf({ tenants }, 5), tenantOf({ tenants }, "acme", 5), within(never, "it", 5)])
    await assert.rejects(asked, (error) => isOutage(error, "bus-timeout"));
  assert.equal(await within(Promise.resolve(7), "it", 5000), 7);
});
