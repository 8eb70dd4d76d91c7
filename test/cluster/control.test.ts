// What operators ask of a node's shards, over the bus: the memory engine holds the series, the actor is the test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askShard } from "../../bin/ask-shard.ts";
import { holdingsOf, holdingsText } from "../../bin/holdings.ts";
import { Control, type ControlReader } from "../../cluster/control.ts";
import { decodeAnswer, namesBytesMost } from "../../cluster/control-messages.ts";
import type { Question, Requested } from "../../cluster/requests.ts";
import { Outage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { shardControlSubject } from "../../src/bus/subjects.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import { claimed, columns, commitOf, key } from "../contract/store-helpers.ts";
import { ManualClock, settle } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";

const node = "node-a";

class World {
  readonly clock = new ManualClock();
  readonly bus = createMemoryBus({ clock: this.clock, random: seededRandom(5) });
  readonly engine = createMemoryEngine();
  readonly asked: { shard: number; question: Question }[] = [];
  readonly control: Control;
  runs = [0, 1];
  actor: () => Requested = () => ({ kind: "none", why: "its actor ended meanwhile" });
  broken: Error | undefined;
  /** A read waits for it. */
  hold: Promise<void> | undefined;

  constructor() {
    this.control = new Control({
      node,
      bus: this.bus,
      supervisor: {
        runs: (shard) => this.runs.includes(shard),
        request: async (shard, question) => {
          this.asked.push({ shard, question });
          return this.actor();
        },
      },
      verbs: { answer: async () => ({ kind: "restarted" }) },
      openReader: async (shard) => this.#reader(shard),
      budgetBytes: 1_000_000,
      clock: this.clock,
      log: silentLog,
    });
  }

  async #reader(shard: number): Promise<ControlReader> {
    if (this.broken !== undefined) throw this.broken;
    const reader = await this.engine.openReader(shard);
    return {
      snapshot: async () => {
        await this.hold;
        return reader.snapshot();
      },
      close: () => reader.close(),
      space: async () => ({ usedBytes: 250_000, fileBytes: 300_000 }),
    };
  }

  async fill(shard: number, names: readonly string[]): Promise<void> {
    const store = await this.engine.openShard(shard);
    const { epoch, offset } = await claimed(store);
    const rows = names.map((_, series) => ({ series, fresh: true, bucket: 1_700_000_000 + shard }));
    const newSeries = names.map((name) => key(name, "t"));
    const commit = commitOf(epoch, offset, offset + 1, { newSeries, deltas: columns(rows) });
    assert.equal((await store.commit(commit)).kind, "ok");
  }

  list(pattern: string, most = 10, shard = 0) {
    return askShard(this.bus, { kind: "series-list", shard, tenant: "t", pattern, most });
  }

  delete(dryRun: boolean, shard = 0) {
    return askShard(this.bus, { kind: "series-delete", shard, tenant: "t", pattern: "a.*", most: 2, dryRun });
  }
}

async function world(): Promise<World> {
  const made = new World();
  await made.control.start();
  await made.fill(0, ["a.3", "a.1", "a.2", "b"]);
  await made.fill(1, ["a.1"]);
  return made;
}

test("series are listed, counted and deleted by the shard's actor; what is asked too broadly is cut", async () => {
  const w = await world();
  assert.deepEqual(await w.list("a.*"), { kind: "series", names: ["a.1", "a.2", "a.3"], more: false });
  assert.deepEqual(await w.list("a.*", 2), { kind: "series", names: ["a.1", "a.2"], more: true });
  assert.deepEqual(await w.list("c"), { kind: "series", names: [], more: false });
  assert.deepEqual(await w.delete(true), { kind: "would-delete", count: 3, more: false });
  assert.equal(w.asked.length, 0, "a dry run asks no actor");
  w.actor = () => ({
    kind: "answered",
    answer: { kind: "series-deleted", request: 1, names: ["a.1", "a.2"] },
  });
  assert.deepEqual(await w.delete(false), { kind: "deleted", count: 2, more: true });
  w.actor = () => ({ kind: "answered", answer: { kind: "series-deleted", request: 1, names: ["a.3"] } });
  assert.deepEqual(await w.delete(false), { kind: "deleted", count: 1, more: false });
  const question = { kind: "delete-series", tenant: "t", pattern: "a.*", most: 2 };
  assert.deepEqual(w.asked, [
    { shard: 0, question },
    { shard: 0, question },
  ]);
});

