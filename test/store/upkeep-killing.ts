// Kills children that tell the story of upkeep-story.ts, and compares what is left with the memory engine's.
import assert from "node:assert/strict";
import { once } from "node:events";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import type { ShardStore, Snapshot, StoreEngine } from "../../src/store/store.ts";
import { compareCells, compareSize, type Pair } from "../contract/store-compare.ts";
import { claimed, withSnapshot } from "../contract/store-helpers.ts";
import { upkeepUntilIdle } from "../contract/store-life.ts";
import { engineIn, smallUpkeep, startFile, withFolder, type Child } from "./lmdb-helpers.ts";
import { commitAt, deleteAt, groups, heldSeconds, nowAt, taskAt, tenants } from "./upkeep-story.ts";

const start = (...args: string[]) => startFile("upkeep-child", ...args);

/** The memory engine, told the story as far as the store has come. */
class Teller {
  readonly engine: StoreEngine;
  readonly #store: ShardStore;
  readonly #epoch: number;
  #offset = 0;

  private constructor(engine: StoreEngine, store: ShardStore, epoch: number) {
    this.engine = engine;
    this.#store = store;
    this.#epoch = epoch;
  }

  static async of(): Promise<Teller> {
    const engine = createMemoryEngine();
    const store = await engine.openShard(0);
    return new Teller(engine, store, (await claimed(store)).epoch);
  }

  async until(offset: number): Promise<void> {
    for (; this.#offset < offset; this.#offset++) {
      await deleteAt(this.#store, this.#epoch, this.#offset);
      assert.equal((await this.#store.commit(commitAt(this.#epoch, this.#offset))).kind, "ok");
    }
  }

  /** What is due after the last commit. */
  async finish(): Promise<void> {
    await deleteAt(this.#store, this.#epoch, this.#offset);
  }
}

async function pairsOf(tested: Snapshot, memory: Snapshot, group: string): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (const tenant of tenants) {
    const ids = new Map(
      (await memory.findSeries(tenant, `${group}.*`, 1000)).map((each) => [each.name, each.id]),
    );
    const found = await tested.findSeries(tenant, `${group}.*`, 1000);
    assert.deepEqual(
      found.map(({ name }) => name),
      [...ids.keys()],
    );
    for (const { name, id } of found) pairs.push({ tenant, name, tested: id, memory: ids.get(name) ?? 0 });
  }
  return pairs;
}

/** Right after a kill: times that all rungs hold, whatever upkeep was at. Answers the offset. */
async function compareHeld(folder: string, teller: Teller, said: number): Promise<number> {
  return await withSnapshot(engineIn(folder), 0, async (tested) => {
    const { offset } = await tested.state();
    assert.ok(offset >= said, `what was answered ok is there: ${said}, got ${offset}`);
    await teller.until(offset);
    await withSnapshot(teller.engine, 0, async (memory) => {
      // Whether the last deletion came before the kill is not known.
      for (const group of groups.filter((each) => each !== "del")) {
        const pairs = await pairsOf(tested, memory, group);
        // A multiple of the group's steps; the window is short, so a cell of it may reach back a little further.
        for (const tenant of tenants) {
          const mine = pairs.filter((pair) => pair.tenant === tenant);
          const stepSeconds = stepOf(tenant, group);
          const first = Math.ceil((nowAt(offset) - heldSeconds) / stepSeconds) * stepSeconds;
          await compareCells(tested, memory, mine, { start: first, stepSeconds, width: 60 });
        }
      }
    });
    return offset;
  });
}

function stepOf(tenant: string, group: string): number {
  if (tenant === "t1") return { odd: 7, many: 2 }[group] ?? 10;
  return { short: 1, one: 60 }[group] ?? 10;
}

/** At the end: upkeep of both until nothing is left to do, then everything. */
async function compareAll(folder: string, teller: Teller, mapVersion: number): Promise<number> {
  const engine = engineIn(folder, 256 << 20, smallUpkeep);
  const store = await engine.openShard(0);
  const { epoch, offset } = await claimed(store, "n", mapVersion);
  await teller.until(offset);
  await deleteAt(store, epoch, offset);
  await teller.finish();
  await upkeepUntilIdle(engine, taskAt(offset, true));
  await upkeepUntilIdle(teller.engine, taskAt(offset, true));
  await withSnapshot(engine, 0, (tested) =>
    withSnapshot(teller.engine, 0, async (memory) => {
      let cells = 0;
      for (const group of groups) {
        const pairs = await pairsOf(tested, memory, group);
        for (const stepSeconds of [1, 7, 10, 49, 60, 490, 3600]) {
          const from = nowAt(0) - 110_000;
          const width = Math.ceil((nowAt(offset) + 60 - from) / stepSeconds);
          const range = { start: from - (from % stepSeconds), stepSeconds, width };
          cells += await compareCells(tested, memory, pairs, range);
        }
      }
      assert.ok(cells > 0);
      for (const tenant of tenants) {
        const found = await memory.findSeries(tenant, "*.*", 1000);
        assert.deepEqual(
          (await tested.findSeries(tenant, "*.*", 1000)).map(({ name }) => name),
          found.map(({ name }) => name),
        );
        await compareSize(tested, memory, tenant, 0);
      }
    }),
  );
  await store.close();
  return offset;
}

function saidBy(lines: readonly string[]): number {
  return Number(lines.findLast((line) => line.startsWith("o "))?.slice(2) ?? 0);
}

/** How often each kind of work was seen. */
export async function killed(seed: number, kills: number): Promise<Map<string, number>> {
  const random = seededRandom(seed);
  const works = new Map<string, number>();
  await withFolder(async (folder) => {
    try {
      const teller = await Teller.of();
      let beside: Child | undefined;
      let said = 0;
      const note = (child: Child) => {
        for (const line of child.lines)
          if (line.startsWith("u ")) works.set(line.slice(2), (works.get(line.slice(2)) ?? 0) + 1);
      };
      for (let kill = 1; kill <= kills; kill++) {
        const owner = start("owner", folder, String(kill));
        await owner.line("o ");
        beside ??= start("upkeep", folder);
        await beside.line("u ");
        const until = systemClock.monotonicMs() + 100 + random.below(500);
        while (systemClock.monotonicMs() < until) await owner.output();
        if (random.below(3) > 0) {
          await beside.kill();
          note(beside);
          beside = undefined;
        }
        await owner.kill();
        said = Math.max(said, saidBy(owner.lines));
        said = Math.max(said, await compareHeld(folder, teller, said));
      }
      await beside?.kill();
      if (beside !== undefined) note(beside);
      assert.equal(await compareAll(folder, teller, kills + 1), said);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  });
  return works;
}

export async function terminated(times: number): Promise<void> {
  await withFolder(async (folder) => {
    const host = start("host", folder, "1", String(times));
    await once(host.process, "close");
    const { exitCode, signalCode } = host.process;
    // Native code does not bear it at any moment: the thread may take its process along, as a crash would. (The product
    // lets upkeep finish its slice instead.)
    if (signalCode === null) {
      assert.equal(exitCode, 0);
      assert.equal(host.lines.filter((line) => line === "t").length, times);
    } else assert.equal(signalCode, "SIGABRT");
    const teller = await Teller.of();
    assert.equal(await compareAll(folder, teller, 2), saidBy(host.lines));
  });
}
