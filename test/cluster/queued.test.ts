// What is recorded and not committed is counted from the record's frames: each once, resends of what was applied not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countQueued } from "../../cluster/queued.ts";
import { hex } from "../../src/metric/frame.ts";
import type { ShardState } from "../../src/store/store.ts";
import { bootA, World } from "../workers/world.ts";

test("frames behind the offset are queued, by door and minute; applied and doubled ones are not", async () => {
  const world = await World.start({ duplicateWindowMs: 1 });
  const minute = Math.floor(world.clock.nowMs() / 60_000) * 60;
  const applied = world.frame(["a 1", "a 2"], { n: 0 });
  await world.record(applied);
  await world.runThrough();
  const asked = async (tenant: string, from = 0, until = minute + 3600) => {
    const { bus, clock } = world;
    return await countQueued({ bus, clock, shard: 0, tenant, from, until, ...(await world.state()) });
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

test("frames in gaps are queued, too, and of a frame that is committed in part the rest", async () => {
  const world = await World.start();
  const { bus, clock } = world;
  const minute = Math.floor(clock.nowMs() / 60_000) * 60;
  const refusals = [{ tenant: "t1", door: "udp" as const, reason: "nan", count: 100, minute }];
  for (let s = 1; s <= 5; s++)
    await world.record(
      world.frame(
        Array.from({ length: s }, (_, i) => `a${i} 1`),
        { n: s, refusals },
      ),
    );
  const none = { offset: 0, boots: [], gaps: [], parts: [] };
  type Place = Partial<Pick<ShardState, "offset" | "gaps" | "parts" | "boots">>;
  const f = async (place: Place, tcp: number, udp: number) => {
    const range = { tenant: "t1", from: 0, until: minute };
    const { queued, queuedMore } = await countQueued({ ...none, bus, clock, shard: 0, ...range, ...place });
    const of = (door: string) => queued.find((row) => row.door === door)?.count ?? 0;
    assert.deepEqual([of("tcp"), of("udp"), queuedMore], [tcp, udp, false]);
  };
  await f({ offset: 5 }, 0, 0);
  await f({ offset: 4 }, 5, 100);
  await f({ offset: 4, gaps: [[2, 3]] }, 2 + 3 + 5, 300);
  await f({ offset: 4, gaps: [[2, 3]], parts: [{ sequence: 2, lines: 1 }] }, 1 + 3 + 5, 300);
  await f({ offset: 4, parts: [{ sequence: 5, lines: 5 }] }, 0, 100);
  const applied = [{ boot: hex(bootA), applied: [[3, 3]] as [number, number][], lastAppliedMs: 0 }];
  await f({ offset: 5, gaps: [[2, 3]], boots: applied }, 2, 100);
});
