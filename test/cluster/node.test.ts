// What a node finds out before it runs anything.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../src/base/counters.ts";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { clusterBucket } from "../../src/bus/subjects.ts";
import { readSettings } from "../../src/config/settings.ts";
import { ClusterNode } from "../../cluster/node.ts";
import { encodeJson, mapKey } from "../../cluster/shard-map.ts";
import { Supervisor } from "../../cluster/supervisor.ts";
import { hearLog } from "../harness/log.ts";

test("a node whose name was changed says so, instead of waiting for shards for ever", async () => {
  const clock = systemClock;
  const random = seededRandom(3);
  const bus = createMemoryBus({ clock, random });
  const { log } = hearLog();
  const settings = readSettings({});
  const supervisor = new Supervisor({
    instance: "i",
    settings,
    storeBytes: 1 << 22,
    clock,
    random,
    counters: new Counters(),
    log,
    readHead: async () => undefined,
    onFailed: () => {},
  });
  const cluster = await bus.kv(clusterBucket);
  await cluster.put(mapKey, encodeJson({ version: 1, shards: 2, owners: { 0: "old", 1: "old" } }));
  const node = new ClusterNode({ node: "new", bus, supervisor, clock, random, log });
  await assert.rejects(node.start(), { code: "settings-invalid", message: /set MILLRACE_NODE=old\./ });
  await bus.close();
});
