// Tenants that may not send any more, on every door: refused with their reason, booked, listed; nothing of them recorded.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { findRoot } from "../../bin/setup/root.mjs";
import { gatewayControlSubject, tenantsBucket } from "../../src/bus/subjects.ts";
import { decodeGatewayAnswer } from "../../src/gateway/questions.ts";
import type { UnwantedSender } from "../../src/gateway/unwanted-senders.ts";
import { changeTenant, removeKey } from "../../src/tenant/admin.ts";
import { hashKey } from "../../src/tenant/keys.ts";
import type { TenantState } from "../../src/tenant/tenant.ts";
import { eventually } from "../harness/system.ts";
import { until } from "../tenant/directory-world.ts";
import { withDoors, type Doors } from "./open-doors.ts";

const tlsFiles = join(findRoot(import.meta.url) ?? "", "test", "fixtures", "tls");
const env = {
  MILLRACE_TLS_LISTEN: "127.0.0.1:0",
  MILLRACE_TLS_CERT: join(tlsFiles, "first.pem"),
  MILLRACE_TLS_KEY: join(tlsFiles, "first.key.pem"),
};
const rawDoors = ["tcp", "tls", "udp", "pickle", "statsd"] as const;
const linesEach = 3;

/** A way to send `linesEach` lines under a key, on something that stays open. */
type Sender = (key: string) => Promise<void>;

async function senders(doors: Doors): Promise<Record<(typeof rawDoors)[number], Sender>> {
  const port = (door: string) => doors.gateway.addresses[door]?.port ?? 0;
  const names = Array.from({ length: linesEach }, (_, i) => `m${i}`);
  const text = (key: string) => names.map((name) => `${key}.${name} 1\n`).join("");
  const stream = (socket: Socket, encode: (key: string) => string | Buffer) => async (key: string) =>
    void socket.write(encode(key));
  const datagram = (door: string, encode: (key: string) => string) => async (key: string) => {
    const socket = createSocket("udp4");
    await new Promise((resolve) => socket.send(encode(key), port(door), "127.0.0.1", resolve));
    socket.close();
  };
  const pickled = (key: string) => {
    const seconds = Math.floor(Date.now() / 1000);
    const body = `(l${names.map((name) => `(S'${key}.${name}'\n(I${seconds}\nF1.0\ntta`).join("")}.`;
    const message = Buffer.from(`0000${body}`, "latin1");
    message.writeUInt32BE(message.length - 4);
    return message;
  };
  const pickle = connect(port("pickle"), "127.0.0.1");
  const tls = connectTls({ port: port("tls"), host: "127.0.0.1", rejectUnauthorized: false });
  await Promise.all([once(pickle, "connect"), once(tls, "secureConnect")]);
  return {
    tcp: stream(await doors.dial(), text),
    tls: stream(tls, text),
    udp: datagram("udp", text),
    pickle: stream(pickle, pickled),
    statsd: datagram("statsd", (key) => names.map((name) => `${key}.${name}:1|c`).join("\n")),
  };
}

/** What the books of shard 0 say was refused, by door and reason. */
async function booked(doors: Doors): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const { door, reason, count } of (await doors.frames(0)).flatMap(({ refusals }) => refusals))
    sums.set(`${door} ${reason}`, (sums.get(`${door} ${reason}`) ?? 0) + count);
  return sums;
}

async function stored(doors: Doors): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const { door, lineCount } of (await doors.frames(0)).flatMap(({ sections }) => sections))
    sums.set(door, (sums.get(door) ?? 0) + lineCount);
  return sums;
}

async function listed(doors: Doors): Promise<UnwantedSender[]> {
  const question = Buffer.from(JSON.stringify({ kind: "unwanted-senders" }));
  const [payload] = await doors.bus.ask(gatewayControlSubject, question, 1000, () => true);
  const answer = decodeGatewayAnswer(payload ?? new Uint8Array());
  assert.ok(answer?.kind === "unwanted-senders");
  return answer.senders;
}

function overNats(doors: Doors, key: string, tenant: string): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const reply = (data: Uint8Array) => resolve(JSON.parse(Buffer.from(data).toString()));
    const headers = { "Millrace-Key": key };
    doors.bus.send(`millrace.ingest.${tenant}`, Buffer.from("m 1\nm 2\nm 3\n"), { headers, reply });
  });
}

async function setState(doors: Doors, state: TenantState): Promise<void> {
  const { id } = doors.members[0].tenant;
  await changeTenant(await doors.bus.kv(tenantsBucket), id, (tenant) => ({ ...tenant, state }));
  await until(doors.directory, () => doors.directory.byId(id)?.state === state);
}

