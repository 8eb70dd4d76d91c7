// What operators ask of dead letters, over the bus, of a node whose actor is a real one on the memory engine.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askShard } from "../../bin/ask-shard.ts";
import { Control } from "../../cluster/control.ts";
import type { LetterAnswer, LettersOnly } from "../../cluster/letter-messages.ts";
import { claimed, commitOf, committed } from "../contract/store-helpers.ts";
import { silentLog } from "../harness/log.ts";
import { World } from "../workers/world.ts";

/** A world with a shard 0 whose actor runs, and a node that answers for it. */
async function node(prepare: (world: World) => Promise<void> = async () => {}) {
  const world = await World.start();
  await prepare(world);
  const running = world.run();
  const control = new Control({
    node: "node-a",
    bus: world.bus,
    supervisor: {
      runs: (shard) => shard === 0,
      request: async (_shard, question) => {
        if (question.kind === "refused-lines") return { kind: "none", why: "not asked here" };
        return running.actor.chore(question).then(
          (done) => ({ kind: "answered", answer: { request: 1, ...done } }),
          (error: Error) => ({ kind: "none", why: error.message }),
        );
      },
    },
    verbs: { answer: async () => ({ kind: "none", why: "not asked here" }) },
    openReader: async () => ({
      ...(await openReader(world)),
      space: async () => ({ usedBytes: 0, fileBytes: 0 }),
    }),
    budgetBytes: 1,
    clock: world.clock,
    log: silentLog,
  });
  await control.start();
  return { world, running };
}

async function openReader(world: World) {
  const reader = await world.engine.openReader(0);
  return { snapshot: () => reader.snapshot(), close: () => reader.close() };
}

type Node = Awaited<ReturnType<typeof node>>;

async function list({ world }: Node, only: LettersOnly = {}, most = 100) {
  const answer = await askShard(world.bus, { kind: "dead-list", shard: 0, only, most });
  assert(answer.kind === "dead-letters", JSON.stringify(answer));
  return answer.letters;
}

async function retry({ world }: Node, places: { sequence: number; part: number }[], lines?: string) {
  const edited = lines === undefined ? {} : { lines };
  const answer = await askShard(world.bus, { kind: "dead-retry", shard: 0, places, ...edited });
  assert(answer.kind === "dead-retried", JSON.stringify(answer));
  return answer;
}

test("letters are listed in pages, shown, counted and dropped", async () => {
  const n = await node();
  await n.world.record(n.world.frame(["a 1", "bad"]));
  await n.world.record(n.world.frame(["worse", "b 2", "worst x y"], { n: 1, tenant: "t2" }));
  await n.world.clock.pass(2000);
  const all = await list(n);
  assert.deepEqual(
    all.map(({ sequence, tenant, text, lines, door }) => [sequence, tenant, text.trim(), lines, door]),
    [
      [1, "t1", "bad", 1, "tcp"],
      [2, "t2", "worse", 1, "tcp"],
      [2, "t2", "worst x y", 1, "tcp"],
    ],
  );
  const [first, second] = all;
  assert(first !== undefined && second !== undefined);
  const { sequence, part } = first;
  assert.equal((await list(n, { after: { sequence, part } }, 1))[0]?.text.trim(), "worse");
  assert.equal((await list(n, { tenant: "t2" })).length, 2);
  assert.equal((await list(n, { tenant: "nobody" })).length, 0);
  const show = { kind: "dead-show", shard: 0, place: { sequence, part } } as const;
  const shown = (await askShard(n.world.bus, show)) as Extract<LetterAnswer, { kind: "dead-letter" }>;
  const { place, ...letter } = shown.letter ?? assert.fail();
  assert.deepEqual(letter, first);
  assert.deepEqual(place, { stream: "MR_IN_0", frame: 1, line: 2, record: "held" });
  const counts = (await askShard(n.world.bus, { kind: "dead-counts", shard: 0 })) as Extract<
    LetterAnswer,
    { kind: "dead-counts" }
  >;
  assert.equal(
    counts.counts.reduce((sum, { letters }) => sum + letters, 0),
    3,
  );
  const places = [{ sequence, part }];
  const drop = { kind: "dead-drop", shard: 0, places } as const;
  assert.deepEqual(await askShard(n.world.bus, drop), { kind: "dead-dropped", letters: 1 });
  assert.deepEqual(await askShard(n.world.bus, drop), { kind: "dead-dropped", letters: 0 }, "asked twice");
  const gone = (await askShard(n.world.bus, show)) as Extract<LetterAnswer, { kind: "dead-letter" }>;
  assert.equal(gone.letter, null);
  assert.equal((await list(n)).length, 2);
});

