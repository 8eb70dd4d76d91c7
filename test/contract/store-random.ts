// A random life of a shard: claims, commits with late and very late points, changes of rules, upkeep in parts and whole,
// by one or by two, deletions, retirements, forgettings, dead letters that go, tenants that end, openings anew; beside
// the memory engine, which lives the same.
//
// A rule changes only for times that no point has had: else which slice came when would rightly make a difference.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { longestSpan, type Ladder } from "../../src/metric/bucket.ts";
import { ladderAt, type LadderRules } from "../../src/metric/ladder-rules.ts";
import { storedOutput } from "../../src/metric/outputs.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import type { ShardStore, ShardUpkeep, Snapshot, UpkeepTask } from "../../src/store/store.ts";
import { RandomReplay, shownClaim } from "./store-random-replay.ts";
import { dropSome, letterChanges, purgeWhole } from "./store-random-letters.ts";
import { Chance, endings, prefixes, standard, tenants } from "./store-random-input.ts";
import { compareCells, compareNames, compareSize, type Pair, type Range } from "./store-compare.ts";
import { forgotten, stateOf, type World } from "./store-helpers.ts";
import { day, hour, ladderOf, leastMultiple, rulesOf, sideOf, t0, upkeepUntilIdle } from "./store-life.ts";
import type { RulesSince, Side } from "./store-life.ts";

/** What a life had in it, to see that it was one. */
export type Lived = Record<string, number>;

interface Known extends Pair {
  /** No rung of its ladder must hold anything of it after this second. */
  heldUntil: number;
}

export class Life {
  readonly #chance: Chance;
  readonly #world: World;
  #tested: Side;
  readonly #memory: Side;
  readonly #upkeeps = new Map<number, ShardUpkeep>();
  /** A snapshot, and what it answered. */
  #old: { snapshot: Snapshot; ask: () => Promise<unknown>; answer: unknown } | undefined;
  readonly lived: Lived = {};
  #epoch = 0;
  #offset = 0;
  /** receivedAtMs of the newest commit or skip, in seconds. */
  #recorded = 0;
  readonly #sets: Record<string, RulesSince[]> = { t2: [], t3: [] };
  #rules: LadderRules = rulesOf(standard);
  readonly #known = new Map<string, Known>();
  /** C5: every id that the tested engine ever gave, and to whom. */
  readonly #given = new Map<number, string>();
  /** Points of series that the tested engine retired while the last rung's span still had some. */
  readonly #orphans = new Map<string, number>();
  readonly #replays: RandomReplay;

  private constructor(random: Random, world: World, tested: Side, memory: Side) {
    this.#chance = new Chance(random);
    this.#world = world;
    this.#tested = tested;
    this.#memory = memory;
    this.#replays = new RandomReplay(this.#chance);
    for (const tenant of ["t2", "t3"]) this.#change(tenant, 0);
  }

  static async of(random: Random, world: World): Promise<Life> {
    return new Life(random, world, await sideOf(world.engine), await sideOf(createMemoryEngine()));
  }

