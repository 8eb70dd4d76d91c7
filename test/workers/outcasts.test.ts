// Tenants that are not aggregated: quarantined for their poison, or deleted; and dead letters that come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FrameIdentity } from "../../src/metric/frame.ts";
import { Outage } from "../../src/base/errors.ts";
import type { DeadLetter, Snapshot } from "../../src/store/store.ts";
import { Outcasts, quarantinedBytesMax } from "../../workers/outcasts.ts";
import {
  countPoison,
  poisonLettersOf,
  poisonLinesPerMinuteMax,
  poisonOpenMost,
  whyQuarantined,
} from "../../workers/poison.ts";
import { claimed, commitOf, committed } from "../contract/store-helpers.ts";
import { replaced } from "../harness/replaced.ts";
import { bad, PoisonWorld } from "./poison-world.ts";

const throws = () => false;

/** Three poison lines of t1, in frames so far apart; t2 in the same frames; then lines of both. */
async function poisoned(apartMs: number): Promise<PoisonWorld> {
  const world = await PoisonWorld.start();
  const now = world.clock.nowMs();
  for (let n = 0; n < 3; n++) {
    const sections = [
      { tenant: "t1", lines: [bad, "a 1"] },
      { tenant: "t2", lines: ["a 1"] },
    ];
    await world.record(world.sections(sections, n, now + n * apartMs));
  }
  const later = [
    { tenant: "t2", lines: ["a 1"] },
    { tenant: "t1", door: "statsd", kind: "statsd", lines: ["g:1|c", "millrace-fault.throw.y:1|c"] } as const,
    { tenant: "t2", lines: ["a 1"] },
  ];
  await world.record(world.sections(later, 3, now + 3 * apartMs));
  await world.survive(throws);
  return world;
}

async function letterOf(world: PoisonWorld, sequence: number, part: number): Promise<DeadLetter> {
  const letters = await world.snapshot((snapshot) => snapshot.dead(1000));
  const letter = letters.find((one) => one.sequence === sequence && one.part === part);
  assert(letter !== undefined, `letter ${sequence}/${part}`);
  return letter;
}

/** As an operator retries a letter: its lines, edited perhaps. */
async function retry(world: PoisonWorld, letter: DeadLetter, lines?: readonly string[]): Promise<void> {
  const { sequence, part, reason, lines: count, tenant, door, kind, receivedAtMs } = letter;
  const identity: FrameIdentity = { kind: "retry", letter: { sequence, part, reason, lines: count } };
  const text = Buffer.from(letter.bytes).toString().replace(/\n$/, "").split("\n");
  const section = { tenant, door: door as "tcp", kind, lines: lines ?? text };
  await world.record(world.sections([section], identity, receivedAtMs));
}

test("a tenant with three poison lines within ten minutes is quarantined: its sections wait whole; others flow", async () => {
  const world = await poisoned(60_000);
  assert.deepEqual(await world.places(), [
    `1/0 poison ${bad}`,
    `2/0 poison ${bad}`,
    `3/0 poison ${bad}`,
    "3/1 quarantined a 1",
    "4/1 quarantined g:1|c\nmillrace-fault.throw.y:1|c",
  ]);
  const { kind, door, lines, detail } = await letterOf(world, 4, 1);
  assert.deepEqual([kind, door, lines], ["statsd", "statsd", 2]);
  assert.match(detail, /3 of its lines poisoned within 10 minutes/);
  assert.deepEqual(await world.books(), [
    "statsd dead quarantined 2",
    "tcp dead poison 3",
    "tcp dead quarantined 1",
    "tcp stored 2",
  ]);
  assert.deepEqual(await world.books("t2"), ["tcp stored 5"]);
  const { quarantined } = await world.state();
  assert.deepEqual(
    quarantined.map(({ tenant }) => tenant),
    ["t1"],
  );
  // It lasts: the next life buries too.
  await world.record(world.frame(["a 1"], { n: 4 }));
  await world.survive(throws);
  assert.equal((await letterOf(world, 5, 0)).reason, "quarantined");
});