test("a retried letter counts once, however often it is asked for; edited lines take its place", async () => {
  const n = await node();
  await n.world.record(n.world.frame(["a 1", "b one"]));
  await n.world.clock.pass(2000);
  const [letter] = await list(n);
  assert(letter !== undefined);
  const place = { sequence: letter.sequence, part: letter.part };
  // As it is, it is dead again, under the number of its retry.
  assert.equal((await retry(n, [place])).recorded, 1);
  await n.world.clock.pass(2000);
  const [again, ...more] = await list(n);
  assert(again !== undefined && more.length === 0 && again.sequence > letter.sequence);
  const edited = "b 1";
  const next = { sequence: again.sequence, part: again.part };
  const told = await Promise.all([1, 2, 3].map(() => retry(n, [next, place], edited).catch(() => undefined)));
  assert.deepEqual(told, [undefined, undefined, undefined], "edited lines are of one letter");
  assert.equal((await retry(n, [next], edited)).recorded, 1);
  assert.equal((await retry(n, [next], edited)).recorded, 1);
  // The broker has forgotten the first one: only the commit is left to know.
  n.world.clock.advance(3_600_000);
  await n.world.bus.publish(0, "another id", (await n.world.bus.frameAt(0, 3))?.data ?? new Uint8Array());
  await n.world.clock.pass(2000);
  assert.equal((await list(n)).length, 0);
  assert.equal((await retry(n, [next, place])).gone, 0 + 2);
  assert.deepEqual(await n.world.sums(), ["a 1 1", "b 1 1"]);
  const books = await n.world.books();
  assert.deepEqual(
    books.filter((row) => !row.endsWith(" 0")),
    ["tcp stored 2"],
  );
  n.running.actor.stop();
});

test("who retries with other lines than somebody before is told so, and those before count", async () => {
  const n = await node();
  await n.world.record(n.world.frame(["bad one", "b 1"]));
  await n.world.clock.pass(2000);
  const [letter] = await list(n);
  assert(letter !== undefined);
  const place = { sequence: letter.sequence, part: letter.part };
  const told = async (lines?: string) => {
    const { recorded, gone, refused } = await retry(n, [place], lines);
    return `${recorded} ${gone} ${refused.map(({ why }) => why.slice(0, 22)).join()}`;
  };
  // Nothing moves the clock: the actor has not committed the first one yet.
  assert.equal(await told("a 1"), "1 0 ");
  assert.equal(await told("a 2"), "0 0 it was retried already");
  assert.equal(await told(), "0 0 it was retried already");
  assert.equal(await told("a 1"), "1 0 ", "the same lines: asked again after no answer");
  await n.world.clock.pass(2000);
  assert.equal(await told("a 2"), "0 1 ");
  assert.deepEqual(await n.world.sums(), ["a 1 1", "b 1 1"]);
  n.running.actor.stop();
});

