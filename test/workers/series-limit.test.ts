// The limit of living series: new ones beyond it are refused line by line, those that are stored never.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { RefusedNames } from "../../workers/refused-names.ts";
import { SeriesLimits } from "../../workers/series-limits.ts";
import type { ShardActorOptions } from "../../workers/shard-actor.ts";
import { deleteSeries, World } from "./world.ts";

class LimitedWorld {
  readonly world: World;
  readonly limits = new SeriesLimits();
  #n = 0;

  private constructor(world: World) {
    this.world = world;
  }

  static async start(standard: number | "off", tenants: [string, number | "off"][] = []) {
    const limited = new LimitedWorld(await World.start());
    limited.limits.tell({ standard, tenants });
    return limited;
  }

  get options(): Partial<ShardActorOptions> {
    return { seriesLimits: this.limits, refusedNames: new RefusedNames(seededRandom(3).bytes(16)) };
  }

  record(names: readonly string[], tenant = "t1", door: "tcp" | "http" = "tcp"): Promise<number> {
    const lines = names.map((name) => `${name} 1`);
    return this.world.record(this.world.frame(lines, { n: this.#n++, tenant, door }));
  }

  /** A life of the actor, through everything that is recorded. */
  async through(options: Partial<ShardActorOptions> = {}): Promise<void> {
    const ended = await this.world.runThrough({ ...this.options, ...options });
    assert.equal(ended.kind, "stopped");
  }

  async names(tenant = "t1"): Promise<string> {
    return (await this.world.sums(tenant)).map((line) => line.split(" ").slice(0, 2).join(":")).join(" ");
  }
}

test("new series beyond the limit are refused with door and reason; the known ones of the same frame flow", async () => {
  const limited = await LimitedWorld.start(3, [
    ["t2", 1],
    ["t3", "off"],
  ]);
  await limited.record(["a", "b", "c", "d", "a", "e", "d"]);
  await limited.record(["a", "d", "c"], "t1", "http");
  await limited.record(["a", "b"], "t2");
  await limited.record(["a", "b", "c", "d"], "t3");
  await limited.through();
  assert.equal(await limited.names(), "a:3 b:1 c:2");
  assert.equal(await limited.names("t2"), "a:1");
  assert.equal(await limited.names("t3"), "a:1 b:1 c:1 d:1");
  assert.deepEqual(await limited.world.books(), [
    "http refused series-limit 1",
    "http stored 2",
    "tcp refused series-limit 3",
    "tcp stored 4",
  ]);
  assert.deepEqual(await limited.world.letters(), []);
});

test("what is stored is never refused: with an empty cache, in any spelling, beside new ones", async () => {
  const limited = await LimitedWorld.start("off");
  await limited.record(["a", "b", "c", "x;a=1;b=2"]);
  await limited.through();
  limited.limits.tell({ standard: 2, tenants: [] });
  await limited.record(["n1", "a", ".b", "x;b=2;a=1", "n2", "c", "n1"]);
  await limited.through();
  assert.equal(await limited.names(), "a:2 b:2 c:2");
  assert.deepEqual(await limited.world.books(), ["tcp refused series-limit 3", "tcp stored 8"]);
  // Exactly up to the limit, where what is stored comes before the cache knows it.
  limited.limits.tell({ standard: 6, tenants: [] });
  await limited.record(["a", "n1", "b"]);
  await limited.record(["c", "n2", "x;a=1;b=2", "n3", "n1"]);
  await limited.through();
  assert.equal(await limited.names(), "a:3 b:3 c:3 n1:2 n2:1");
  assert.deepEqual(await limited.world.books(), ["tcp refused series-limit 4", "tcp stored 15"]);
});

test("deleting makes room again, and what was deleted comes back only while there is some", async () => {
  const limited = await LimitedWorld.start(3);
  const { world } = limited;
  await limited.record(["a1", "a2", "b", "c"]);
  const running = world.run(limited.options);
  await world.clock.pass(2000);
  assert.equal(await limited.names(), "a1:1 a2:1 b:1");
  const deleted = deleteSeries(running.actor, { tenant: "t1", pattern: "a*", most: 10 });
  await world.clock.pass(2000);
  assert.deepEqual(await deleted, ["a1", "a2"]);
  await limited.record(["c", "a2", "a1", "b", "a2"]);
  await world.clock.pass(2000);
  assert.equal(await limited.names(), "a2:2 b:2 c:1");
  await limited.record(["a1", "d", "a2"]);
  await world.clock.pass(2000);
  running.actor.stop();
  await running.ended;
  assert.equal(await limited.names(), "a2:3 b:2 c:1");
});

test("another limit holds from the next frame on; a lower one takes nothing away", async () => {
  const limited = await LimitedWorld.start(2);
  const { world } = limited;
  const running = world.run(limited.options);
  const send = async (...names: string[]) => {
    await limited.record(names);
    await world.clock.pass(2000);
    return limited.names();
  };
  assert.equal(await send("a", "b", "c"), "a:1 b:1");
  limited.limits.tell({ standard: 2, tenants: [["t1", 3]] });
  assert.equal(await send("a", "b", "c", "d"), "a:2 b:2 c:1");
  limited.limits.tell({ standard: 1, tenants: [] });
  assert.equal(await send("a", "b", "c", "d"), "a:3 b:3 c:2");
  limited.limits.tell({ standard: "off", tenants: [] });
  assert.equal(await send("d", "e"), "a:3 b:3 c:2 d:1 e:1");
  limited.limits.tell({ standard: 5, tenants: [] });
  assert.equal(await send("d", "f"), "a:3 b:3 c:2 d:2 e:1");
  running.actor.stop();
  await running.ended;
});

test("a refused name is not asked for twice, and below the limit nothing is", async () => {
  const limited = await LimitedWorld.start(3);
  const { world } = limited;
  let named = 0;
  let counted = 0;
  const openStore = world.storeWith((store) => ({
    named: (tenant, names) => {
      named += names.length;
      return store.named(tenant, names);
    },
    tenantSeries: (tenant) => {
      counted++;
      return store.tenantSeries(tenant);
    },
  }));
  const running = world.run({ ...limited.options, openStore });
  const send = async (...names: string[]) => {
    await limited.record(names);
    await world.clock.pass(2000);
    return [named, counted];
  };
  assert.deepEqual(await send("a", "b"), [0, 1]);
  assert.deepEqual(await send("c", "a"), [0, 1]);
  assert.deepEqual(await send("d"), [1, 2]);
  assert.deepEqual(await send("d", "e", "d", "a"), [2, 2]);
  assert.deepEqual(await send("d", "e", "b"), [2, 2]);
  running.actor.stop();
  await running.ended;
  assert.deepEqual(await world.books(), ["tcp refused series-limit 6", "tcp stored 6"]);
});

test("random frames, deletions, restarts and limits: as a list of names would have it", async () => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? 11);
  for (let round = 0; round < 25; round++) {
    const random = seededRandom(seed + round);
    const limited = await LimitedWorld.start(5);
    const { world } = limited;
    const living: Record<string, Set<string>> = { t1: new Set(), t2: new Set() };
    const expected = { stored: 0, refused: 0 };
    let limit = 5;
    let running = world.run(limited.options);
    for (let step = 0; step < 60; step++) {
      const tenant = random.below(2) === 0 ? "t1" : "t2";
      const names = living[tenant] as Set<string>;
      const what = random.below(12);
      if (what === 0) {
        running.actor.stop();
        await world.clock.pass(2000);
        await running.ended;
        running = world.run(limited.options);
      } else if (what === 1) {
        await world.clock.pass(2000);
        const digit = String(random.below(10));
        const gone = deleteSeries(running.actor, { tenant, pattern: `*${digit}`, most: 100 });
        await world.clock.pass(2000);
        await gone;
        for (const name of names) if (name.endsWith(digit)) names.delete(name);
      } else if (what === 2) {
        await world.clock.pass(2000);
        limit = 3 + random.below(20);
        limited.limits.tell({ standard: limit, tenants: [] });
      } else {
        const lines = Array.from({ length: 1 + random.below(8) }, () => `n${random.below(40)}`);
        for (const name of lines)
          if (names.has(name) || names.size < limit) {
            names.add(name);
            expected.stored++;
          } else expected.refused++;
        await limited.record(lines, tenant);
        if (random.below(3) === 0) await world.clock.pass(random.below(400));
      }
    }
    await world.clock.pass(2000);
    running.actor.stop();
    await running.ended;
    for (const tenant of ["t1", "t2"])
      assert.deepEqual(
        (await world.sums(tenant)).map((line) => line.split(" ")[0]),
        [...(living[tenant] as Set<string>)].sort(),
        `seed ${seed}, round ${round}, ${tenant}`,
      );
    const books = [...(await world.books("t1")), ...(await world.books("t2"))];
    const sum = (what: string) =>
      books
        .filter((line) => line.includes(what))
        .reduce((all, line) => all + Number(line.split(" ").at(-1)), 0);
    assert.deepEqual(
      { stored: sum("stored"), refused: sum("series-limit") },
      expected,
      `seed ${seed}, round ${round}`,
    );
  }
});