  async act(): Promise<void> {
    const actions: [weight: number, name: string, run: () => Promise<void>][] = [
      [50, "commit", () => this.#commit()],
      [3, "burst", () => this.#burst()],
      [4, "claim", () => this.#claim()],
      [2, "skip", () => this.#skip()],
      [4, "jump", async () => this.#chance.jump()],
      [14, "some upkeep", () => this.#someUpkeep()],
      [5, "two upkeeps", () => this.#twoUpkeeps()],
      [5, "whole upkeep", () => this.#wholeUpkeep()],
      [3, "rule", () => this.#changeRule()],
      [4, "delete", () => this.#delete()],
      [3, "retire", () => this.#retire()],
      [2, "forget", () => this.#forget()],
      [3, "letters", () => this.#letters()],
      [1, "purge", () => this.#purge()],
      [2, "reopen", () => this.#reopen()],
      [14, "replay", () => this.#replay()],
      [12, "look", () => this.#look()],
      [6, "snapshot", () => this.#snapshot()],
    ];
    let at = this.#chance.random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    const chosen = actions.find(([weight]) => (at -= weight) < 0);
    assert(chosen !== undefined);
    this.#count(chosen[1]);
    await chosen[2]();
  }

  #count(what: string, by = 1): void {
    this.lived[what] = (this.lived[what] ?? 0) + by;
  }

  get #pairs(): Known[] {
    return [...this.#known.values()];
  }

  // --- the owner ---
  async #claim(): Promise<void> {
    const node = this.#chance.pick(["n1", "n2"]);
    const owner = { node, mapVersion: this.#chance.random.below(4), instance: "i" };
    const result = await this.#tested.store.claim(owner);
    assert.deepEqual(shownClaim(result), shownClaim(await this.#memory.store.claim(owner)));
    if (result.kind === "claimed") ({ epoch: this.#epoch, offset: this.#offset } = result.state);
  }

  async #skip(): Promise<void> {
    const { to, at } = this.#chance.skip(this.#offset);
    for (const { store } of [this.#tested, this.#memory])
      assert.equal(await store.skip(this.#epoch, to, at), "ok");
    this.#offset = to;
    this.#recorded = this.#chance.now;
  }

  /** Of one lane or the other. */
  async #commit(): Promise<void> {
    const state = await stateOf(this.#memory.store, this.#epoch);
    const { rows, lane, ...commits } = this.#chance.commit(state, this.#pairs);
    const letters = await this.#both((_, now) => letterChanges(this.#chance, now));
    const tested = { ...commits.tested, ...letters };
    const memory = { ...commits.memory, ...letters };
    this.#count("retried", letters.retried?.length);
    const result = await this.#tested.store.commit(tested);
    const expected = await this.#memory.store.commit(memory);
    if (result.kind !== "ok" || expected.kind !== "ok") {
      assert.deepEqual(result, expected);
      this.#count("refused");
      return;
    }
    this.#count(lane);
    if (lane === "live") this.#offset = tested.to;
    this.#recorded = this.#chance.now;
    for (const [i, { tenant, name }] of tested.newSeries.entries())
      this.#name(tenant, Buffer.from(name).toString(), result.ids[i] ?? 0, expected.ids[i] ?? 0);
    const byId = new Map(this.#pairs.map((each) => [each.tested, each]));
    for (const { series, fresh, bucket } of rows) {
      const known = byId.get((fresh === true ? result.ids[series] : series) ?? 0);
      assert(known !== undefined, "rows of known series");
      const ladder = ladderAt(this.#rules.laddersOf(known.tenant, known.name), bucket);
      known.heldUntil = Math.max(known.heldUntil, bucket + longestSpan(ladder));
    }
    this.#count("rows", rows.length);
  }

  /** More blobs than a run is made of. */
  async #burst(): Promise<void> {
    for (let left = 10 + this.#chance.random.below(30); left > 0; left--) await this.#commit();
  }

  /** C5 */
  #name(tenant: string, name: string, tested: number, memory: number): void {
    const text = `${tenant} ${name}`;
    const known = this.#known.get(text);
    if (known === undefined) {
      assert.ok(!this.#given.has(tested), `${tested} was ${this.#given.get(tested)}, now it is ${text}`);
      this.#given.set(tested, text);
      this.#known.set(text, { tenant, name, tested, memory, heldUntil: 0 });
    } else assert.deepEqual([tested, memory], [known.tested, known.memory], text);
  }

  async #replay(): Promise<void> {
    const settle = async () => void (await upkeepUntilIdle(this.#memory.engine, this.#task(true)));
    const at = { epoch: this.#epoch, offset: this.#offset, settle };
    const { done, named } = await this.#replays.act(this.#tested.store, this.#memory.store, at);
    this.#count(done);
    for (const [i, { tenant, name }] of (named?.part.newSeries ?? []).entries())
      this.#name(tenant, Buffer.from(name).toString(), named?.tested[i] ?? 0, named?.memory[i] ?? 0);
  }

  async #forget(): Promise<void> {
    // Between two minutes' seconds: to the second is not what the ledger promises.
    const nowMs = (this.#chance.now - (this.#chance.now % 60) + 30) * 1000;
    const expected = await forgotten(this.#memory.store, this.#epoch, nowMs);
    assert.deepEqual(await forgotten(this.#tested.store, this.#epoch, nowMs), expected);
    this.#count(
      "forgotten",
      Object.values(expected).reduce((sum, count) => sum + count, 0),
    );
  }

  async #reopen(): Promise<void> {
    await this.#letGo();
    this.#tested = await sideOf(await this.#world.reopen());
  }

  async #letGo(): Promise<void> {
    this.#old?.snapshot.close();
    this.#old = undefined;
    for (const upkeep of this.#upkeeps.values()) await upkeep.close();
    this.#upkeeps.clear();
    await this.#tested.reader.close();
    await this.#tested.store.close();
  }

  // --- rules ---

  #change(tenant: string, fromSeconds: number): void {
    this.#sets[tenant]?.push([fromSeconds, this.#chance.ladders()]);
    this.#rules = rulesOf(standard, this.#sets, this.#rules.version + 1);
  }

  async #changeRule(): Promise<void> {
    const tenant = this.#chance.pick(["t2", "t3"]);
    const from = this.#chance.newestBucket + 1 + this.#chance.random.below(100);
    // One that holds from an earlier time on than a set before it takes that one's place, as in src/tenant/rules.ts.
    this.#sets[tenant] = (this.#sets[tenant] ?? []).filter(([fromSeconds]) => fromSeconds < from);
    this.#change(tenant, from);
  }

  #task(all: boolean): UpkeepTask {
    return { nowSeconds: this.#chance.now, ladders: this.#rules, all };
  }

  // --- upkeep ---

  async #upkeep(at: number): Promise<ShardUpkeep> {
    const upkeep = this.#upkeeps.get(at) ?? (await this.#tested.engine.openUpkeep(0));
    this.#upkeeps.set(at, upkeep);
    return upkeep;
  }

  async #steps(at: number, most: number): Promise<void> {
    const upkeep = await this.#upkeep(at);
    for (let left = 1 + this.#chance.random.below(most); left > 0; left--) {
      const step = await upkeep.step(this.#task(this.#chance.random.below(2) === 0));
      this.#count(step.kind === "worked" ? step.work : step.kind);
    }
  }

  async #someUpkeep(): Promise<void> {
    await this.#steps(this.#chance.random.below(2), 12);
    if (this.#chance.random.below(3) === 0) await this.#look();
  }

  async #twoUpkeeps(): Promise<void> {
    await this.#upkeep(0);
    await this.#upkeep(1);
    await Promise.all([this.#steps(0, 20), this.#steps(1, 20), this.#commit()]);
    await this.#look();
  }

  async #wholeUpkeep(): Promise<void> {
    const task = this.#task(true);
    const expected = await upkeepUntilIdle(this.#memory.engine, task);
    this.#count("settled", expected.length);
    const steps = await upkeepUntilIdle(this.#tested.engine, task);
    for (const step of steps) this.#count(step.kind === "worked" ? step.work : step.kind);
    await this.#lookAtAll();
  }

  // --- ends of series ---

  /** `ids`: of the tested engine. */
  #drop(ids: Iterable<number>): void {
    const texts = new Map(this.#pairs.map(({ tenant, name, tested }) => [tested, `${tenant} ${name}`]));
    for (const id of ids) assert.ok(this.#known.delete(texts.get(id) ?? ""), `${id} was known`);
  }

  async #delete(): Promise<void> {
    const tenant = this.#chance.pick(tenants);
    const prefix = this.#chance.pick(prefixes);
    const pattern = `${prefix}.${this.#chance.pick(endings)}`;
    const most = 1 + this.#chance.random.below(5);
    const names: string[] = [];
    const ids = new Set<number>();
    for (let full = true; full; ) {
      const some = await this.#tested.store.deleteSeries(this.#epoch, tenant, pattern, most);
      assert.ok(some.names.length <= most && some.ids.length === some.names.length);
      for (const id of some.ids) {
        assert.ok(!ids.has(id), `${id} once`);
        ids.add(id);
      }
      names.push(...some.names);
      full = some.names.length === most;
    }
    const gone = await this.#memory.store.deleteSeries(this.#epoch, tenant, pattern, 1000);
    assert.deepEqual(names.toSorted(), gone.names.toSorted());
    const expected = this.#pairs
      .filter(({ memory }) => gone.ids.includes(memory))
      .map(({ tested }) => tested);
    assert.deepEqual(
      [...ids].sort((a, b) => a - b),
      expected.sort((a, b) => a - b),
    );
    this.#drop(ids);
    this.#count("deleted", names.length);
  }

  get #stores(): { tested: ShardStore; memory: ShardStore; epoch: number } {
    return { tested: this.#tested.store, memory: this.#memory.store, epoch: this.#epoch };
  }

  async #letters(): Promise<void> {
    const dropped = await this.#both((_, now) => dropSome(this.#chance, now, this.#stores));
    this.#count("dropped", dropped);
  }

  async #purge(): Promise<void> {
    const gone = await purgeWhole(this.#chance, this.#stores);
    this.#drop(gone);
    this.#count("purged", gone.length);
  }

  /** Must: what nothing is left of. May: what no rung has to hold any more, though its last span is still there. */
  async #retire(): Promise<void> {
    await this.#wholeUpkeep();
    // Points that upkeep has not come to keep a series alive.
    if (this.#chance.random.below(2) === 0) await this.#commit();
    const before = await Promise.all(tenants.map((tenant) => this.#pointsOf(tenant)));
    const must = new Set((await this.#memory.store.retire(this.#epoch, this.#chance.now)).ids);
    const retired = new Set<number>();
    for (let more = true; more; ) {
      const some = await this.#tested.store.retire(this.#epoch, this.#chance.now);
      for (const id of some.ids) retired.add(id);
      ({ more } = some);
    }
    for (const pair of this.#pairs) {
      if (must.has(pair.memory)) assert.ok(retired.has(pair.tested), `${pair.name} has nothing left`);
      if (!retired.delete(pair.tested)) continue;
      const { tenant, name, heldUntil } = pair;
      assert.ok(
        heldUntil < this.#chance.now,
        `${name} is retired at ${this.#chance.now}, held until ${heldUntil}`,
      );
      const read = storedOutput(name);
      const shown = read === undefined ? name : read.read(read.node === "\u0001t" ? "mean_1" : "count");
      const staged = this.#replays.stagedOf(tenant, name);
      this.#orphans.set(tenant, (this.#orphans.get(tenant) ?? 0) + staged);
      if (!must.has(pair.memory)) await this.#memory.store.deleteSeries(this.#epoch, tenant, shown, 1);
      this.#drop([pair.tested]);
      this.#count("retired");
    }
    assert.deepEqual([...retired], [], "retired: living series, each once");
    for (const [i, tenant] of tenants.entries()) {
      const orphans = (before[i] ?? 0) - (await this.#pointsOf(tenant));
      this.#orphans.set(tenant, (this.#orphans.get(tenant) ?? 0) + orphans);
    }
    await this.#wholeUpkeep();
  }

  /** Points of a tenant in the memory engine. */
  async #pointsOf(tenant: string): Promise<number> {
    return await this.#both(async (_, memory) => (await memory.tenantSize(tenant)).points);
  }

  // --- looking ---

  async #both<T>(use: (tested: Snapshot, memory: Snapshot) => Promise<T>): Promise<T> {
    const tested = await this.#tested.reader.snapshot();
    const memory = await this.#memory.reader.snapshot();
    try {
      return await use(tested, memory);
    } finally {
      tested.close();
      memory.close();
    }
  }

  /** Ladders that points of a tenant's names with the prefix may have. */
  #laddersOf(tenant: string, prefix: string): Ladder[] {
    const texts = (this.#sets[tenant] ?? []).map(([, ladders]) => ladders[`^${prefix}`] ?? standard);
    return (texts.length === 0 ? [standard] : texts).map(ladderOf);
  }

  /** C6: upkeep may be anywhere; times that every rung holds. */
  async #look(): Promise<void> {
    const tenant = this.#chance.pick(tenants);
    const prefix = this.#chance.pick(prefixes);
    const finest = this.#laddersOf(tenant, prefix).map(
      (ladder) => ladder.rungs[0] ?? { stepSeconds: 1, spanSeconds: 1 },
    );
    const held = this.#recorded - Math.min(...finest.map((rung) => rung.spanSeconds));
    const step = finest.map((rung) => rung.stepSeconds).reduce(leastMultiple, 1);
    const stepSeconds = step * this.#chance.pick([1, 1, 2, 3, 6, 7, 60]);
    const start = Math.ceil(held / stepSeconds) * stepSeconds;
    const width = Math.min(2000, Math.ceil((this.#chance.newestBucket + 1 - start) / stepSeconds));
    const pairs = this.#pairs.filter((pair) => pair.tenant === tenant && pair.name.startsWith(prefix));
    await this.#both(async (tested, memory) => {
      if (width > 0)
        this.#count("cells", await compareCells(tested, memory, pairs, { start, stepSeconds, width }));
      if (this.#chance.random.below(4) === 0) await compareNames(tested, memory, tenants, this.#pairs);
    });
  }

  /** Right after whole upkeep of both. */
  async #lookAtAll(): Promise<void> {
    const pairs = this.#pairs;
    const seconds = this.#chance.newestBucket + 1 - (t0 - 50 * day);
    const whole = this.#chance.pick([hour, 6 * hour, 9800]);
    const first = t0 - 50 * day;
    const ranges: Range[] = [
      { start: first - (first % whole), stepSeconds: whole, width: Math.ceil(seconds / whole) + 1 },
      ...[1, 10, 60, 600].map((step) => this.#chance.range(step, this.#chance.now, 300)),
      ...Array.from({ length: 5 }, () => {
        const step = this.#chance.pick([1, 2, 5, 7, 10, 13, 24, 39, 49, 60, 100, 490, 600, 780, 3600]);
        return this.#chance.range(step, this.#chance.pick(this.#chance.times), 100);
      }),
    ];
    await this.#both(async (tested, memory) => {
      await compareNames(tested, memory, tenants, pairs);
      for (const range of ranges)
        this.#count("cells at rest", await compareCells(tested, memory, pairs, range));
      for (const tenant of tenants) await compareSize(tested, memory, tenant, this.#orphans.get(tenant) ?? 0);
    });
  }

  /** C4: keeps a snapshot and what it said, and asks it again at the next time. */
  async #snapshot(): Promise<void> {
    const old = this.#old;
    if (old !== undefined) {
      assert.deepEqual(await old.ask(), old.answer, "C4: a snapshot that says something else than before");
      old.snapshot.close();
      this.#count("asked again");
      this.#old = undefined;
      if (this.#chance.random.below(2) === 0) return;
    }
    const snapshot = await this.#tested.reader.snapshot();
    const ids = this.#pairs.map(({ tested }) => tested);
    const ranges = [1, 10, 60, 490].map((step) =>
      this.#chance.range(step, this.#chance.pick(this.#chance.times), 50),
    );
    const ask = async () => {
      const answers: unknown[] = [await snapshot.state(), await snapshot.findSeries("t2", "*.*", 1000)];
      for (const range of ranges) answers.push(await snapshot.fetch(ids, range));
      for (const tenant of tenants) answers.push(await snapshot.tenantSize(tenant));
      return answers;
    };
    this.#old = { snapshot, ask, answer: await ask() };
  }

  async end(): Promise<void> {
    await this.#wholeUpkeep();
    // A month later there is nothing of it.
    this.#chance.now += 60 * day;
    await this.#claim();
    await this.#commit();
    await this.#retire();
    await this.#forget();
    await this.#letGo();
    await this.#memory.store.close();
  }

  async abandon(): Promise<void> {
    await this.#letGo().catch(() => undefined);
  }
}
