// A random life with replays in it, beside a list of points that knows what a reader must see at every moment: commits,
// late points, gauges, deletions, upkeep by two in any order, replays begun, staged, swapped, given up, openings anew.
//
// Every rung holds all of its time, so each read can be told from the list, to the point; retention is in store-random.ts.
import assert from "node:assert/strict";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { ladderAt } from "../../src/metric/ladder-rules.ts";
import { isWithin, replacedUnder } from "../../src/store/replays.ts";
import type { Replay } from "../../src/store/state.ts";
import type {
  GaugeChange,
  ShardReader,
  ShardStore,
  ShardUpkeep,
  Snapshot,
  StoreEngine,
} from "../../src/store/store.ts";
import { claimed, columns, commitOf, key, type RowInput, type World } from "./store-helpers.ts";
import { rulesOf, t0 } from "./store-life.ts";

/** t1 has one ladder, t2 another one whose spans don't lie within each other, t3 both. */
const rules = rulesOf("10s:5d,60s:10d,600s:30d", {
  t2: [[0, { ".": "7s:5d,49s:12d,490s:20d" }]],
  t3: [[0, { "^b": "7s:5d,49s:12d,490s:20d" }]],
});
const coarsest: Record<string, number> = { t1: 600, t2: 490, t3: 600 };
const tenants = Object.keys(coarsest);
const names = ["a.x", "a.y", "b.x", "b.y", "b.z", "g.x", "g.y", "c.0", "c.1", "c.2", "c.3", "c.4", "c.5"];
const lifeSeconds = 30_000;
const first = t0 - (t0 % 29_400) + 29_400;

interface Point {
  tenant: string;
  name: string;
  bucket: number;
  sum: number;
  points: number;
  /** Which commit brought it. */
  commit: number;
}

export class ReplayLife {
  readonly #random: Random;
  readonly #world: World;
  #engine: StoreEngine;
  #store: ShardStore;
  #reader: ShardReader;
  #upkeeps: ShardUpkeep[] = [];
  #epoch = 0;
  #offset = 0;
  #points: Point[] = [];
  #staged: Point[] = [];
  /** The commit that made a gauge of "tenant name". */
  readonly #gauges = new Map<string, number>();
  #replay: Replay | undefined;
  #barrier = 0;
  /** Rows of deleted series are counted until the purge. */
  #areSizesSure = true;
  readonly lived: Record<string, number> = {};

  private constructor(random: Random, world: World, store: ShardStore, reader: ShardReader) {
    this.#random = random;
    this.#world = world;
    this.#engine = world.engine;
    this.#store = store;
    this.#reader = reader;
  }

  static async of(seed: number, world: World): Promise<ReplayLife> {
    const { engine } = world;
    const store = await engine.openShard(0);
    const life = new ReplayLife(seededRandom(seed), world, store, await engine.openReader(0));
    life.#epoch = (await claimed(store)).epoch;
    return life;
  }

