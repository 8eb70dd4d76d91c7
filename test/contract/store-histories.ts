// Random histories: whatever an engine lived through, it must show what the memory engine shows.
import assert from "node:assert/strict";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import {
  newSeriesFlag,
  type Commit,
  type GaugeChange,
  type Interval,
  type Lane,
  type ShardStore,
} from "../../src/store/store.ts";
import { difference } from "./store-gauges.ts";
import { sketchOf } from "./store-sketches.ts";
import {
  columns,
  commitOf,
  everything,
  forgotten,
  hourMs,
  key,
  stateOf,
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
  for (let i = 0; i < 90; i++) {
    nowMs += random.below(10 * hourMs);
    const action = random.below(14);
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
    } else if (action === 3) {
      const change = laneChange(random, epoch, offset, nowMs);
      assert.deepEqual(await change(tested), await change(memory));
      ({ offset } = await stateOf(memory, epoch));
    } else {
      const { gaps, parts } = await stateOf(memory, epoch);
      const [first] = random.below(2) === 0 ? pick([...gaps, []]) : [];
      const lane = first === undefined ? "live" : "fill";
      const from = first === undefined ? offset : first - 1;
      const fromLines = parts.find(({ sequence }) => sequence === from + 1)?.lines ?? 0;
      const at = { epoch, from, fromLines, lane, known: [...known], nowMs } as const;
      const commit = randomCommit(random, at);
      const result = await tested.commit(commit);
      assert.deepEqual(result, await memory.commit(commit));
      if (result.kind === "ok") {
        if (lane === "live") offset = commit.to;
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

/** What the lanes know beside commits. */
function laneChange(
  random: Random,
  of: number,
  offset: number,
  nowMs: number,
): (store: ShardStore) => Promise<unknown> {
  const epoch = of - (random.below(8) === 0 ? 1 : 0);
  const lane = random.below(2) === 0 ? "live" : "fill";
  const trial = { sequence: offset + 1, from: 0, to: 1 + random.below(2) };
  const skipTo = offset + 1 + random.below(9);
  const adopted = random.below(offset + 1);
  const hole: Interval | undefined = random.below(2) === 0 ? undefined : [offset + 1, offset + 2];
  switch (random.below(7)) {
    case 0:
      return (store) => store.startFill(epoch, "i2");
    case 1:
      return (store) => store.resume(epoch);
    case 2:
      return (store) => store.settled(epoch, lane);
    case 3:
      return (store) => store.attempt(epoch, lane, trial);
    case 4:
      return (store) => store.attempt(epoch, lane, undefined);
    case 5:
      return (store) => store.adopt(epoch, { incarnation: "i1", offset: adopted, frameTimeMs: 0, hole });
    default:
      return (store) =>
        store.skip(epoch, skipTo, { incarnation: "i1", frameTimeMs: nowMs, receivedAtMs: nowMs });
  }
}

function randomCommit(
  random: Random,
  at: {
    epoch: number;
    from: number;
    fromLines: number;
    lane: Lane;
    known: readonly number[];
    nowMs: number;
  },
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
  const from = at.from + (wrong === 0 ? 1 : 0);
  const part = random.below(8) === 0 ? { partLines: 1 + random.below(5) } : {};
  return commitOf(at.epoch - (wrong === 1 ? 1 : 0), from, from + 1 + random.below(5), {
    ...part,
    fromLines: at.fromLines + (wrong === 2 ? 1 : 0),
    lane: at.lane,
    newSeries,
    deltas: { ...columns(rows), sketches },
    gauges,
    boots: Array.from({ length: random.below(3) }, () => {
      // Mostly a new one: what was applied already is refused.
      const n = random.below(8) === 0 ? random.below(50) : random.below(1_000_000);
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
