import assert from "node:assert/strict";
import { test } from "node:test";
import { allHomes, hashedHome, homeOf, keyedHomeOf } from "../../src/tenant/routing.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";

function tenant(id: string, homes: Tenant["homes"] = []): Tenant {
  return { id, name: id, state: "active", createdMs: 0, keys: [], homes };
}

function f(id: string, shards: number, expected: number): void {
  assert.equal(hashedHome(tenant(id), shards), expected);
  assert.equal(homeOf(tenant(id), shards), expected);
  assert.equal(keyedHomeOf(tenant(id), shards, 0), expected);
  assert.deepEqual(allHomes(tenant(id), shards), [expected]);
}

test("the hashed home is written in stone", () => {
  // SHA-256("abc") begins with ba7816bf = 3128432319, SHA-256("") with e3b0c442 = 3820012610.
  f("abc", 1, 0);
  f("abc", 8, 3128432319 % 8);
  f("abc", 1000, 319);
  f("", 1000, 610);
});

test("ids spread over the shards", () => {
  const counts = Array.from({ length: 8 }, () => 0);
  for (let i = 0; i < 8_000; i++) {
    const home = homeOf(tenant(`tenant-${i}`), 8);
    counts[home] = (counts[home] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, counts.join(" "));
});

test("explicit homes: the newest for new points, the one of ten minutes ago for keyed ones, all for reading", () => {
  const minute = 60_000;
  const hashed = hashedHome(tenant("abc"), 8); // 7
  const moved = tenant("abc", [
    { shard: 2, sinceMs: 100 * minute },
    { shard: 5, sinceMs: 200 * minute },
  ]);
  assert.equal(homeOf(moved, 8), 5);
  assert.deepEqual(allHomes(moved, 8), [hashed, 2, 5]);
  const at = (nowMs: number, expected: number) =>
    assert.equal(keyedHomeOf(moved, 8, nowMs), expected, `${nowMs}`);
  at(50 * minute, hashed); // a clock that was set back
  at(100 * minute, hashed);
  at(110 * minute - 1, hashed);
  at(110 * minute, 2);
  at(200 * minute, 2);
  at(210 * minute - 1, 2);
  at(210 * minute, 5);
  at(9999 * minute, 5);
});

test("a home that is no shard is passed over, and a home named twice is asked once", () => {
  const slip = tenant("abc", [
    { shard: 2, sinceMs: 1 },
    { shard: 99, sinceMs: 2 },
  ]);
  assert.equal(homeOf(slip, 8), 2);
  assert.deepEqual(allHomes(slip, 8), [7, 2]);
  const back = tenant("abc", [
    { shard: 2, sinceMs: 1 },
    { shard: 7, sinceMs: 2 },
    { shard: 2, sinceMs: 3 },
  ]);
  assert.deepEqual(allHomes(back, 8), [7, 2]);
});