test("poison lines that were received further apart quarantine nobody", async () => {
  const world = await poisoned(301_000);
  const { quarantined } = await world.state();
  assert.deepEqual(quarantined, []);
  assert.deepEqual(await world.books("t2"), ["tcp stored 5"]);
});

test("what waits of a quarantined tenant is bounded; what comes then is refused", () => {
  const bytes = quarantinedBytesMax - 100;
  const outcasts = new Outcasts({
    purging: [],
    quarantined: [{ tenant: "q", sinceMs: 1, why: "why", bytes }],
  });
  const f = (tenant: string, size: number, expected: string) => {
    const verdict = outcasts.judge(tenant, size);
    assert.equal(verdict.kind === "refused" ? verdict.reason : verdict.kind, expected);
  };
  f("other", 1, "taken");
  f("q", 60, "buried");
  f("q", 60, "quarantined");
  f("q", 40, "buried");
  f("q", 1, "quarantined");
  outcasts.release("q");
  f("q", 1, "taken");
  outcasts.quarantine({ tenant: "q", sinceMs: 2, why: "again" });
  f("q", 1, "buried");
  assert.equal(outcasts.added().length, 1);
  outcasts.purge("q");
  f("q", 1, "tenant-deleted");
});

test("a released tenant's letters come back, each once, and the books say stored instead of dead", async () => {
  const world = await poisoned(1000);
  const store = await world.engine.openShard(0);
  const { epoch } = await world.state();
  assert.equal(await store.release(epoch, "t1"), "ok");
  for (const [sequence, part] of [
    [3, 1],
    [4, 1],
  ] as const) {
    const letter = await letterOf(world, sequence, part);
    await retry(world, letter, letter.lines === 2 ? ["g:1|c", "h:1|c"] : undefined);
    await retry(world, letter); // by another operator, or sent twice: the first one counts
  }
  await world.survive(throws);
  await retry(world, await letterOf(world, 1, 0), ["b 1"]);
  await world.survive(throws);
  assert.deepEqual(await world.places(), [`2/0 poison ${bad}`, `3/0 poison ${bad}`]);
  assert.deepEqual(await world.books(), ["statsd stored 2", "tcp dead poison 2", "tcp stored 4"]);
  assert.deepEqual(await world.sums(), ["a 3 3", "b 1 1"]);
});

test("an edit that makes a letter's lines more, or fewer, changes what was received", async () => {
  const world = await PoisonWorld.start();
  await world.record(world.frame(["junk", "more junk"]));
  await world.survive(throws);
  await retry(world, await letterOf(world, 1, 0), ["a 1", "b 1", "c 1"]);
  const removed = await letterOf(world, 1, 1);
  await retry(world, removed, []);
  await retry(world, removed, ["b 2"]); // two operators at once: the first one's counts
  await world.survive(throws);
  await retry(world, removed, ["b 3"]);
  await world.survive(throws);
  assert.equal(world.deaths, 0);
  assert.deepEqual(await world.sums(), ["a 1 1", "b 1 1", "c 1 1"]);
  assert.deepEqual(await world.books(), ["tcp stored 3"]); // and it balances
  assert.deepEqual(await world.places(), []);
});

test("a retried letter that poisons again is a new letter; the old one is closed", async () => {
  for (const dies of [throws, () => true]) {
    const world = await PoisonWorld.start();
    await world.record(world.frame(["a 1", bad]));
    await world.survive(dies);
    await retry(world, await letterOf(world, 1, 1), ["a 1", bad, "a 1"]);
    await world.survive(dies);
    assert.deepEqual(await world.places(), [`2/1 poison ${bad}`]);
    assert.deepEqual(await world.books(), ["tcp dead poison 1", "tcp stored 3"]);
    assert.deepEqual(await world.sums(), ["a 3 3"]);
  }
});

test("lines of a tenant with a tombstone are refused and counted, never ingested", async () => {
  const world = await PoisonWorld.start();
  const store = await world.engine.openShard(0);
  const claim = await store.claim({ node: "n1", mapVersion: 1, instance: "i" });
  assert(claim.kind === "claimed");
  await store.bury(claim.state.epoch, "t1");
  await store.settled(claim.state.epoch, "live");
  await world.record(world.frame(["a 1", bad, "a 1"]));
  await world.record(world.frame(["a 1"], { n: 1, tenant: "t2" }));
  await world.survive(throws);
  assert.equal(world.deaths, 0);
  assert.deepEqual(await world.books(), ["tcp refused tenant-deleted 3"]);
  assert.deepEqual(await world.sums(), []);
  assert.deepEqual(await world.sums("t2"), ["a 1 1"]);
});

