// Whose turn it is, how long the thread rests, what a failure costs: with a clock and threads that the test drives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hurryBytesOf, Upkeep, type UpkeepOptions } from "../../cluster/upkeep.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { UpkeepAnswer, UpkeepJob, UpkeepRules } from "../../workers/messages.ts";
import { ManualClock } from "../harness/clock.ts";
import { hearLog } from "../harness/log.ts";

type Sliced = Extract<UpkeepAnswer, { kind: "sliced" }>;

interface Served {
  shard: number;
  atMs: number;
  thread: number;
}

/** Threads that take as long as they are told for what they are told to answer. */
class World {
  readonly clock = new ManualClock();
  readonly counters = new Counters();
  readonly heard = hearLog();
  readonly served: Served[] = [];
  readonly jobs: UpkeepJob[] = [];
  closedPools = 0;
  shards: number[] = [];
  rules: UpkeepRules | undefined = { version: 1, standard: { rungs: [] }, tenants: [] };
  answer: (shard: number) => UpkeepAnswer | Error = () => worked();
  tookMs: (shard: number) => number = () => 200;
  upkeep: Upkeep;

  constructor(options: Partial<UpkeepOptions> = {}) {
    let threads = 0;
    this.upkeep = new Upkeep({
      shards: () => this.shards,
      rules: () => this.rules,
      newPool: () => this.#pool(threads++),
      threads: 1,
      share: 0.5,
      hurryBytes: 1000,
      clock: this.clock,
      random: seededRandom(1),
      counters: this.counters,
      log: this.heard.log,
      ...options,
    });
  }

  #pool(thread: number) {
    return {
      run: async (job: UpkeepJob): Promise<UpkeepAnswer> => {
        this.jobs.push(job);
        if (job.kind !== "slice") return { kind: "closed" };
        const { shard } = job;
        this.served.push({ shard, atMs: this.clock.monotonicMs(), thread });
        await this.clock.sleep(this.tookMs(shard));
        const answer = this.answer(shard);
        if (answer instanceof Error) throw answer;
        return answer;
      },
      close: async () => {
        this.closedPools += 1;
      },
    };
  }

  start(shards: number[]): void {
    this.shards = shards;
    this.upkeep.start();
  }

  /** How often each was served since it was last asked. */
  async timesIn(ms: number): Promise<Record<number, number>> {
    const from = this.served.length;
    await this.clock.pass(ms);
    const times: Record<number, number> = {};
    for (const { shard } of this.served.slice(from)) times[shard] = (times[shard] ?? 0) + 1;
    return times;
  }

  get lines(): Record<string, unknown>[] {
    return this.heard.text.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  value(series: string): number {
    const line = this.counters
      .text()
      .split("\n")
      .find((each) => each.startsWith(`${series} `));
    return Number(line?.split(" ").at(-1));
  }

  async stop(): Promise<boolean> {
    const stopped = this.upkeep.stop(2000);
    await this.clock.pass(2000);
    return await stopped;
  }
}

function worked(backlogBytes = 10): Sliced {
  return {
    kind: "sliced",
    done: { fragments: { steps: 3, rows: 100, bytes: 2000 } },
    end: "more",
    backlogBytes,
  };
}

const idle: Sliced = { kind: "sliced", done: {}, end: "idle", backlogBytes: 0 };
const full: UpkeepAnswer = { kind: "outage", code: "store-full", why: "no room", done: {} };

test("K2: a thread works its share of the time, whatever there is to do", async () => {
  for (const share of [0.1, 0.5, 1]) {
    const world = new World({ share });
    world.start([0, 1, 2]);
    await world.clock.pass(100_000);
    const workedMs = world.served.length * 200;
    assert.ok(Math.abs(workedMs / 100_000 - share) < 0.01, `${share}: worked ${workedMs} ms of 100 s`);
    assert.ok(await world.stop());
  }
});

