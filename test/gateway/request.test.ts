// Requests: what is answered, when, and that a keyed one is cut the same way at each try.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import type { PublishFault } from "../../src/bus/memory.ts";
import type { Verdict } from "../../src/gateway/request.ts";
import { nameOf, withGateway, type GatewayWorld } from "./world.ts";

function send(world: GatewayWorld, body: string, key?: string): Promise<Verdict> {
  const [batcher] = world.batchers;
  assert(batcher !== undefined);
  const { tenant } = world.members[0];
  return key === undefined
    ? world.acceptor.accept(tenant, batcher, Buffer.from(body))
    : world.acceptor.acceptKeyed(tenant, batcher, Buffer.from(body), key);
}

/** The verdict, and how much time it took in steps of 50 ms. */
async function within(
  world: GatewayWorld,
  answer: Promise<Verdict>,
  mostMs: number,
): Promise<[Verdict, number]> {
  let verdict: Verdict | undefined;
  void answer.then((said) => (verdict = said));
  for (let waited = 0; waited <= mostMs; waited += 50) {
    await world.clock.pass(waited === 0 ? 0 : 50);
    if (verdict !== undefined) return [verdict, waited];
  }
  throw new Error(`no answer within ${mostMs} ms`);
}

const good = "a 1\nb 2\n";

test("recorded is said when the record has it, with what was refused and where", async () => {
  await withGateway(async (world) => {
    const [verdict] = await within(world, send(world, "a 1\n\nx\nb 1 1000\nc 2"), 100);
    assert.deepEqual(verdict, {
      kind: "recorded",
      accepted: 2,
      refused: [
        { line: 3, reason: "malformed", text: "x" },
        { line: 4, reason: "too-old", text: "b 1 1000" },
      ],
      refusedCount: 2,
    });
    assert.deepEqual(await world.lines(0), ["a 1", "c 2"]);
    for (const key of [undefined, "k"]) {
      assert.equal((await within(world, send(world, "x\n", key), 100))[0].kind, "none-good");
      assert.deepEqual((await within(world, send(world, "", key), 100))[0], {
        kind: "none-good",
        refused: [],
        refusedCount: 0,
      });
    }
  });
});

test("R4: no key becomes a name, with an Idempotency-Key or without", async () => {
  await withGateway(async (world) => {
    const keys = [world.members[0].writeKey, world.members[1].writeKey];
    const body = `a 1\n${keys.map((key) => `${key}.b 1\n`).join("")}`;
    for (const key of [undefined, "k"]) {
      const [verdict] = await within(world, send(world, body, key), 100);
      assert(verdict.kind === "recorded");
      assert.equal(verdict.accepted, 1);
      assert.deepEqual(
        verdict.refused.map(({ line, reason, text }) => `${line} ${reason} ${text}`),
        ["2 bad-name b 1", "3 bad-name b 1"],
      );
    }
    assert.deepEqual(await world.lines(0), ["a 1", "a 1"]);
    assert.match(world.counters.text(), /lines_refused_total\{door="http",reason="bad-name"\} 4\n/);
  });
});