test("more than 100 poison lines within a minute: the shard has failed, and nothing more is buried", async () => {
  const world = await PoisonWorld.start();
  // Of many tenants: one alone would be quarantined.
  const sections = Array.from({ length: 51 }, (_, i) => ({ tenant: `t${i}`, lines: [bad, bad, "a 1"] }));
  await world.record(world.sections(sections, 0));
  const running = await world.survive(throws);
  const ended = await running.ended;
  assert(ended.kind === "failed", JSON.stringify(ended));
  assert.equal(ended.code, "poison-flood");
  assert.match(ended.why, /more than 100 lines poisoned within a minute.*a fault that was asked for/);
  assert.equal((await world.places()).length, poisonLinesPerMinuteMax);
  // A minute later, restarted by a person, it goes on where it stood.
  await world.clock.pass(60_000);
  await world.survive(throws);
  assert.equal((await world.places()).length, 102);
  assert.deepEqual(await world.books("t50"), ["tcp dead poison 2", "tcp stored 1"]);
});

test("who has too many open poison letters is quarantined for that; no more of them are looked at", async () => {
  const f = async (open: number, expected: RegExp) => {
    const world = await PoisonWorld.start();
    const store = await world.engine.openShard(0);
    const { epoch } = await claimed(store);
    const dead = Array.from({ length: open }, (_, part) => poisonLetter(part, 0));
    await committed(store, commitOf(epoch, 0, 1, { dead }));
    let looked = 0;
    const letters = poisonLettersOf(async () => {
      const reader = await world.engine.openReader(0);
      const snapshot = await reader.snapshot();
      const dead: typeof snapshot.dead = async (...asked) => {
        const page = (await snapshot.dead(...asked)).slice(0, 300);
        looked += page.length;
        return page;
      };
      return replaced(reader, { snapshot: async () => replaced(snapshot, { dead }) });
    });
    assert.match(await whyQuarantined(letters, "t1", 1e9), expected);
    assert.equal(looked, Math.min(open, poisonOpenMost));
  };
  await f(2, /^$/);
  await f(poisonOpenMost - 1, /^$/);
  await f(poisonOpenMost + 50, /^1000 of its poison lines are open/);
});

test("a read of poison letters that fails leaves nothing open", async () => {
  const open = new Set<string>();
  const letters = poisonLettersOf(async () => {
    open.add("reader");
    return {
      snapshot: async () => {
        open.add("snapshot");
        const dead = () => Promise.reject(new Outage("store-unavailable", "as the test wished"));
        return { dead, close: () => open.delete("snapshot") } as Partial<Snapshot> as Snapshot;
      },
      close: async () => void open.delete("reader"),
    };
  });
  await assert.rejects(letters("t1", 9), /as the test wished/);
  assert.deepEqual([...open], []);
});

function poisonLetter(part: number, receivedAtMs: number): DeadLetter {
  const words = { tenant: "t1", door: "tcp", kind: "plaintext", reason: "poison", detail: "" } as const;
  return { sequence: 1, part, lines: 1, receivedAtMs, bytes: Buffer.from(bad), ...words };
}

test("poison is counted by the minute", () => {
  const f = (since: number, lines: number, now: number, expected: [number, number, boolean]) => {
    const { poison, why } = countPoison({ sinceMs: since, lines }, now);
    assert.deepEqual([poison.sinceMs, poison.lines, why !== ""], expected);
  };
  f(0, 0, 1000, [0, 1, false]);
  f(0, 0, 100_000, [100_000, 1, false]);
  f(5000, 99, 64_999, [5000, 100, false]);
  f(5000, 100, 64_999, [5000, 101, true]);
  f(5000, 100, 65_000, [65_000, 1, false]);
  f(5000, 100, 4000, [4000, 1, false]); // a clock that was set back
});