test("K2: slices that take next to nothing are paid for as well, and none is saved up", async () => {
  const world = new World({ share: 0.1 });
  world.tookMs = () => 1;
  world.answer = () => idle;
  world.start([0]);
  await world.clock.pass(60_000);
  world.tookMs = () => 200;
  world.answer = () => worked();
  const times = await world.timesIn(20_000);
  assert.ok((times[0] ?? 0) <= 11, `${times[0]} slices of 200 ms in 20 s at a tenth`);
  assert.ok(await world.stop());
});

test("K1: shards with work take turns; one without is asked once a second and costs the others nothing", async () => {
  const world = new World({ share: 1 });
  world.answer = (shard) => (shard < 3 ? worked() : idle);
  world.tookMs = (shard) => (shard < 3 ? 100 : 0);
  world.start([0, 1, 2, 3]);
  await world.clock.pass(3000);
  const times = await world.timesIn(30_000);
  for (const shard of [0, 1, 2]) assert.ok(Math.abs((times[shard] ?? 0) - 100) <= 1, JSON.stringify(times));
  // Due after a second, then behind those that were due before.
  assert.ok((times[3] ?? 0) >= 20 && (times[3] ?? 0) <= 30, JSON.stringify(times));
  assert.ok(await world.stop());
});

test("K2: a shard whose backlog is large is served without rest, its siblings as before", async () => {
  const world = new World({ share: 0.2, hurryBytes: 1000 });
  world.answer = (shard) => worked(shard === 0 ? 5000 : 10);
  world.start([0, 1]);
  await world.clock.pass(5000);
  const hurried = await world.timesIn(20_000);
  assert.equal((hurried[0] ?? 0) + (hurried[1] ?? 0), 100, "no rest");
  assert.ok((hurried[1] ?? 0) >= 18 && (hurried[1] ?? 0) <= 21, JSON.stringify(hurried));
  assert.equal(world.value('upkeep_backlog_bytes{shard="0"}'), 5000);
  world.answer = () => worked(10);
  await world.clock.pass(2000);
  const rested = await world.timesIn(20_000);
  assert.ok((rested[0] ?? 0) + (rested[1] ?? 0) <= 21, JSON.stringify(rested));
  assert.ok(await world.stop());
});

test("K3: an outage costs its shard: said once, tried again ever more seldom, and said when it is over", async () => {
  const world = new World({ share: 1 });
  world.answer = (shard) => (shard === 0 ? full : worked());
  world.start([0, 1]);
  const times = await world.timesIn(300_000);
  const zero = world.served.filter(({ shard }) => shard === 0).map(({ atMs }) => atMs);
  assert.ok(zero.length >= 6 && zero.length <= 20, `${zero.length} tries in five minutes`);
  const waits = zero.slice(1).map((atMs, i) => atMs - (zero[i] ?? 0));
  assert.ok((waits[0] ?? 0) < 2000 && (waits.at(-1) ?? 0) > 30_000, waits.join(" "));
  assert.ok((times[1] ?? 0) > 1400, `its sibling was served ${times[1]} times`);
  const said = () => world.lines.filter(({ shard }) => shard === 0).map(({ msg }) => msg);
  assert.deepEqual(said(), ["upkeep of a shard waits"]);
  assert.equal(world.value('upkeep_outages_total{code="store-full"}'), zero.length);
  assert.match(world.upkeep.status()[0]?.failing ?? "", /^store-full: no room$/);
  world.answer = () => worked();
  await world.clock.pass(61_000);
  assert.deepEqual(said(), ["upkeep of a shard waits", "upkeep of a shard goes on"]);
  assert.equal(world.upkeep.status()[0]?.failing, "");
  assert.ok(await world.stop());
});

