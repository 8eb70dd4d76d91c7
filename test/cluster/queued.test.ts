// What is recorded and not committed is counted from the record's frames: each once, resends of what was applied not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countQueued } from "../../cluster/queued.ts";
import { World } from "../workers/world.ts";

test("frames behind the offset are queued, by door and minute; applied and doubled ones are not", async () => {
  const world = await World.start({ duplicateWindowMs: 1 });
  const minute = Math.floor(world.clock.nowMs() / 60_000) * 60;
  const applied = world.frame(["a 1", "a 2"], { n: 0 });
  await world.record(applied);
  await world.runThrough();
  const asked = async (tenant: string, from = 0, until = minute + 3600) => {
    const { offset, boots } = await world.state();
    const range = { from, until };
    return await countQueued({
      bus: world.bus,
      clock: world.clock,
      shard: 0,
      tenant,
      offset,
      boots,
      ...range,
    });
  };
  assert.deepEqual(await asked("t1"), { queued: [], queuedMore: false });

  const later = world.frame(["b 1", "b 2", "b 3"], { n: 1 });
  await world.record(applied);
  await world.record(later);
  await world.record(later);
  await world.record(world.frame(["c 1"], { keyed: 1, door: "http" }));
  await world.record(world.frame(["d 1"], { n: 2, tenant: "t2" }));
  await world.record(Buffer.from("no frame"));
  const refusals = [{ tenant: "t1", door: "udp" as const, reason: "nan", count: 5, minute }];
  await world.record(world.frame([], { n: 3, refusals }));
  const queuedAt = Math.floor(world.clock.nowMs() / 60_000) * 60;
  assert.deepEqual(await asked("t1"), {
    queued: [
      { door: "tcp", minute: queuedAt, count: 3 },
      { door: "http", minute: queuedAt, count: 1 },
      { door: "udp", minute, count: 5 },
    ],
    queuedMore: false,
  });
  assert.deepEqual((await asked("t2")).queued, [{ door: "tcp", minute: queuedAt, count: 1 }]);
  assert.deepEqual((await asked("t1", queuedAt + 60)).queued, []);

  await world.runThrough();
  assert.deepEqual(await asked("t1"), { queued: [], queuedMore: false });
});