test("on every door, open connections included: suspended, deleted, purging, and back", () =>
  withDoors(env, async (doors) => {
    const { tenant, writeKey } = doors.members[0];
    const send = await senders(doors);
    const sent = new Map<string, number>();
    /** Sends on every door; `counted` is where a raw door's lines must turn up. */
    const f = async (state: TenantState, status: number, reason: string) => {
      await setState(doors, state);
      for (const door of rawDoors) {
        const key = `${door} ${reason}`;
        sent.set(key, (sent.get(key) ?? 0) + linesEach);
        await send[door](writeKey);
      }
      const [http, body] = await doors.post(writeKey, "m 1\nm 2\nm 3\n");
      const nats = await overNats(doors, writeKey, tenant.name);
      assert.equal(http, status, JSON.stringify(body));
      assert.equal(nats["code"] ?? 202, status, JSON.stringify(nats));
      if (status === 202) return;
      assert.deepEqual([body["error"], nats["error"]], [reason, reason]);
      assert.match(String(body["hint"]), /^this account is /);
    };
    await f("active", 202, "ok");
    await f("suspended", 403, "tenant-suspended");
    await f("deleted", 410, "tenant-deleted");
    await f("purging", 410, "tenant-deleted");
    await f("active", 202, "ok");

    await eventually("every raw line in the books", async () => {
      const [took, refused] = [await stored(doors), await booked(doors)];
      return [...sent].every(([key, count]) => {
        const [door = "", reason] = key.split(" ");
        return (reason === "ok" ? took.get(door) : refused.get(key)) === count;
      });
    });
    assert.deepEqual([(await stored(doors)).get("http"), (await stored(doors)).get("nats")], [6, 6]);
    const hash = hashKey(writeKey).slice(0, 12);
    const seen = (await listed(doors)).filter(({ reason }) => reason === "tenant-deleted");
    assert.deepEqual(
      seen.map((sender) => `${sender.door} ${sender.tenant} ${sender.keyHash}`).toSorted(),
      ["http", "nats", ...rawDoors].map((door) => `${door} ${tenant.id} ${hash}`).toSorted(),
    );
  }));

test("a key that was taken away opens no door any more", () =>
  withDoors(env, async (doors) => {
    const { tenant, writeKey } = doors.members[0];
    const kv = await doors.bus.kv(tenantsBucket);
    const send = await senders(doors);
    await removeKey(kv, tenant.id, hashKey(writeKey));
    await until(doors.directory, () => doors.directory.lookupKey(writeKey).kind === "unknown");
    for (const door of rawDoors) await send[door](writeKey);
    assert.equal((await doors.post(writeKey, "m 1\n"))[0], 401);
    assert.equal((await overNats(doors, writeKey, tenant.name))["code"], 401);
    await eventually("every raw line refused", async () =>
      rawDoors.every((door) =>
        doors.counters
          .text()
          .includes(`gateway_lines_refused_total{door="${door}",reason="unknown-key"} ${linesEach}\n`),
      ),
    );
    assert.equal((await stored(doors)).size, 0);
  }));

/** Posts the first part, then, when the door reads the body and `meanwhile` is over, the second. */
async function postInTwo(
  doors: Doors,
  headers: Record<string, string | number>,
  [first, second]: [string, string],
  meanwhile: () => Promise<void>,
): Promise<[number, Record<string, unknown>]> {
  const sending = request({
    port: doors.gateway.addresses["http"]?.port,
    host: "127.0.0.1",
    method: "POST",
    path: "/api/v1/sink",
    headers: { Authorization: `Bearer ${doors.members[0].writeKey}`, Expect: "100-continue", ...headers },
  });
  sending.flushHeaders();
  await once(sending, "continue");
  sending.write(first);
  await meanwhile();
  sending.end(second);
  const [response] = (await once(sending, "response")) as [IncomingMessage];
  const text = Buffer.concat(await response.toArray()).toString();
  return [response.statusCode ?? 0, JSON.parse(text)];
}

test("HTTP: a body that is on its way when its tenant is deleted is cut there, however it comes", () =>
  withDoors({}, async (doors) => {
    const f = async (headers: Record<string, string | number>, first: string, isPart: boolean) => {
      await setState(doors, "active");
      const before = (await stored(doors)).get("http") ?? 0;
      const taken = async () => ((await stored(doors)).get("http") ?? 0) - before;
      const [status, body] = await postInTwo(doors, headers, [first, "late 1\n"], async () => {
        if (isPart) await eventually("a piece is recorded", async () => (await taken()) > 0);
        await setState(doors, "deleted");
      });
      const { accepted, error, recorded } = body;
      assert.deepEqual([status, error, recorded], [410, "tenant-deleted", isPart ? "part" : "none"]);
      assert.equal(await taken(), accepted ?? 0);
    };
    await f({ "Content-Length": 15 }, "early 1\n", false);
    await f({ "Content-Length": 15, "Idempotency-Key": "k" }, "early 1\n", false);
    await f({ "Transfer-Encoding": "chunked" }, "early 1\n".repeat(140_000), true);
  }));
