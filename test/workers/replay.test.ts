import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { FrameIdentity } from "../../src/metric/frame.ts";
import { claimed, commitOf, committed } from "../contract/store-helpers.ts";
import { bootA, bootB } from "./world.ts";
import { ReplayWorld, type SectionInput } from "./replay-world.ts";

const lines = (world: ReplayWorld, ...points: [name: string, at: number, value?: number][]): string[] =>
  points.map(([name, at, value = 1]) => `${name} ${value} ${world.t0 + at}`);

const numbered = (n: number, boot = bootA): FrameIdentity => ({ kind: "boot", boot, n });

test("R1: the time of a tenant is as a fresh store would hold it, and nothing else changes", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  await world.sections(numbered(0), [
    { lines: lines(world, ["a", 0, 1], ["a", 10, 2], ["b", 19, 3], ["a", 20, 4]) },
    { tenant: "t2", lines: lines(world, ["a", 12, 5]) },
    { kind: "statsd", lines: ["hits:3|c"] },
  ]);
  await world.sections(numbered(1), [{ lines: lines(world, ["c", 15, 6]) }]);
  await world.live("wrong");
  const before = await world.cells(world.engine, t0, t0 + 60);
  assert.ok(before.includes("a 10 1 1002"), before.join("\n"));
  const others = await world.cells(world.engine, t0, t0 + 60, "t2");
  await world.begin(t0 + 10, t0 + 20);
  // Recorded later, of the same time, by a kernel that counts right.
  await world.sections(numbered(2), [{ lines: lines(world, ["a", 11, 7], ["d", 12, 8]) }]);
  await world.live("right");
  const { kind } = await world.replay();
  assert.equal(kind, "swapped");
  assert.deepEqual(await world.cells(world.engine, t0 + 10, t0 + 20), [
    "a 10 2 9",
    "b 10 1 3",
    "c 10 1 6",
    "d 10 1 8",
  ]);
  await world.readFresh();
  assert.deepEqual(
    await world.cells(world.engine, t0 + 10, t0 + 20),
    await world.cells(world.fresh, t0 + 10, t0 + 20),
  );
  for (const [from, until] of [
    [t0, t0 + 10],
    [t0 + 20, t0 + 60],
  ] as const)
    assert.deepEqual(
      await world.cells(world.engine, from, until),
      before.filter((cell) => {
        const at = Number(cell.split(" ")[1]) + t0;
        return at >= from && at < until;
      }),
    );
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 60, "t2"), others);
});

test("R2: lines that were ever dead letters are left out; a retried one counts by its own frame", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  const bad = `millrace-fault.throw.x 1 ${t0}`;
  const first = await world.sections(numbered(0), [
    { lines: [...lines(world, ["a", 0], ["b", 0]), "no point", ...lines(world, ["c", 0])] },
    { tenant: "t2", lines: lines(world, ["a", 0]) },
    { lines: [bad, ...lines(world, ["d", 0])] },
  ]);
  const second = await world.sections(numbered(1), [{ lines: [bad, ...lines(world, ["e", 0]), "nor this"] }]);
  await world.live("wrong");
  assert.deepEqual(await world.letters(), [
    `${first} bad-value no point`,
    `${first} poison ${bad}`,
    `${second} poison ${bad}`,
    `${second} bad-value nor this`,
  ]);
  const dropped = { sequence: first, part: 5 };
  const store = await world.store;
  assert.equal(await store.dropLetters((await world.state()).epoch, [dropped]), 1);
  const retry = (sequence: number, part: number, reason: string): FrameIdentity => ({
    kind: "retry",
    letter: { sequence, part, reason, lines: 1 },
  });
  await world.sections(retry(second, 0, "poison"), [{ lines: lines(world, ["mended", 0, 5]) }]);
  await world.sections(retry(second, 0, "poison"), [{ lines: lines(world, ["mended", 0, 7]) }]);
  // Its letter is not open any more: it brings nothing.
  await world.sections(retry(first, 5, "poison"), [{ lines: lines(world, ["lost", 0]) }]);
  await world.live("wrong");
  await world.begin(t0, t0 + 10);
  // Retried while the replay is under way: not lines of before the barrier.
  await world.sections(retry(second, 2, "bad-value"), [{ lines: lines(world, ["mended", 0, 11]) }]);
  await world.sections(retry(first, 2, "bad-value"), [{ lines: lines(world, ["a", 0, 4]) }]);
  await world.live("right");
  assert.equal((await world.replay()).kind, "swapped");
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 10), [
    "a 0 2 5",
    "b 0 1 1",
    "c 0 1 1",
    "d 0 1 1",
    "e 0 1 1",
    "mended 0 2 16",
  ]);
});