test("R2: what can't be admitted has recorded nothing: no bus, a stream that is full, no room", async () => {
  await withGateway(async (world) => {
    const none = async (why: RegExp) => {
      for (const key of [undefined, "k"]) {
        const [verdict, waited] = await within(world, send(world, good, key), 0);
        assert(verdict.kind === "not-recorded" && verdict.recorded === "none" && waited === 0);
        assert.match(verdict.why, why);
      }
    };
    world.own.disconnect();
    await none(/can't be reached/);
    world.own.reconnect();
    world.fault = () => "stream-full";
    void send(world, "first 1\n");
    await world.clock.pass(1000);
    await none(/is full/);
    world.fault = () => "none";
    await world.clock.pass(5000);
    world.fault = () => "lose-frame";
    void send(world, `${"x".repeat(900)} 1\n`.repeat(18_700));
    await world.clock.pass(1000);
    await none(/too much is waiting/);
    world.fault = () => "none";
    await world.clock.pass(5000);
    assert.equal((await world.lines(0)).filter((line) => line.startsWith("a ")).length, 0);
  });
});

test("a bus that is lost in the middle: unknown when no frame was answered, part when one was", async () => {
  await withGateway(async (world) => {
    world.fault = () => "lose-frame";
    const first = send(world, good);
    await world.clock.pass(100);
    world.own.disconnect();
    const [unknown, waited] = await within(world, first, 5000);
    assert.deepEqual(unknown, {
      kind: "not-recorded",
      recorded: "unknown",
      why: "the record can't be reached",
    });
    assert(waited >= 1900 && waited <= 2200, `${waited} ms`);
    world.fault = () => "none";
    world.own.reconnect();
    await world.clock.pass(5000);
    // The frame was begun, so it is recorded in the end (G1).
    assert.deepEqual(await world.lines(0), ["a 1", "b 2"]);

    for (const key of [undefined, "k"]) {
      let frames = 0;
      world.fault = () => (frames++ === 0 ? "none" : "lose-frame");
      const answer = send(world, `${"y".repeat(900)} 1\n`.repeat(600), key);
      await world.clock.pass(100);
      world.own.disconnect();
      const [verdict] = await within(world, answer, 5000);
      assert(verdict.kind === "not-recorded" && verdict.recorded === "part", JSON.stringify(verdict));
      world.fault = () => "none";
      world.own.reconnect();
      await world.clock.pass(5000);
    }
  });
});

test("a short loss of the bus is waited out; a record that never answers ends the wait after ten seconds", async () => {
  await withGateway(async (world) => {
    world.fault = () => "lose-frame";
    const first = send(world, good);
    await world.clock.pass(100);
    world.own.disconnect();
    await world.clock.pass(1500);
    world.fault = () => "none";
    world.own.reconnect();
    assert.equal((await within(world, first, 1000))[0].kind, "recorded");
    world.fault = () => "lose-frame";
    const [verdict, waited] = await within(world, send(world, good), 12_000);
    assert(verdict.kind === "not-recorded" && verdict.recorded === "unknown");
    assert(waited >= 9900 && waited <= 10_200, `${waited} ms`);
  });
});

test("R3: a keyed request makes the same frames at each try, whatever else the gateway does", async () => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  for (let round = 0; round < 12; round++)
    await withGateway(async (world) => {
      const body = Array.from({ length: 1 + random.below(1500) }, (_, n) =>
        random.next() < 0.1 ? "junk" : `m${n}.${"x".repeat(random.below(900))} ${n}`,
      ).join(random.next() < 0.5 ? "\n" : "\r\n");
      const seen: string[][] = [];
      for (let tries = 0; tries < 3; tries++) {
        const chance = random.next() * 0.4;
        world.fault = (): PublishFault =>
          random.next() < chance
            ? ((["lose-ack", "lose-frame"] as const)[random.below(2)] ?? "none")
            : "none";
        for (let other = random.below(4); other > 0; other--) void send(world, "other 1\n");
        const before = (await world.bus.streamState(0)).lastSequence;
        const [verdict] = await within(world, send(world, body, "key"), 15_000);
        assert.equal(verdict.kind, "recorded", `MILLRACE_SEED=${seed}`);
        await world.clock.pass(30_000); // beyond the duplicate window
        const frames = (await world.frames(0))
          .slice(before)
          .filter(({ identity }) => identity.kind === "keyed");
        const parts = new Map(
          frames.map((f) => [nameOf(f), Buffer.from(f.sections[0]?.lines ?? []).toString("base64")]),
        );
        seen.push([...parts].map(([name, lines]) => `${name} ${lines}`).sort());
      }
      assert(seen[0] !== undefined && seen[0].length > 0);
      assert.deepEqual([seen[1], seen[2]], [seen[0], seen[0]], `MILLRACE_SEED=${seed}`);
    });
});

test("ids differ by key, by body and by tenant", async () => {
  await withGateway(async (world) => {
    const [a, b] = world.members;
    const [batcher] = world.batchers;
    assert(batcher !== undefined);
    for (const tenant of [a.tenant, b.tenant])
      for (const key of ["k1", "k2"])
        for (const body of ["a 1\n", "a 2\n", "a 1"]) {
          const answer = world.acceptor.acceptKeyed(tenant, batcher, Buffer.from(body), key);
          await within(world, answer, 100);
        }
    assert.equal(new Set((await world.frames(0)).map(nameOf)).size, 12);
  });
});
