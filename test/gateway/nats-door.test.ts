// The NATS door on the memory bus: what is answered, what is recorded, who may.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pack } from "msgpackr";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { changeTenant } from "../../src/tenant/admin.ts";
import { until } from "../tenant/directory-world.ts";
import { withDoors, type Doors } from "./open-doors.ts";

type Body = Record<string, unknown>;

/** Sends as a client would that waits for the answer. */
function ask(
  doors: Doors,
  tenant: string,
  data: string | Uint8Array,
  headers: Record<string, string>,
): Promise<Body> {
  return new Promise((resolve) => {
    doors.bus.send(`millrace.ingest.${tenant}`, Buffer.from(data), {
      headers,
      reply: (answer) => resolve(JSON.parse(Buffer.from(answer).toString()) as Body),
    });
  });
}

test("P1: answered when the record has it; lines, JSON and msgpack are the same", () =>
  withDoors({}, async (doors) => {
    const [{ tenant, writeKey }] = doors.members;
    const key = { "Millrace-Key": writeKey };
    const f = async (data: string | Uint8Array, headers: Record<string, string>, expected: Body) =>
      assert.deepEqual(await ask(doors, tenant.name, data, { ...key, ...headers }), expected);
    await f(
      "a 1\nb 2 1700000000\n",
      {},
      { accepted: 1, refused: [{ line: 2, reason: "too-old", text: "b 2 1700000000" }] },
    );
    await f("c 3", {}, { accepted: 1, refused: [] });
    const json = { "Content-Type": "application/json" };
    await f('[{"name":"d","value":4,"tags":{"k":"v"}}]', json, { accepted: 1, refused: [] });
    await f(pack([["e", 5], { name: "f", value: 0.1, tags: { k: "v" } }]), {}, { accepted: 2, refused: [] });
    await f(pack({ name: "g", value: 7 }), {}, { accepted: 1, refused: [] });
    await f(
      pack([["h", 8], ["no value"]]),
      {},
      {
        accepted: 1,
        refused: [
          {
            line: 2,
            reason: "malformed",
            text: '["no value"]',
            hint: "a point is [name, value] or [name, value, time]",
          },
        ],
      },
    );
    await f(
      "nothing good\n",
      {},
      {
        accepted: 0,
        refused: [{ line: 1, reason: "bad-value", text: "nothing good" }],
        code: 400,
      },
    );
    await f("", {}, { accepted: 0, refused: [], error: "no lines", code: 400 });
    await f(
      "a 1",
      { "Idempotency-Key": "x".repeat(256) },
      {
        error: "Idempotency-Key must have 1 to 255 characters",
        code: 400,
      },
    );
    assert.deepEqual(await doors.lines(0), ["a 1", "c 3", "d;k=v 4", "e 5", "f;k=v 0.1", "g 7", "h 8"]);
    assert.ok((await doors.frames(0)).every((frame) => frame.sections.every(({ door }) => door === "nats")));
  }));

test("a keyed message counts once however often it is sent; a plain publish is taken, and nobody is told", () =>
  withDoors({}, async (doors) => {
    const [{ tenant, writeKey }] = doors.members;
    const headers = { "Millrace-Key": writeKey, "Idempotency-Key": "one" };
    for (let i = 0; i < 3; i++)
      assert.deepEqual(await ask(doors, tenant.name, "k 1\n", headers), { accepted: 1, refused: [] });
    doors.bus.send(`millrace.ingest.${tenant.name}`, Buffer.from("p 1\n"), {
      headers: { "Millrace-Key": writeKey },
    });
    await ask(doors, tenant.name, "q 1\n", { "Millrace-Key": writeKey });
    assert.deepEqual(await doors.lines(0), ["k 1", "p 1", "q 1"]);
  }));

test("who may: a write key of the tenant that the subject names", () =>
  withDoors({}, async (doors) => {
    const [own, other] = doors.members;
    const f = async (tenant: string, headers: Record<string, string>, code: number, error: RegExp) => {
      const answer = await ask(doors, tenant, "a 1\n", headers);
      assert.deepEqual([answer["code"], "accepted" in answer], [code, false], JSON.stringify(answer));
      assert.match(String(answer["error"]), error);
    };
    const { name } = own.tenant;
    await f(name, {}, 401, /Millrace-Key/);
    await f(name, { "Millrace-Key": "nobody" }, 401, /unknown key/);
    await f(name, { "Millrace-Key": own.readKey }, 403, /key-not-for-writing/);
    await f(name, { "Millrace-Key": other.writeKey }, 403, /subject/);
    await f("nobody.here", { "Millrace-Key": own.writeKey }, 403, /subject/);
    assert.deepEqual([await doors.lines(0), await doors.lines(1)], [[], []]);
  }));

