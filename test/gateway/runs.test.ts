// Runs of lines that are taken whole: what is recorded, refused and answered is what lines one by one would have given.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import type { ShardBatcher } from "../../src/gateway/batch.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import { fromLatin1 } from "../fuzz/fuzzer.ts";
import { lineText } from "../fuzz/line-text.ts";
import { cutAtRandom } from "../fuzz/router.ts";
import { until } from "../tenant/directory-world.ts";
import { withGateway, type GatewayWorld } from "./world.ts";

const limitsOf = [
  undefined,
  { nameBytes: 8 },
  { tags: 1 },
  { pointsPerSecond: 40 },
  { pointsPerSecond: 100_000, nameBytes: 9 },
];

/** Mostly good, in stretches; some with what is odd about a line and not about its neighbours. */
function text(random: Random, now: number, keys: readonly string[], isRequest: boolean): string {
  let out = "";
  for (let n = random.below(40); n >= 0; n--) {
    const key = keys[random.below(keys.length)] ?? "";
    const oddIn = random.below(4) === 0 ? 2 : 1000;
    for (let line = random.below(30); line >= 0; line--) {
      const prefix = isRequest ? "" : `${key}.`;
      const seconds = [now, now - 172_801, now - 172_800, now + 86_400, 5, -1][
        random.below(oddIn) < 1 ? random.below(6) : 0
      ];
      const name = `n${"x".repeat(random.below(oddIn) < 1 ? random.below(10) : 2)}${random.below(9) === 0 ? ";a=1" : ""}`;
      if (random.below(oddIn) > 0) out += `${prefix}${name} ${random.below(100)} ${seconds}\n`;
      else if (random.below(3) === 0) out += `${prefix}${key}.${name} 1\n`;
      else if (random.below(2) === 0) out += `${prefix}${name} 2\n`;
      else out += `${prefix}${lineText(random, now)}\n`;
    }
  }
  return out;
}

async function outcome(world: GatewayWorld, seed: number): Promise<unknown> {
  const random = seededRandom(seed);
  const now = Math.floor(world.clock.nowMs() / 1000);
  const [a, b] = world.members;
  const limits = limitsOf[random.below(limitsOf.length)];
  if (limits !== undefined) {
    const kv = await world.bus.kv(tenantsBucket);
    await kv.put(tenantKeyOf(a.tenant.id), encodeJson({ ...a.tenant, limits }));
    await until(world.directory, () => world.directory.byId(a.tenant.id)?.limits !== undefined);
  }
  const keys = [a.writeKey, a.writeKey, b.writeKey, a.readKey, "nobody"];
  const sink = world.sink();
  for (let n = 0; n < 3; n++) {
    for (const packet of cutAtRandom(random, fromLatin1(text(random, now, keys, false))))
      assert.equal(sink.take(Buffer.from(packet)), undefined);
    await world.clock.pass(random.below(800));
  }
  const tenant = world.directory.byId(a.tenant.id) ?? a.tenant;
  const batcher = world.batchers[0] as ShardBatcher;
  const body = Buffer.from(fromLatin1(text(random, now, keys, true)));
  const accepted = world.acceptor.accept(tenant, batcher, body);
  const keyed = world.acceptor.acceptKeyed(tenant, batcher, body, "k");
  await world.clock.pass(5000);
  // Each world has keys of its own.
  const named = (line: string) =>
    line.replaceAll(a.writeKey, "KEY-A").replaceAll(b.writeKey, "KEY-B").replaceAll(a.readKey, "READ-A");
  const linesOf = async (shard: number) => (await world.lines(shard)).map(named).sort();
  return {
    verdicts: named(JSON.stringify([await accepted, await keyed])),
    lines: [await linesOf(0), await linesOf(1)],
    refusals: [await world.refusals(0), await world.refusals(1)],
    counted: world.counters
      .text()
      .split("\n")
      .filter((row) => row.includes("_lines_")),
  };
}

test("raw doors and requests do the same with runs and without", async () => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? 700);
  for (let round = 0; round < 40; round++) {
    const outcomes: unknown[] = [];
    for (const newRouter of [createKernelRouter, createPlainRouter])
      await withGateway(
        async (world) => void outcomes.push(await outcome(world, seed + round)),
        undefined,
        newRouter,
      );
    assert.deepStrictEqual(outcomes[0], outcomes[1], `seed ${seed + round}`);
  }
});
