// What actors are told of their tenants' limits, and when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tellSeriesLimits } from "../../cluster/series-limits.ts";
import type { Tenant, TenantLimits } from "../../src/tenant/tenant.ts";
import type { SeriesLimitsTold } from "../../workers/messages.ts";
import { ManualClock } from "../harness/clock.ts";

test("actors are told once the directory is known, and again when a limit of series changes", async () => {
  const clock = new ManualClock();
  const told: SeriesLimitsTold[] = [];
  let all: Tenant[] = [];
  let change = () => {};
  let live = false;
  const stop = tellSeriesLimits({
    tenants: {
      get live() {
        return live;
      },
      all: () => all,
      onChange(callback) {
        change = callback;
        return () => {
          change = () => {};
        };
      },
    },
    standard: 1000,
    tell: (limits) => told.push(limits),
    clock,
  });
  const tenant = (id: string, limits?: TenantLimits): Tenant => ({
    id,
    name: id,
    state: "active",
    createdMs: 0,
    keys: [],
    homes: [],
    ...(limits !== undefined && { limits }),
  });
  const changed = async (...tenants: Tenant[]) => {
    all = tenants;
    change();
    change();
    await clock.pass(100);
    return told.length;
  };
  assert.equal(told.length, 0);
  assert.equal(await changed(), 0); // an empty copy, and NATS has said nothing yet
  assert.equal(await changed(tenant("a")), 1);
  assert.deepEqual(told.at(-1), { standard: 1000, tenants: [] });
  assert.equal(await changed(tenant("a"), tenant("b", { pointsPerSecond: 3 })), 1);
  assert.equal(await changed(tenant("a", { series: 5 }), tenant("b", { series: "off" })), 2);
  assert.deepEqual(told.at(-1)?.tenants, [
    ["a", 5],
    ["b", "off"],
  ]);
  assert.equal(await changed(tenant("a", { series: -5 }), tenant("b", { series: "off" })), 3);
  assert.deepEqual(told.at(-1)?.tenants, [["b", "off"]]);
  live = true;
  assert.equal(await changed(), 4);
  stop();
  change();
  assert.equal(clock.timers, 0);
});