test("with MILLRACE_NATS_INGEST=subject the subject is proof; deleted and unknown tenants are told apart", () =>
  withDoors({ MILLRACE_NATS_INGEST: "subject" }, async (doors) => {
    const [own, other] = doors.members;
    assert.deepEqual(await ask(doors, own.tenant.name, "a 1\n", {}), { accepted: 1, refused: [] });
    assert.equal((await ask(doors, "nobody", "a 1\n", {}))["code"], 401);
    const kv = await doors.bus.kv(tenantsBucket);
    await changeTenant(kv, other.tenant.id, (tenant) => ({ ...tenant, state: "deleted" }));
    await until(doors.directory, () => doors.directory.byName(other.tenant.name) === undefined);
    assert.equal((await ask(doors, other.tenant.name, "a 1\n", {}))["code"], 410);
    assert.deepEqual([await doors.lines(0), await doors.lines(1)], [["a 1"], []]);
  }));

test("while the record can't be reached it is 503, and never a yes", () =>
  withDoors({}, async (doors) => {
    const [{ tenant, writeKey }] = doors.members;
    doors.fault = () => "lose-frame";
    const answer = ask(doors, tenant.name, "a 1\n", { "Millrace-Key": writeKey });
    const said = await Promise.race([
      answer,
      new Promise((resolve) => setTimeout(resolve, 300, "no answer yet")),
    ]);
    assert.equal(said, "no answer yet");
    doors.fault = () => "none";
    assert.deepEqual(await answer, { accepted: 1, refused: [] });
    doors.fault = () => "stream-full";
    const full = await ask(doors, tenant.name, "b 1\n", { "Millrace-Key": writeKey });
    assert.deepEqual([full["code"], full["retryAfterMs"]], [503, 1000]);
    doors.fault = () => "none";
  }));

test("off is off", () =>
  withDoors({ MILLRACE_NATS_INGEST: "off" }, async (doors) => {
    const [{ tenant, writeKey }] = doors.members;
    doors.bus.send(`millrace.ingest.${tenant.name}`, Buffer.from("a 1\n"), {
      headers: { "Millrace-Key": writeKey },
      reply: () => assert.fail("nobody listens"),
    });
    await doors.post(writeKey, "b 1\n");
    assert.deepEqual(await doors.lines(0), ["b 1"]);
  }));

test("N3: what one message may cost is bounded, and one tenant's messages leave room for others", () =>
  withDoors({}, async (doors) => {
    const [own, other] = doors.members;
    const key = { "Millrace-Key": own.writeKey };
    const { name } = own.tenant;
    // A header that claims what is not there, and as many worthless elements as fit.
    const claimed = Buffer.alloc(200_000, 0xc0);
    claimed.set([0xdd, 0x00, 0x7f, 0xfd, 0x80]);
    assert.equal((await ask(doors, name, claimed, key))["code"], 400);
    const worthless = Buffer.alloc(800_000, 0x93);
    for (let at = 5; at + 4 <= worthless.length; at += 4) worthless.set([0x93, 0xc0, 0xc0, 0xc0], at);
    const count = Math.floor((worthless.length - 5) / 4);
    worthless.set([0xdd, count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255]);
    const answer = await ask(doors, name, worthless.subarray(0, 5 + count * 4), key);
    assert.deepEqual([answer["accepted"], answer["refusedCount"]], [0, count]);
    assert.equal((answer["refused"] as unknown[]).length, 1000);
    assert.equal((await ask(doors, name, Buffer.alloc((1 << 20) + 1, 0x61), key))["code"], 413);

    doors.fault = (shard) => (shard === 0 ? "lose-frame" : "none");
    const waiting = Array.from({ length: 300 }, () => ask(doors, name, "w 1\n", key));
    const refused = await Promise.race(waiting);
    assert.deepEqual([refused["code"], refused["error"]], [503, "too many messages are in work"]);
    const others = await ask(doors, other.tenant.name, "o 1\n", { "Millrace-Key": other.writeKey });
    assert.deepEqual(others, { accepted: 1, refused: [] });
    doors.fault = () => "none";
    await Promise.all(waiting);
  }));

test("an inbox with a tenant's id gets answers to that tenant only", () =>
  withDoors({}, async (doors) => {
    const [own, other] = doors.members;
    const send = (replyTo: string) =>
      new Promise<boolean>((resolve) => {
        doors.bus.send(`millrace.ingest.${own.tenant.name}`, Buffer.from("a 1\n"), {
          headers: { "Millrace-Key": own.writeKey },
          reply: () => resolve(true),
          replyTo,
        });
        void ask(doors, own.tenant.name, "b 1\n", { "Millrace-Key": own.writeKey }).then(() =>
          resolve(false),
        );
      });
    assert.equal(await send(`_INBOX_${own.tenant.id}.x`), true);
    assert.equal(await send("_INBOX.x"), true);
    assert.equal(await send(`_INBOX_${other.tenant.id}.x`), false);
  }));