test("R2: a frame that was buried whole is left out; recorded again it counts", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  const points = [{ lines: lines(world, ["a", 0]) }];
  const receivedAtMs = world.clock.nowMs();
  const whole = await world.sections(numbered(0), points, receivedAtMs);
  const store = await world.store;
  const { epoch } = await claimed(store);
  const { incarnation } = await world.bus.streamState(0);
  const words = { tenant: "", door: "", kind: "plaintext", reason: "poison", detail: "" } as const;
  const letter = { sequence: whole, part: 0, lines: 1, receivedAtMs, bytes: Buffer.from("f"), ...words };
  await committed(
    store,
    commitOf(epoch, 0, whole, { incarnation, frameTimeMs: receivedAtMs, dead: [letter] }),
  );
  await world.sections(numbered(0), points, receivedAtMs);
  await store.dropLetters(epoch, [letter]);
  await world.sections(numbered(1), [{ lines: lines(world, ["b", 0]) }], receivedAtMs);
  await world.live("wrong");
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 10), ["a 0 1 1001", "b 0 1 1001"]);
  await world.begin(t0, t0 + 10);
  assert.equal((await world.replay()).kind, "swapped");
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 10), ["a 0 1 1", "b 0 1 1"]);
});

test("R2: what was quarantined is left out as well, whether it still waits or was brought back", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  const bad = `millrace-fault.throw.x 1 ${t0}`;
  const last = await world.sections(numbered(0), [
    { lines: [bad, bad, ...lines(world, ["a", 0]), bad, ...lines(world, ["b", 0], ["b", 0])] },
  ]);
  const later = await world.sections(numbered(1), [
    { tenant: "t2", lines: lines(world, ["a", 0]) },
    { lines: lines(world, ["c", 0], ["c", 0]) },
  ]);
  const waits = await world.sections(numbered(2), [{ lines: lines(world, ["d", 0]) }]);
  await world.live("wrong");
  const store = await world.store;
  const { epoch, quarantined } = await world.state();
  assert.deepEqual(
    quarantined.map(({ tenant }) => tenant),
    ["t1"],
  );
  assert.equal(await store.release(epoch, "t1"), "ok");
  const retry = (sequence: number, part: number): FrameIdentity => ({
    kind: "retry",
    letter: { sequence, part, reason: "quarantined", lines: 2 },
  });
  await world.sections(retry(last, 4), [{ lines: lines(world, ["b", 0], ["b", 0]) }]);
  await world.live("wrong");
  await world.begin(t0, t0 + 10);
  await world.sections(retry(later, 1), [{ lines: lines(world, ["c", 0], ["c", 0]) }]);
  await world.live("right");
  assert.equal((await world.replay()).kind, "swapped");
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 10), ["a 0 1 1", "b 0 2 2", "c 0 2 2"]);
  assert.equal((await world.letters()).filter((each) => each.startsWith(`${waits} quarantined`)).length, 1);
});

test("R3: gauges stay as they are", async () => {
  const world = await ReplayWorld.start();
  const from = world.t0;
  await world.sections(numbered(0), [{ kind: "statsd", lines: ["g:5|g", "g:+2|g", "hits:1|c"] }]);
  await world.live("right");
  const before = await world.cells(world.engine, from, from + 60);
  await world.begin(from, from + 60);
  await world.sections(numbered(1), [{ kind: "statsd", lines: ["g:+1|g"] }]);
  await world.live("right");
  assert.equal((await world.replay()).kind, "swapped");
  const after = await world.cells(world.engine, from, from + 60);
  assert.ok(
    before.some((cell) => cell.includes("hits.rate 0")),
    before.join("\n"),
  );
  await world.readFresh();
  assert.deepEqual(after, await world.cells(world.fresh, from, from + 60));
});

test("R4: where the record does not hold what is needed any more, the replay is given up", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  for (let n = 0; n < 5; n++) await world.sections(numbered(n), [{ lines: lines(world, ["a", 0]) }]);
  await world.live("wrong");
  const before = await world.cells(world.engine, t0, t0 + 10);
  await world.begin(t0, t0 + 10);
  await world.bus.trim(0, 2);
  const ended = await world.replay();
  assert.ok(ended.kind === "given-up" && ended.why.includes("frames 1 to 2"), JSON.stringify(ended));
  await world.upkeep();
  assert.deepEqual((await world.state()).replays, []);
  assert.deepEqual(await world.cells(world.engine, t0, t0 + 10), before);
});

test("R6: a rate holds, and live that is behind goes first", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  const many = Array.from({ length: 60_000 }, (_, i): [string, number] => [
    `s${i % 6000}`,
    Math.floor(i / 6000),
  ]);
  for (let n = 0; n < 4; n++) await world.sections(numbered(n), [{ lines: lines(world, ...many) }]);
  await world.live("right");
  await world.begin(t0, t0 + 10);
  const slow = await world.job({ rate: 10_000 });
  await world.clock.pass(4000);
  assert.equal(slow.said.at(-1)?.framesDone, 1, "60,000 points take six seconds");
  await world.clock.pass(8500);
  assert.equal(slow.said.at(-1)?.framesDone, 3);
  slow.job.stop();
  await world.clock.pass(100);
  assert.deepEqual(slow.ended, { kind: "stopped" });

  await world.sections(numbered(4), [{ lines: lines(world, ["a", 0]) }]);
  await world.clock.pass(5000);
  const behind = await world.job();
  await world.clock.pass(5000);
  assert.equal(behind.said.at(-1)?.waitsFor, "live data, which is behind");
  await world.live("right");
  await world.clock.pass(3000);
  assert.equal(behind.said.at(-1)?.replay.state, "staged");
  behind.job.stop();
  await world.clock.pass(1000);
});

