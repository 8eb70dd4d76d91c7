import assert from "node:assert/strict";
import { test } from "node:test";
import { startThread } from "../../cluster/hosted.ts";
import { SpareThread } from "../../cluster/spare-thread.ts";
import { readSettings } from "../../src/config/settings.ts";
import type { ShardTask } from "../../workers/messages.ts";
import { ManualClock } from "../harness/clock.ts";
import { freePorts } from "../harness/system.ts";

test("S1, S2: an actor gets the spare thread when there is one, and ends as any other", {
  timeout: 60_000,
}, async () => {
  const [port] = await freePorts(1);
  // Nobody is there: they wait for their record until they are stopped.
  const settings = readSettings({ MILLRACE_NATS_LISTEN: `127.0.0.1:${port}`, MILLRACE_LOG_LEVEL: "error" });
  const task = (shard: number): ShardTask => ({
    shard,
    mapVersion: 1,
    instance: "i",
    storeBytes: 1 << 22,
    settings,
    limits: { standard: "off", tenants: [] },
    lastDeath: "",
  });
  const clock = new ManualClock();
  const spare = new SpareThread({ clock, settings });
  const none = (): void => {};

  const first = spare.start(task(0), none);
  clock.advance(999);
  const second = spare.start(task(1), none);
  assert.ok(second.id > first.id, "no spare yet: shards were starting");
  clock.advance(1000);
  const later = startThread(task(2), none);
  const taken = spare.start(task(3), none);
  assert.ok(taken.id < later.id, "this one was there before");
  for (const hosted of [first, second, later, taken]) hosted.post({ kind: "stop" });
  const deaths = await Promise.all([first, second, later, taken].map(({ exited }) => exited));
  assert.deepEqual(
    deaths.map(({ why }) => why),
    Array.from({ length: 4 }, () => "its thread ended with exit 0"),
  );

  // One that waits for its task when the node ends: this file would not end if it stayed.
  clock.advance(1000);
  await spare.close();
});
