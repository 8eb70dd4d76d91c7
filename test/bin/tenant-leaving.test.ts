// The sentences an operator reads before and while a tenant goes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deletePreview, purgePreview, purgeText, type TenantWeight } from "../../bin/tenant-leaving.ts";

const weight: TenantWeight = { series: 12_345, shards: [1, 4], pointsPerSecond: 2100.4, unasked: [] };
const purgeMs = Date.UTC(2026, 10, 30, 7, 5, 59);

test("what a delete says first", () => {
  const f = (change: Partial<TenantWeight>, expected: string) =>
    assert.equal(
      deletePreview("acme", { ...weight, ...change }, purgeMs),
      `tenant acme: ${expected}; gone for good on 2026-11-30 07:05 UTC unless undeleted`,
    );
  f({}, "12,345 series in shards 1, 4; sends 2,100 points/s now");
  f({ series: 1, shards: [0] }, "1 series in shard 0; sends 2,100 points/s now");
  f({ series: 0, shards: [], pointsPerSecond: 0 }, "no series; sends nothing now");
  f({ pointsPerSecond: 0.2 }, "12,345 series in shards 1, 4; sends less than 1 point/s now");
  f(
    { unasked: [{ shard: 7, why: "no node answers" }] },
    "12,345 series in shards 1, 4; sends 2,100 points/s now; shard 7 could not be asked",
  );
});

test("what is said of a purge", () => {
  assert.equal(
    purgePreview("acme", weight),
    "tenant acme: 12,345 series in shards 1, 4 are gone for good from now on; nothing brings them back",
  );
  const progress = { startedMs: 1, done: [0, 2], left: { 1: 1500, 4: 20 }, series: 9000 };
  assert.equal(
    purgeText("acme", progress, 8),
    "tenant acme: 2 of 8 shards done, 9,000 series gone, 1,520 known to be left",
  );
  assert.equal(purgeText("acme", undefined, 8), "tenant acme: its purge waits for a node");
});