test("K3: a bug, or a thread that died, costs its shard a rest and is for on-call; the others go on", async () => {
  const world = new World({ share: 1 });
  world.answer = (shard) => (shard === 0 ? new Error("BUG: two and two") : worked());
  world.start([0, 1]);
  const times = await world.timesIn(60_000);
  assert.ok((times[0] ?? 0) <= 10 && (times[1] ?? 0) > 280, JSON.stringify(times));
  assert.equal(world.value("upkeep_bugs_total"), times[0]);
  const paged = world.lines.filter(({ page }) => page === true);
  assert.deepEqual(
    paged.map(({ msg }) => msg),
    ["upkeep of a shard fails"],
  );
  assert.ok(await world.stop());
});

test("a slice that never ends is for on-call", async () => {
  const world = new World();
  world.tookMs = () => 600_000;
  world.start([0]);
  await world.clock.pass(119_000);
  assert.equal(world.lines.length, 0);
  await world.clock.pass(2000);
  assert.match(String(world.lines[0]?.["msg"]), /does not end/);
});

test("K4: shards come and go; each has one thread, and is closed there when it goes", async () => {
  const world = new World({ threads: 2, share: 1 });
  world.start([0, 1, 2]);
  await world.clock.pass(2000);
  const threads = new Set(world.served.map(({ shard, thread }) => `${shard}:${thread}`));
  assert.deepEqual([...threads].sort(), ["0:0", "1:1", "2:0"]);
  world.shards = [2];
  await world.clock.pass(2000);
  const closed = world.jobs.flatMap((job) => (job.kind === "close" ? [job.shard] : []));
  assert.deepEqual(new Set(closed), new Set([0, 1]));
  assert.deepEqual(await world.timesIn(2000).then(Object.keys), ["2"]);
  world.shards = [2, 5];
  assert.deepEqual(await world.timesIn(2000).then(Object.keys), ["2", "5"]);
  assert.ok(await world.stop());
  assert.equal(world.closedPools, 2);
});

test("nothing is done before the ladders are known; a thread that has not the rules is given them", async () => {
  const world = new World({ share: 1 });
  const { rules } = world;
  world.rules = undefined;
  world.start([0]);
  await world.clock.pass(10_000);
  assert.equal(world.jobs.length, 0);
  assert.equal(world.lines.length, 1);
  world.rules = rules;
  let wanted = 1;
  world.answer = () => (wanted-- > 0 ? { kind: "rules-wanted" } : worked());
  await world.clock.pass(2000);
  const given = world.jobs.map((job) => job.kind === "slice" && job.rules !== undefined);
  assert.deepEqual(given.slice(0, 3), [false, true, false]);
  assert.ok(await world.stop());
});

test("K5: a stop waits for the slice under way, within its bound", async () => {
  const soon = new World();
  soon.start([0]);
  await soon.clock.pass(100);
  assert.ok(await soon.stop());
  assert.equal(soon.closedPools, 1);
  assert.equal(soon.served.length, 1);

  const never = new World();
  never.tookMs = () => 600_000;
  never.start([0]);
  await never.clock.pass(100);
  assert.equal(await never.stop(), false);
  assert.equal(never.closedPools, 0);
});

test("what was done is counted by its work", async () => {
  const world = new World({ share: 1 });
  world.start([0]);
  await world.clock.pass(1000);
  const slices = world.served.length - 1;
  assert.equal(world.value('upkeep_steps_total{work="fragments"}'), 3 * slices);
  assert.equal(world.value('upkeep_rows_total{work="fragments"}'), 100 * slices);
  assert.equal(world.value('upkeep_written_bytes_total{work="fragments"}'), 2000 * slices);
  assert.ok(Math.abs(world.value("upkeep_seconds_total") - 0.2 * slices) < 1e-9);
  assert.ok(await world.stop());
});

test("a shard hurries well before its store is full, and not at what a round waits for anyway", () => {
  const gib = 2 ** 30;
  for (const [store, expected] of [
    [3 * gib, 256 << 20],
    [100 << 20, 20 << 20],
  ] as const)
    assert.equal(hurryBytesOf(store), expected);
});
