// What an upkeep thread does with its jobs, over the memory engine and one that fails when told to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outage } from "../../src/base/errors.ts";
import type { ShardUpkeep, StoreEngine, UpkeepStep, UpkeepTask } from "../../src/store/store.ts";
import type { UpkeepJob } from "../../workers/messages.ts";
import { Slices } from "../../workers/slices.ts";
import { ManualClock } from "../harness/clock.ts";

const standard = { rungs: [{ stepSeconds: 10, spanSeconds: 86_400 }] };
const rules = { version: 1, standard, tenants: [] };

class World {
  readonly clock = new ManualClock();
  readonly tasks: UpkeepTask[] = [];
  opened = 0;
  closed = 0;
  /** What the next steps do, each 40 ms long; then idle. */
  steps: (UpkeepStep | Error)[] = [];
  readonly slices: Slices;

  constructor() {
    const upkeep: ShardUpkeep = {
      step: async (task) => {
        this.tasks.push(task);
        this.clock.advance(40);
        const step = this.steps.shift() ?? { kind: "idle", backlogBytes: 1 };
        if (step instanceof Error) throw step;
        return step;
      },
      close: async () => {
        this.closed += 1;
      },
    };
    const openUpkeep = async () => {
      this.opened += 1;
      return upkeep;
    };
    this.slices = new Slices({ openUpkeep } as Pick<StoreEngine, "openUpkeep"> as StoreEngine, this.clock);
  }

  slice(more: Partial<Extract<UpkeepJob, { kind: "slice" }>> = {}) {
    const job = { kind: "slice", shard: 3, sliceMs: 100, nowSeconds: 5, rulesVersion: 1, rules } as const;
    return this.slices.answer({ ...job, ...more });
  }
}

const merged: UpkeepStep = { kind: "worked", work: "merge", rows: 2, bytes: 30, backlogBytes: 9 };

test("a slice is as many steps as fit its time, one at least", async () => {
  const world = new World();
  world.steps = [merged, merged, merged, merged];
  assert.deepEqual(await world.slice(), {
    kind: "sliced",
    done: { merge: { steps: 3, rows: 6, bytes: 90 } },
    end: "more",
    backlogBytes: 9,
  });
  const rest = { done: { merge: { steps: 1, rows: 2, bytes: 30 } }, backlogBytes: 1 };
  assert.deepEqual(await world.slice(), { kind: "sliced", ...rest, end: "idle" });
  world.steps = [merged];
  assert.equal(((await world.slice({ sliceMs: 0 })) as { end: string }).end, "more");
  world.steps = [{ kind: "overtaken", backlogBytes: 4 }, merged];
  assert.deepEqual(await world.slice(), { kind: "sliced", done: {}, end: "overtaken", backlogBytes: 4 });
  assert.equal(world.opened, 1);
});

test("rules are compiled once a version", async () => {
  const world = new World();
  const { rules: _none, ...without } = { kind: "slice", shard: 3, sliceMs: 1, nowSeconds: 5, rules } as const;
  assert.deepEqual(await world.slices.answer({ ...without, rulesVersion: 1 }), { kind: "rules-wanted" });
  assert.equal(world.opened, 0);
  await world.slice();
  await world.slices.answer({ ...without, rulesVersion: 1 });
  const [first, second] = world.tasks;
  assert.ok(first !== undefined && first.ladders === second?.ladders);
  assert.deepEqual(first.ladders.laddersOf("any", "name"), [{ fromSeconds: 0, ladder: standard }]);
  assert.deepEqual(await world.slices.answer({ ...without, rulesVersion: 2 }), { kind: "rules-wanted" });
  await world.slice({ rulesVersion: 2, rules: { ...rules, version: 2 } });
  assert.equal(world.tasks.at(-1)?.ladders.version, 2);
});

test("S1: an outage is an answer with what was done before; the shard is opened anew", async () => {
  const world = new World();
  world.steps = [merged, new Outage("store-full", "no room")];
  assert.deepEqual(await world.slice(), {
    kind: "outage",
    code: "store-full",
    why: "no room",
    done: { merge: { steps: 1, rows: 2, bytes: 30 } },
  });
  assert.equal(world.closed, 1);
  await world.slice();
  assert.equal(world.opened, 2);
});

test("S2: a bug is thrown, and the shard opened anew", async () => {
  const world = new World();
  world.steps = [new TypeError("two and two")];
  await assert.rejects(world.slice(), TypeError);
  assert.equal(world.closed, 1);
  assert.equal(((await world.slice()) as { end: string }).end, "idle");
  assert.equal(world.opened, 2);
});

test("what is open is closed when it is told, once", async () => {
  const world = new World();
  await world.slice();
  await world.slice({ shard: 4 });
  await world.slices.answer({ kind: "close", shard: 3 });
  await world.slices.answer({ kind: "close", shard: 3 });
  assert.equal(world.closed, 1);
  await world.slices.answer({ kind: "close-all" });
  assert.equal(world.closed, 2);
});