test("a frame that killed who looked into it is recorded again as it is, and its lines count once", async () => {
  let data: Uint8Array = new Uint8Array();
  const n = await node(async (world) => {
    data = world.frame(["a 1", "b 1"]);
    await world.record(data);
    const store = await world.engine.openShard(0);
    const { epoch } = await claimed(store);
    const { incarnation } = await world.bus.streamState(0);
    const nobody = { tenant: "", door: "", kind: "plaintext", reason: "poison", detail: "heap" } as const;
    const dead = [{ sequence: 1, part: 0, lines: 1, receivedAtMs: 1000, bytes: data, ...nobody }];
    await committed(store, commitOf(epoch, 0, 1, { incarnation, dead, frameTimeMs: world.clock.nowMs() }));
  });
  const place = { sequence: 1, part: 0 };
  const edited = await retry(n, [place], "a 2");
  assert.match(edited.refused[0]?.why ?? "", /no lines to edit/);
  // The actor ends before the letter goes, and somebody asks again much later.
  await n.world.record(data);
  await n.world.clock.pass(2000);
  assert.equal((await list(n)).length, 1);
  assert.equal((await retry(n, [place])).recorded, 1);
  await n.world.clock.pass(2000);
  assert.deepEqual(await list(n), []);
  assert.equal((await retry(n, [place])).gone, 1);
  assert.deepEqual(await n.world.sums(), ["a 1 1", "b 1 1"]);
  assert.deepEqual(await n.world.books(), ["tcp stored 2"]);
  n.running.actor.stop();
});

test("a frame that still can't be read is another letter when it is retried", async () => {
  const n = await node();
  await n.world.bus.publish(0, "odd", Buffer.from("no frame"));
  await n.world.record(n.world.frame(["bad"], { n: 1 }));
  await n.world.clock.pass(2000);
  const reasons = async () => (await list(n)).map(({ sequence, reason }) => `${sequence} ${reason}`);
  assert.deepEqual(await reasons(), ["1 corrupt-frame", "2 malformed"]);
  assert.equal((await retry(n, [{ sequence: 1, part: 0 }])).recorded, 1);
  await n.world.clock.pass(2000);
  assert.deepEqual(await reasons(), ["2 malformed", "3 corrupt-frame"]);
  n.running.actor.stop();
  await n.running.ended;
  const { recorded, refused } = await retry(n, [{ sequence: 3, part: 0 }]);
  assert.equal(recorded, 0);
  assert.match(refused[0]?.why ?? "", /in the record again, but the letter can't be closed.*not run here/);
});

test("counts say up to which sequence letters may be, in each era of the record", async () => {
  const n = await node();
  await n.world.record(n.world.frame(["bad"]));
  await n.world.clock.pass(2000);
  const last = async () => {
    const counts = await askShard(n.world.bus, { kind: "dead-counts", shard: 0 });
    assert(counts.kind === "dead-counts");
    return counts.last;
  };
  assert.equal(await last(), 1);
  n.running.actor.stop();
  await n.running.ended;
  const { epoch, offset, incarnation } = await n.world.state();
  const store = await n.world.engine.openShard(0);
  await store.adopt(epoch, { incarnation, offset, frameTimeMs: 0, hole: undefined });
  await store.close();
  n.world.run();
  await n.world.record(n.world.frame(["worse"], { n: 1 }));
  await n.world.clock.pass(2000);
  const letters = await list(n);
  assert.equal(letters.length, 2);
  assert((letters[1]?.sequence ?? 0) > 2 ** 40, "a number of its own era");
  assert((letters[1]?.sequence ?? 0) <= (await last()), "else nobody could retry them all");
  await n.world.bus.trim(0, 1);
  const places = async () =>
    await Promise.all(
      letters.map(async ({ sequence, part }) => {
        const show = { kind: "dead-show", shard: 0, place: { sequence, part } } as const;
        const shown = await askShard(n.world.bus, show);
        assert(shown.kind === "dead-letter" && shown.letter !== null);
        const { frame, line, record } = shown.letter.place;
        return `${frame} ${line} ${record}`;
      }),
    );
  assert.deepEqual(await places(), ["1 1 earlier", "2 1 held"]);
  await n.world.bus.trim(0, 2);
  assert.deepEqual(await places(), ["1 1 earlier", "2 1 trimmed"]);
});
