// Replays in a random life (store-random.ts): of both engines the same, for times that rungs have left behind, too.
import assert from "node:assert/strict";
import type { StagedPart } from "../../src/store/replay-changes.ts";
import type { Replay } from "../../src/store/state.ts";
import type { ClaimResult, ShardStore } from "../../src/store/store.ts";
import type { Chance } from "./store-random-input.ts";
import { prefixes, tenants } from "./store-random-input.ts";
import { columns, key, stateOf, type RowInput } from "./store-helpers.ts";

/** Most coarsest steps of the palette divide one of these. */
const steps = [600, 3600, 29_400, 46_800];

export class RandomReplay {
  readonly #chance: Chance;
  #replay: Replay | undefined;
  /** Ids count what one engine began and the other one refused, too. */
  #memoryId = 0;
  /** Points of the replay under way, by series. */
  readonly #staged = new Map<string, number>();

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** Points that are staged of a series. */
  stagedOf(tenant: string, name: string): number {
    return this.#replay?.tenant === tenant ? (this.#staged.get(name) ?? 0) : 0;
  }

  /** One thing that may be done for a replay; what it was. `settle`: the memory engine's upkeep. */
  async act(
    tested: ShardStore,
    memory: ShardStore,
    at: { epoch: number; offset: number; settle: () => Promise<void> },
  ): Promise<{ done: string; named?: { part: StagedPart; tested: Uint32Array; memory: Uint32Array } }> {
    const replay = this.#replay;
    if (replay === undefined) return { done: await this.#begin(tested, memory, at) };
    const { epoch, settle } = at;
    if (this.#chance.random.below(12) === 0) {
      await settle();
      assert.equal(await tested.abandonReplay(epoch, replay.id), "ok");
      assert.equal(await memory.abandonReplay(epoch, this.#memoryId), "ok");
      this.#replay = undefined;
      return { done: "replay given up" };
    }
    if (replay.state === "building") {
      const part = this.#part(replay);
      const result = await tested.stage(epoch, replay.id, part);
      const expected = await memory.stage(epoch, this.#memoryId, part);
      if (result.kind !== "ok" || expected.kind !== "ok") {
        assert.deepEqual(result, expected);
        return { done: await this.#ended(tested, epoch, replay.id) };
      }
      this.#replay = { ...replay, done: part.to, state: part.to === replay.offset ? "staged" : "building" };
      return { done: "staged", named: { part, tested: result.ids, memory: expected.ids } };
    }
    const result = await tested.swap(epoch, replay.id);
    if (result === "waiting") return { done: "swap waits" };
    if (result !== "swapped") {
      assert.equal(await memory.swap(epoch, this.#memoryId), result);
      return { done: await this.#ended(tested, epoch, replay.id) };
    }
    await settle();
    assert.equal(await memory.swap(epoch, this.#memoryId), "swapped");
    this.#replay = undefined;
    return { done: "swapped" };
  }

  async #begin(
    tested: ShardStore,
    memory: ShardStore,
    { epoch, offset }: { epoch: number; offset: number },
  ): Promise<string> {
    const chance = this.#chance;
    const step = chance.pick(steps);
    const around = chance.pick(chance.times);
    const from = Math.max(0, around - (around % step) - step * chance.random.below(3));
    const until = from + step * (1 + chance.random.below(6));
    const asked = { tenant: chance.pick(tenants), from, until, first: 1 };
    const result = await tested.beginReplay(epoch, asked);
    if (result.kind !== "begun") return offset === 0 ? "no replay yet" : `replay ${result.kind}`;
    const expected = await memory.beginReplay(epoch, asked);
    // What is in pieces, and what a pattern's ladder was, is not the same at every moment.
    if (expected.kind !== "begun") {
      await tested.abandonReplay(epoch, result.replay.id);
      return "replay refused by one";
    }
    this.#replay = result.replay;
    this.#staged.clear();
    this.#memoryId = expected.replay.id;
    assert.deepEqual({ ...result.replay, id: 0 }, { ...expected.replay, id: 0 });
    return "replay begun";
  }

  /** Its tenant was purged, or its record is another one. */
  async #ended(tested: ShardStore, epoch: number, id: number): Promise<string> {
    const state = await stateOf(tested, epoch);
    assert.ok(!state.replays.some((replay) => replay.id === id && replay.state !== "swapped"), "it is over");
    this.#replay = undefined;
    return "replay ended";
  }

  #part({ tenant, from, until, done, offset }: Replay): StagedPart {
    const chance = this.#chance;
    const newSeries = Array.from({ length: chance.random.below(20) }, () =>
      key(`${chance.pick(prefixes)}.s${chance.random.below(24)}`, tenant),
    );
    const rows = newSeries.map(({ name }, series): RowInput => {
      const bucket = from + chance.random.below(until - from);
      chance.newestBucket = Math.max(chance.newestBucket, bucket);
      const row = {
        series,
        fresh: true,
        bucket,
        sum: chance.random.below(800) / 8,
        points: 1 + chance.random.below(3),
      };
      const text = Buffer.from(name).toString();
      this.#staged.set(text, (this.#staged.get(text) ?? 0) + row.points);
      return row;
    });
    const to = Math.min(offset, done + 1 + chance.random.below(offset));
    return { from: done, to, newSeries, deltas: columns(rows) };
  }
}

/** What two engines show of replays: each finishes a swapped one in its own time. */
export function shownReplays<S extends { replays: Replay[] }>(state: S): S {
  const living = state.replays.filter((replay) => replay.state !== "swapped");
  return { ...state, replays: living.map((replay) => ({ ...replay, id: 0 })) };
}

export function shownClaim(result: ClaimResult): ClaimResult {
  return result.kind === "claimed" ? { ...result, state: shownReplays(result.state) } : result;
}
