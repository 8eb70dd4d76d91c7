// Samples of refused lines and the list of unwanted senders: bounded, without keys, cheap under a flood.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../../src/base/counters.ts";
import { RefusedLines, refusedLinesMost } from "../../src/gateway/refused-lines.ts";
import { UnwantedSenders } from "../../src/gateway/unwanted-senders.ts";
import { hashKey, makeKey } from "../../src/tenant/keys.ts";
import { ManualClock } from "../harness/clock.ts";
import { random } from "../tenant/directory-world.ts";
import { withGateway } from "./world.ts";

test("the last lines of a tenant are kept, cut, in their order, and a flood keeps some of each second", async () => {
  const clock = new ManualClock();
  const lines = new RefusedLines(clock);
  const add = (text: string, tenant = "t") =>
    lines.add(tenant, "tcp", "bad-value", "10.0.0.1", Buffer.from(text), 0, Buffer.byteLength(text));
  for (let i = 0; i < refusedLinesMost + 7; i++) add(`a${i} x`);
  assert.deepEqual(
    lines.of("t").map(({ text }) => text),
    Array.from({ length: refusedLinesMost }, (_, i) => `a${i + 7} x`),
  );
  assert.deepEqual(lines.of("nobody"), []);
  add(`${"long".repeat(100)} x`, "u");
  assert.equal(lines.of("u")[0]?.text.length, 200);
  for (let i = 0; i < 10_000; i++) add(`flood${i}`, "f");
  const last = Number(/\d+/.exec(lines.of("f").at(-1)?.text ?? "")?.[0]);
  assert.ok(last < 1000, `of a second not all are kept: ${last}`);
  await clock.pass(1000);
  add("next second", "f");
  assert.equal(lines.of("f").at(-1)?.text, "next second");
});

test("a key in front of a line that needs none is not kept", () => {
  const lines = new RefusedLines(new ManualClock());
  const text = `${makeKey("write", random)}.web.cpu x`;
  lines.add("t", "http", "bad-value", "::1", Buffer.from(text), 0, text.length);
  assert.equal(lines.of("t")[0]?.text, "web.cpu x");
});

test("a key within a line, where its line end was lost, is painted over, whole or cut", () => {
  const key = makeKey("write", random);
  const f = (text: string, expected: string) => {
    const lines = new RefusedLines(new ManualClock());
    lines.add("t", "tcp", "malformed", "::1", Buffer.from(text), 0, text.length);
    assert.equal(lines.of("t")[0]?.text, expected);
  };
  f(`a 1 1700000000${key}.b 2 1700000000`, "a 1 1700000000(key).b 2 1700000000");
  f(`a ${key} ${key}:1|c`, "a (key) (key):1|c");
  f(`${"a".repeat(180)} ${key}.b 1`, `${"a".repeat(180)} (key)`);
  f(`a ${"b".repeat(190)}${key}.b 1`, `a ${"b".repeat(190)}(key)`);
  f("a.wherever.raw 1", "a.wherever.raw 1");
});

test("unwanted senders: by key, address and door; rates fall when they are silent; keys are never there", async () => {
  const clock = new ManualClock();
  const counters = new Counters();
  const senders = new UnwantedSenders(clock, counters);
  const key = makeKey("write", random);
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 50; i++) senders.add(key, undefined, "unknown-key", "10.0.0.1", "tcp");
    senders.add("gone", "id", "tenant-deleted", "10.0.0.2", "udp");
    await clock.pass(1000);
  }
  const list = senders.list();
  assert.deepEqual(
    list.map(({ keyHash, tenant, reason, address, door, lines }) => [
      keyHash,
      tenant,
      reason,
      address,
      door,
      lines,
    ]),
    [
      [hashKey(key).slice(0, 12), undefined, "unknown-key", "10.0.0.1", "tcp", 1000],
      [hashKey("gone").slice(0, 12), "id", "tenant-deleted", "10.0.0.2", "udp", 20],
    ],
  );
  assert.ok(Math.abs((list[0]?.rate ?? 0) - 50) < 5, `about 50 a second: ${list[0]?.rate}`);
  assert.ok(!JSON.stringify(list).includes(key));
  await clock.pass(60_000);
  assert.ok((senders.list()[0]?.rate ?? 99) < 1, "silent since a minute");
  // Made-up keys: what finds no room in a second is counted.
  for (let i = 0; i < 5000; i++) senders.add(`made-up-${i}`, undefined, "unknown-key", "10.0.0.3", "tcp");
  assert.match(counters.text(), /gateway_unwanted_lines_unlisted_total 4000/);
  await clock.pass(3_600_000 - 60_001);
  senders.add("gone", "id", "tenant-deleted", "10.0.0.2", "udp");
  assert.ok(senders.list().length > 1000);
  await clock.pass(62_000);
  assert.deepEqual(
    senders.list().map(({ address, lines }) => [address, lines]),
    [["10.0.0.2", 21]],
    "who was silent for an hour is gone",
  );
});

test("from a tenant's own address a known key in front says whose the line is, and is not stored", () =>
  withGateway(async (world) => {
    const [own, other] = world.members;
    world.directory.byAddress = () => own.tenant;
    Object.defineProperty(world.directory, "hasAddresses", { value: true });
    const sink = world.sink();
    const wait = sink.take(
      Buffer.from(
        `plain.name 1\n${own.writeKey}.keyed.name 2\n${other.writeKey}.others.name 3\n${own.writeKey}.bad x\n`,
      ),
    );
    assert.equal(wait, undefined);
    await world.clock.pass(100);
    assert.deepEqual(await world.lines(0), ["keyed.name 2", "plain.name 1"]);
    assert.deepEqual(await world.lines(1), ["others.name 3"]);
  }));