  async act(): Promise<void> {
    const actions: [weight: number, name: string, run: () => Promise<void>][] = [
      [30, "commit", () => this.#commit()],
      [2, "burst", () => this.#burst()],
      [30, "upkeep", () => this.#someUpkeep()],
      [6, "two upkeeps", () => this.#twoUpkeeps()],
      [6, "begin", () => this.#begin()],
      [14, "stage", () => this.#stage()],
      [14, "swap", () => this.#swap()],
      [1, "abandon", () => this.#abandon()],
      [1, "delete", () => this.#delete()],
      [2, "reopen", () => this.#reopen()],
      [2, "rest", () => this.#rest()],
    ];
    let at = this.#random.below(actions.reduce((sum, [weight]) => sum + weight, 0));
    const chosen = actions.find(([weight]) => (at -= weight) < 0);
    assert(chosen !== undefined);
    this.#count(chosen[1]);
    await chosen[2]();
    await this.look();
  }

  #count(what: string): void {
    this.lived[what] = (this.lived[what] ?? 0) + 1;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }

  #somePoints(tenant: string, from: number, until: number, commit: number): Point[] {
    const points = new Map<string, Point>();
    for (let left = this.#random.below(25); left > 0; left--) {
      const name = this.#pick(names);
      const bucket = from + this.#random.below(until - from);
      const sum = this.#random.below(800) / 8;
      points.set(`${name} ${bucket}`, {
        tenant,
        name,
        bucket,
        sum,
        points: 1 + this.#random.below(3),
        commit,
      });
    }
    return [...points.values()];
  }

  // --- the owner ---

  async #commit(): Promise<void> {
    const commit = this.#offset + 1;
    const points = tenants.flatMap((tenant) =>
      this.#random.below(2) === 0 ? this.#somePoints(tenant, first, first + lifeSeconds, commit) : [],
    );
    const rows = points.map(({ bucket, sum, points: count }, series): RowInput => {
      return { series, fresh: true, bucket, sum, points: count };
    });
    const newSeries = points.map(({ name, tenant }) => key(name, tenant));
    const gauges: GaugeChange[] = [];
    for (const [at, { tenant, name }] of points.entries()) {
      const isKnown = points.findIndex((each) => each.tenant === tenant && each.name === name) < at;
      if (isKnown || !name.startsWith("g.") || this.#random.below(4) > 0) continue;
      gauges.push({ series: 0x8000_0000 + at, relative: [], value: 1, isRelative: false });
      const series = `${tenant} ${name}`;
      if (!this.#gauges.has(series)) this.#gauges.set(series, commit);
    }
    const more = { receivedAtMs: (first + lifeSeconds) * 1000, newSeries, deltas: columns(rows), gauges };
    const result = await this.#store.commit(commitOf(this.#epoch, this.#offset, commit, more));
    assert(result.kind === "ok", JSON.stringify(result));
    this.#offset = commit;
    this.#points.push(...points);
  }

  /** More blobs than a run is made of. */
  async #burst(): Promise<void> {
    for (let left = 12; left > 0; left--) await this.#commit();
  }

  async #delete(): Promise<void> {
    const tenant = this.#pick(tenants);
    const name = this.#pick(names);
    await this.#store.deleteSeries(this.#epoch, tenant, name, 10);
    const stays = (point: Point) => point.tenant !== tenant || point.name !== name;
    this.#points = this.#points.filter(stays);
    this.#staged = this.#staged.filter(stays);
    this.#gauges.delete(`${tenant} ${name}`);
    this.#areSizesSure = false;
  }

  async #begin(): Promise<void> {
    const tenant = this.#pick(tenants);
    const step = coarsest[tenant] ?? 1;
    const some = () => this.#random.below(Math.ceil(lifeSeconds / step));
    const [a, b] = [some(), some()];
    const from = Math.ceil(first / step) * step + Math.min(a, b) * step;
    const until = Math.ceil(first / step) * step + (Math.max(a, b) + 1) * step;
    const asked = { tenant, from, until, first: 1 };
    const result = await this.#store.beginReplay(this.#epoch, asked);
    assert(result.kind !== "fenced");
    if (result.kind === "refused") {
      const [other] = (await this.#state()).replays;
      const isBusy = other !== undefined || this.#offset === 0;
      assert.ok(isBusy || (tenant === "t3" && /nearest whole spans/.test(result.why)), result.why);
      return;
    }
    this.#count("begun");
    this.#replay = result.replay;
    this.#barrier = this.#offset;
    this.#staged = [];
    assert.equal(result.replay.offset, this.#offset);
  }

  async #stage(): Promise<void> {
    const replay = this.#replay;
    if (replay === undefined) return;
    const to = Math.min(replay.offset, replay.done + 1 + this.#random.below(replay.offset));
    const points = this.#somePoints(replay.tenant, replay.from, replay.until, 0);
    const part = {
      from: replay.done,
      to,
      newSeries: points.map(({ name, tenant }) => key(name, tenant)),
      deltas: columns(
        points.map(({ bucket, sum, points: count }, series) => {
          return { series, fresh: true, bucket, sum, points: count };
        }),
      ),
    };
    if (replay.state !== "building") {
      assert.equal((await this.#store.stage(this.#epoch, replay.id, part)).kind, "at");
      return;
    }
    const result = await this.#store.stage(this.#epoch, replay.id, part);
    assert(result.kind === "ok", JSON.stringify(result));
    this.#staged.push(...points);
    const [now] = (await this.#state()).replays;
    this.#replay = { ...replay, done: to, state: to === replay.offset ? "staged" : "building" };
    assert.deepEqual(now, this.#replay);
  }

  async #swap(): Promise<void> {
    const replay = this.#replay;
    if (replay === undefined) return;
    const result = await this.#store.swap(this.#epoch, replay.id);
    this.#count(result);
    if (replay.state === "building") assert.equal(result, "waiting");
    if (result === "waiting") return;
    assert.equal(result, "swapped");
    const counts = (point: Point) =>
      isWithin(point.bucket, replacedUnder(replay, ladderAt(rules.laddersOf(point.tenant, point.name), 0))) &&
      (this.#gauges.get(`${point.tenant} ${point.name}`) ?? Number.POSITIVE_INFINITY) > this.#barrier;
    this.#points = [
      ...this.#points.filter(
        (each) => each.tenant !== replay.tenant || each.commit > this.#barrier || !counts(each),
      ),
      ...this.#staged.filter(counts).map((each) => ({ ...each, commit: this.#offset })),
    ];
    this.#replay = undefined;
  }

  async #abandon(): Promise<void> {
    const id = this.#replay?.id;
    if (id === undefined) return;
    assert.equal(await this.#store.abandonReplay(this.#epoch, id), "ok");
    assert.equal(await this.#store.swap(this.#epoch, id), "gone");
    this.#replay = undefined;
  }

  async #reopen(): Promise<void> {
    await this.close();
    this.#engine = await this.#world.reopen();
    this.#store = await this.#engine.openShard(0);
    this.#reader = await this.#engine.openReader(0);
    this.#epoch = (await claimed(this.#store)).epoch;
  }

  async close(): Promise<void> {
    for (const upkeep of this.#upkeeps) await upkeep.close();
    this.#upkeeps = [];
    await this.#reader.close();
    await this.#store.close();
  }

  // --- upkeep ---

  async #steps(at: number, most: number, all: boolean): Promise<boolean> {
    const upkeep = (this.#upkeeps[at] ??= await this.#engine.openUpkeep(0));
    for (let left = most; left > 0; left--) {
      const step = await upkeep.step({ nowSeconds: first + lifeSeconds, ladders: rules, all });
      this.#count(step.kind === "worked" ? `worked: ${step.work}` : step.kind);
      if (step.kind === "idle") return true;
    }
    return false;
  }

  async #someUpkeep(): Promise<void> {
    if (this.#upkeeps.length === 0) await this.#steps(0, 1, false);
    const at = this.#random.below(2) === 0 ? 0 : this.#upkeeps.length - 1;
    await this.#steps(at, 1 + this.#random.below(15), this.#random.below(2) === 0);
  }

  async #twoUpkeeps(): Promise<void> {
    await this.#steps(0, 1, false);
    await this.#steps(1, 1, false);
    await Promise.all([this.#steps(0, 10, true), this.#steps(1, 10, true), this.#commit()]);
  }

  async #rest(): Promise<void> {
    assert.ok(await this.#steps(0, 5000, true), "upkeep that comes to an end");
    this.#areSizesSure = true;
    const { replays } = await this.#state();
    assert.deepEqual(replays, this.#replay === undefined ? [] : [this.#replay]);
  }

  // --- looking ---

  async #with<T>(use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const snapshot = await this.#reader.snapshot();
    try {
      return await use(snapshot);
    } finally {
      snapshot.close();
    }
  }

  async #state() {
    return await this.#with((snapshot) => snapshot.state());
  }

  /** Every point of one generation, at some step, and of some tenant how many there are. */
  async look(): Promise<void> {
    await this.#with(async (snapshot) => {
      for (const tenant of tenants) {
        const found = await snapshot.findSeries(tenant, "*.*", 1000);
        const series = found.filter(({ name }) => !name.startsWith("b") || tenant === "t1");
        const isOdd = tenant === "t2";
        await this.#compare(snapshot, tenant, isOdd ? found : series, isOdd ? [7, 49, 490] : [10, 60, 600]);
        if (tenant === "t3")
          await this.#compare(
            snapshot,
            tenant,
            found.filter(({ name }) => name.startsWith("b")),
            [7, 490],
          );
        const known = this.#points.filter((point) => point.tenant === tenant);
        const { points } = await snapshot.tenantSize(tenant);
        const expected = known.reduce((sum, each) => sum + each.points, 0);
        if (this.#areSizesSure) assert.equal(points, expected, `points of ${tenant}`);
      }
    });
  }

  async #compare(
    snapshot: Snapshot,
    tenant: string,
    series: readonly { id: number; name: string }[],
    steps: readonly number[],
  ): Promise<void> {
    const stepSeconds = this.#pick(steps);
    const start = first - (first % stepSeconds);
    const width = Math.ceil((lifeSeconds + 1200) / stepSeconds) + 1;
    const ids = series.map(({ id }) => id);
    const cells = await snapshot.fetch(ids, { start, stepSeconds, width }, ["sum"]);
    const expected = new Map<number, [points: number, sum: number]>();
    const rowOf = new Map(series.map(({ name }, row) => [name, row]));
    for (const point of this.#points) {
      const row = rowOf.get(point.name);
      if (point.tenant !== tenant || row === undefined) continue;
      const at = row * width + Math.floor((point.bucket - start) / stepSeconds);
      const [points, sum] = expected.get(at) ?? [0, 0];
      expected.set(at, [points + point.points, sum + point.sum]);
    }
    for (let at = 0; at < cells.points.length; at++) {
      const [points, sum] = expected.get(at) ?? [0, 0];
      if (cells.points[at] === points && (points === 0 || cells.sum[at] === sum)) continue;
      const where = `${tenant} ${series[Math.floor(at / width)]?.name} at ${start + (at % width) * stepSeconds}`;
      assert.deepEqual([cells.points[at], cells.sum[at]], [points, sum], `${where}, step ${stepSeconds}`);
    }
  }

  async end(): Promise<void> {
    await this.#rest();
    await this.look();
    await this.close();
  }
}
