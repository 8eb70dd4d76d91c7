// What outlives a node about a shard: read, changed by many at once, written when the bus comes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { changeWish, decodeWish, shardOfWish, wishKey, type ShardFailed } from "../../cluster/shard-wish.ts";
import { encodeJson } from "../../cluster/shard-map.ts";
import { WishKeeper } from "../../cluster/wish-keeper.ts";
import { Outage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Kv } from "../../src/bus/bus.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { ManualClock, settle } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";
import { replaced } from "../harness/replaced.ts";

const clock = new ManualClock();
const bus = createMemoryBus({ clock, random: seededRandom(3) });
const failed: ShardFailed = { code: "restarts", why: "it died", atMs: 7 };

test("what can't be read is a wish for nothing special", () => {
  const nothing = {
    paused: false,
    failed: null,
    backfill: { paused: false, rate: "full" },
    replay: { stopped: false, rate: "full" },
  };
  const f = (text: string | undefined, expected: object) =>
    assert.deepEqual(decodeWish(text === undefined ? undefined : Buffer.from(text)), {
      ...nothing,
      ...expected,
    });
  f(undefined, {});
  f("", {});
  f("[]", {});
  f("null", {});
  f('{"paused":"yes","failed":[],"backfill":7}', {});
  f('{"paused":true,"backfill":{"paused":true,"rate":5}}', {
    paused: true,
    backfill: { paused: true, rate: 5 },
  });
  f('{"backfill":{"rate":-1}}', {});
  f('{"failed":{"code":"a","why":1}}', { failed: { code: "a", why: "", atMs: 0 } });
  f('{"failed":{"code":5,"why":"b","atMs":1}}', {});
  // Later than any date: it is printed.
  f('{"failed":{"code":"a","why":"b","atMs":1e300}}', { failed: { code: "a", why: "b", atMs: 0 } });
  assert.equal(shardOfWish(wishKey(1023)), 1023);
  for (const key of ["map", "shard.", "shard.x", "shard.1.2", "shard.-1"])
    assert.equal(shardOfWish(key), undefined, key);
});

test("many change one wish at once, none is lost, and what is not known here stays", async () => {
  const kv = await bus.kv("many");
  await kv.put(wishKey(1), encodeJson({ tomorrow: [1], backfill: { rate: 9 } }));
  await Promise.all([
    changeWish(kv, 1, () => ({ paused: true })),
    changeWish(kv, 1, () => ({ failed })),
    changeWish(kv, 1, ({ backfill }) => ({ backfill: { ...backfill, paused: true } })),
  ]);
  const entry = await kv.get(wishKey(1));
  assert.deepEqual(JSON.parse(Buffer.from(entry?.value ?? []).toString()), {
    tomorrow: [1],
    paused: true,
    failed,
    backfill: { paused: true, rate: 9 },
  });
  assert.equal((await changeWish(kv, 2, () => ({ paused: true }))).paused, true, "the first word of a shard");
});

test("that a shard failed is written when the bus is back; of several words the last one", async () => {
  const kv = await bus.kv("away");
  let isAway = true;
  let again = (): void => {};
  const away: Kv = replaced<Kv>(kv, {
    get: async (key) => {
      if (isAway) throw new Outage("bus-unavailable", "away");
      const entry = await kv.get(key);
      // A person says "again" while "failed" is being written.
      if (key === wishKey(2)) again();
      return entry;
    },
  });
  const keeper = new WishKeeper(away, clock, silentLog);
  keeper.failed(0, failed);
  keeper.failed(1, failed);
  await clock.pass(600_000);
  keeper.failed(1, null);
  isAway = false;
  await clock.pass(1000);
  const wish = async (shard: number) => decodeWish((await kv.get(wishKey(shard)))?.value).failed;
  assert.deepEqual([await wish(0), await wish(1)], [failed, null]);
  again = () => {
    again = () => {};
    keeper.failed(2, null);
  };
  keeper.failed(2, failed);
  await settle();
  assert.equal(await wish(2), null);
  await keeper.stop();
});
