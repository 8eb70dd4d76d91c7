// Random histories: whatever an engine lived through, it must show what the memory engine shows.
import assert from "node:assert/strict";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import { newSeriesFlag, type Commit, type GaugeChange } from "../../src/store/store.ts";
import { difference } from "./store-gauges.ts";
import { sketchOf } from "./store-sketches.ts";
import {
  columns,
  commitOf,
  everything,
  forgotten,
  hourMs,
  key,
  withSnapshot,
  type Case,
  type World,
} from "./store-helpers.ts";

export function historiesCases(f: Case): void {
  f("random histories leave what the memory engine has", async (world) => {
    const seed = Date.now() % 1_000_000;
    try {
      for (let i = 0; i < 4; i++) await compareHistories(world, i, seededRandom(seed * 10 + i));
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  });
}

/** Two engines live through the same claims, commits and forgettings, some of them refused. */
async function compareHistories(world: World, shard: number, random: Random): Promise<void> {
  const oracle = createMemoryEngine();
  let { engine } = world;
  let tested = await engine.openShard(shard);
  const memory = await oracle.openShard(shard);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  let epoch = 0;
  let offset = 0;
  const known = new Set<number>();
  let refused = 0;
  let nowMs = 1000;
  for (let i = 0; i < 60; i++) {
    nowMs += random.below(10 * hourMs);
    const action = random.below(10);
    if (action === 0) {
      const owner = { node: pick(["n1", "n2"]), mapVersion: random.below(1 + i / 10), instance: "i" };
      const result = await tested.claim(owner);
      assert.deepEqual(result, await memory.claim(owner));
      if (result.kind === "claimed") ({ epoch, offset } = result.state);
    } else if (action === 1) {
      assert.deepEqual(await forgotten(tested, epoch, nowMs), await forgotten(memory, epoch, nowMs));
    } else if (action === 2 && i % 3 === 0) {
      await tested.close();
      engine = await world.reopen();
      tested = await engine.openShard(shard);
    } else {
      const commit = randomCommit(random, { epoch, offset, known: [...known], nowMs });
      const result = await tested.commit(commit);
      assert.deepEqual(result, await memory.commit(commit));
      if (result.kind === "ok") {
        offset = commit.to;
        for (const id of result.ids) known.add(id);
      } else refused++;
      const ids = Array.from({ length: 4 }, (_, n) => new Uint8Array(16).fill(n));
      assert.deepEqual(await tested.keyedApplied(ids, nowMs), await memory.keyedApplied(ids, nowMs));
    }
  }
  assert.ok(refused > 0 && known.size > 0, "a history with something in it");
  const seen = await withSnapshot(engine, shard, (s) => everything(s, 400));
  assert.deepEqual(seen, await withSnapshot(oracle, shard, (s) => everything(s, 400)));
  await tested.close();
}

function randomCommit(
  random: Random,
  at: { epoch: number; offset: number; known: readonly number[]; nowMs: number },
): Commit {
  const name = () =>
    Array.from({ length: 1 + random.below(3) }, () => ["a", "b", "c", "d1", "ü"][random.below(5)]).join(".") +
    (random.below(5) === 0 ? `;k=${random.below(4)}.x` : "");
  const newSeries = Array.from({ length: random.below(6) }, () => key(name(), `t${1 + random.below(2)}`));
  const rows = Array.from({ length: random.below(40) }, () => {
    const fresh = newSeries.length > 0 && (at.known.length === 0 || random.below(2) === 0);
    const bucket = random.below(40) * 10;
    const sum = random.below(2) === 0 ? random.below(100) : Math.floor((random.next() - 0.5) * 2 ** 20) / 64;
    return {
      series: fresh ? random.below(newSeries.length) : (at.known[random.below(at.known.length)] ?? 0),
      fresh,
      bucket,
      sum,
      points: 1 + random.below(3),
      min: sum - random.below(3),
      max: sum + random.below(3),
      last: sum,
      lastSeconds: bucket + random.below(10),
      lastReceivedAtMs: at.nowMs + random.below(3),
    };
  }).filter(({ fresh }) => fresh || at.known.length > 0);
  const quantile = () => sketchOf({ [random.below(9)]: 1 + random.below(9), 20: 0.5 });
  const sketches = new Map(rows.flatMap((_, row) => (random.below(3) === 0 ? [[row, quantile()]] : [])));
  const gauge = (series: number): GaugeChange => ({
    series,
    relative: random.below(2) === 0 ? [] : [difference(random.below(40) * 10, random.below(9) - 4)],
    value: random.below(100),
    isRelative: random.below(2) === 0,
  });
  const gauges = [
    ...at.known.slice(0, random.below(3)),
    ...(newSeries.length > 0 && random.below(3) === 0 ? [newSeriesFlag] : []),
  ].map(gauge);
  const wrong = random.below(8);
  const from = at.offset + (wrong === 0 ? 1 : 0);
  return commitOf(at.epoch - (wrong === 1 ? 1 : 0), from, from + 1 + random.below(5), {
    newSeries,
    deltas: { ...columns(rows), sketches },
    gauges,
    boots: Array.from({ length: random.below(3) }, () => {
      const n = random.below(50);
      return { boot: `0${random.below(3)}`, applied: [[n, n + random.below(4)]], lastAppliedMs: at.nowMs };
    }),
    keyed: Array.from({ length: random.below(2) }, () => ({
      id: new Uint8Array(16).fill(random.below(4)),
      appliedAtMs: at.nowMs,
    })),
    ledger: Array.from({ length: random.below(4) }, () => ({
      tenant: `t${1 + random.below(2)}`,
      door: random.below(2) === 0 ? "tcp" : "http",
      minute: random.below(5) * 60,
      fate: random.below(2) === 0 ? "stored" : "refused",
      reason: "",
      count: 1 + random.below(100),
    })),
    dead: Array.from({ length: random.below(2) }, (_, part) => ({
      sequence: from + 1,
      part,
      tenant: "t1",
      door: "tcp",
      reason: "poison",
      detail: "",
      receivedAtMs: at.nowMs,
      kind: "plaintext",
      lines: 1,
      bytes: random.bytes(random.below(20)),
    })),
    holes: random.below(6) === 0 ? [[from + 1, from + 1 + random.below(3)]] : [],
  });
}