test("R7: what is away for a while kills nothing; an owner of later ends it", async () => {
  const world = await ReplayWorld.start();
  const { t0 } = world;
  await world.sections(numbered(0), [{ lines: lines(world, ["a", 0]) }]);
  await world.live("wrong");
  await world.begin(t0, t0 + 10);
  world.bus.disconnect();
  const running = await world.job();
  await world.clock.pass(600_000);
  assert.equal(running.ended, undefined);
  assert.equal(running.thrown, undefined);
  assert.match(running.said.at(-1)?.waitsFor ?? "", /^bus-/);
  world.bus.reconnect();
  await world.clock.pass(2000);
  assert.equal(running.said.at(-1)?.replay.state, "staged");
  await (await world.store).claim({ node: "n2", mapVersion: 2, instance: "j" });
  await world.upkeep();
  await world.clock.pass(2000);
  assert.deepEqual(running.ended, { kind: "fenced" });
});

/** A piece of a workload: frames of two tenants, copies of earlier ones, keyed ones. */
async function something(world: ReplayWorld, random: Random, sent: Sent): Promise<void> {
  const pick = (most: number) => Math.floor(random.next() * most);
  const point = () => lines(world, [`s${pick(6)}`, pick(60), 1 + pick(9)]);
  const sections = Array.from({ length: 1 + pick(3) }, (): SectionInput => {
    const tenant = random.next() < 0.7 ? "t1" : "t2";
    const many = Array.from({ length: 1 + pick(5) }, point).flat();
    if (random.next() < 0.2) many.push("no point at all");
    return random.next() < 0.15
      ? {
          tenant,
          kind: "statsd",
          lines: [`hits${pick(3)}:${1 + pick(5)}|c`, `g:${pick(2) === 0 ? "+" : ""}${pick(9)}|g`],
        }
      : { tenant, lines: many };
  });
  const copied = sent.frames[pick(sent.frames.length)];
  if (copied !== undefined && random.next() < 0.25) {
    await world.sections(copied.identity, copied.sections, copied.receivedAtMs);
    return;
  }
  const identity: FrameIdentity =
    random.next() < 0.2
      ? { kind: "keyed", id: new Uint8Array(16).fill(++sent.keyed) }
      : numbered(sent.n++, random.next() < 0.5 ? bootA : bootB);
  const receivedAtMs = world.clock.nowMs();
  sent.frames.push({ identity, sections, receivedAtMs });
  await world.sections(identity, sections, receivedAtMs);
}

interface Sent {
  frames: { identity: FrameIdentity; sections: SectionInput[]; receivedAtMs: number }[];
  n: number;
  keyed: number;
}

const seeds = Array.from({ length: 12 }, () => Math.floor(Math.random() * 1e9));
for (const seed of seeds)
  test(`R1, R2, R5: gaps, copies and deaths of the job at any moment (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const pick = (most: number) => Math.floor(random.next() * most);
    const world = await ReplayWorld.start();
    const { t0 } = world;
    const sent: Sent = { frames: [], n: 0, keyed: 0 };
    const some = async (count: number) => {
      for (let i = 0; i < count; i++) await something(world, random, sent);
    };
    await some(5 + pick(20));
    await world.live("wrong");
    const gaps = [];
    if (pick(2) === 0) {
      await some(1 + pick(8));
      gaps.push(await world.skip());
      await some(pick(10));
      await world.live("wrong");
    }
    const from = t0 + pick(4) * 10;
    const until = from + 10 + pick(3) * 10;
    const outside = await world.cells(world.engine, until, t0 + 100);
    await world.begin(from, until);
    await some(pick(10));
    await world.live("right");
    const late = await world.cells(world.engine, until, t0 + 100);
    const isFilledFirst = pick(2) === 0;
    if (isFilledFirst) for (const gap of gaps) await world.fill(gap);
    const dies = pick(2) === 0;
    const ended = await world.replay(() => ({
      openStore: world.failing(random, 0.2, dies),
      pieceRowsMost: 1 + pick(20),
    }));
    // A job that died behind the swap finds none.
    assert.ok(ended.kind === "swapped" || ended.kind === "over");
    if (!isFilledFirst) for (const gap of gaps) await world.fill(gap);
    await world.readFresh();
    const isGauge = (cell: string) => cell.startsWith("stats.gauges.");
    const rebuilt = await world.cells(world.engine, from, until);
    const expected = await world.cells(world.fresh, from, until);
    assert.deepEqual(
      rebuilt.filter((cell) => !isGauge(cell)),
      expected.filter((cell) => !isGauge(cell)),
    );
    assert.ok(outside.length <= late.length);
  });