test("an answer of names fits a message", async () => {
  const w = await world();
  const long = "x".repeat(2000);
  const names = Array.from({ length: 4000 }, (_, i) => `long.${long}.${String(i).padStart(5, "0")}`);
  await w.fill(2, names);
  w.runs = [2];
  const answer = await w.list("long.*.*", 4000, 2);
  assert.ok(answer.kind === "series" && answer.more);
  const bytes = JSON.stringify(answer.names).length;
  assert.ok(bytes <= namesBytesMost && bytes > namesBytesMost - 3000, String(bytes));
  assert.deepEqual(answer.names, names.slice(0, answer.names.length));
});

test("what can't be answered is said: no node, not its shard, a store or an actor in trouble, another version", async () => {
  const w = await world();
  const none = async (asked: Promise<{ kind: string; why?: string }>, why: RegExp) => {
    const answer = await asked;
    assert.equal(answer.kind, "none");
    assert.match(answer.why ?? "", why);
  };
  await none(w.list("a.*", 10, 7), /no node runs it \(node-a does not\)/);
  await none(w.delete(false), /its actor ended meanwhile/);
  const failed = { kind: "chore-failed", request: 1, code: "store-full", why: "no room" } as const;
  w.actor = () => ({ kind: "answered", answer: failed });
  await none(w.delete(false), /^store-full: no room$/);
  w.broken = new Outage("store-unavailable", "no such folder");
  await w.fill(3, ["a.1"]);
  w.runs = [0, 1, 3];
  await none(w.list("a.*", 10, 3), /store-unavailable: no such folder/);
  w.broken = undefined;
  assert.equal((await w.list("a.*", 10, 3)).kind, "series", "it is opened anew");
  const [odd] = await w.bus.ask(shardControlSubject, Buffer.from('{"kind":"brew","shard":0}'), 10);
  assert.equal(decodeAnswer(odd ?? new Uint8Array())?.kind, "invalid");
  await none(w.list("a.*", 10_001), /of another version/);
  await none(w.list("a".repeat(5000)), /of another version/);
  await w.control.stop();
  await none(w.list("a.*"), /no node answers/);
});

test("C2: questions are few at a time, more wait for a moment; what actors have to do holds no others up", async () => {
  const w = await world();
  let release = () => {};
  w.hold = new Promise((resolve) => (release = resolve));
  const held = Array.from({ length: 9 }, () => w.list("a.*"));
  await settle();
  // Not behind the lists: an actor's turns are others.
  const shard = 0;
  assert.equal((await askShard(w.bus, { kind: "shard-skip", shard, dryRun: false })).kind, "restarted");
  const late = askShard(w.bus, { kind: "shard-state", shard });
  await settle();
  await w.clock.pass(4000);
  const answer = await late;
  assert.ok(answer.kind === "none" && /busy/.test(answer.why));
  const ninth = await held[8];
  assert.ok(ninth?.kind === "none" && /busy/.test(ninth.why));
  const tenth = w.list("a.*");
  await settle();
  release();
  for (const each of await Promise.all([...held.slice(0, 8), tenth])) assert.equal(each.kind, "series");
  w.hold = undefined;
  assert.equal((await w.list("a.*")).kind, "series");
});

test("what a tenant holds is summed over its shards; those that can't be asked are named", async () => {
  const w = await world();
  const holdings = await holdingsOf(w.bus, "t", [0, 1, 5]);
  const { series, points, oldest, newest, stores, unasked } = holdings;
  assert.deepEqual([series, points, oldest, newest], [5, 5, 1_700_000_000, 1_700_000_001]);
  assert.deepEqual(stores[1], { shard: 1, usedBytes: 250_000, fileBytes: 300_000, budgetBytes: 1_000_000 });
  assert.deepEqual(unasked, [{ shard: 5, why: "no node runs it (node-a does not)" }]);
  assert.deepEqual(holdingsText({ ...holdings, bytes: 1234 }), [
    "holds 5 series, 5 points, 1.2 kB",
    "oldest 2023-11-14T22:13:20.000Z  newest 2023-11-14T22:13:21.000Z",
    "shard 0, all tenants: 250.0 kB of 1.0 MB",
    "shard 1, all tenants: 250.0 kB of 1.0 MB",
    "shard 5 could not be asked: no node runs it (node-a does not)",
  ]);
  const nothing = await holdingsOf(w.bus, "t", [5]);
  assert.deepEqual([nothing.series, nothing.oldest, nothing.newest], [0, null, null]);
  assert.deepEqual(holdingsText(nothing), ["shard 5 could not be asked: no node runs it (node-a does not)"]);
});
