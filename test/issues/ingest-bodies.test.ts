// The HTTP door and bodies that are not plain lines of a known sender: found by trying to break the running system.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import { readSettings } from "../../src/config/settings.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { anyPorts } from "../gateway/world.ts";
import { follow, random, withWorld } from "../tenant/directory-world.ts";

interface Door {
  port: number;
  tcpPort: number;
  key: string;
  metrics(): string;
}

async function withDoor(body: (door: Door) => Promise<void>): Promise<void> {
  await withWorld(async (world) => {
    const settings = readSettings({
      MILLRACE_HOME: world.folder,
      MILLRACE_SHARDS: "1",
      MILLRACE_HTTP_BODY_MB: "1",
      ...anyPorts,
    });
    await world.bus.ensureStream(0, { bytesMax: 1e9, duplicateWindowMs: 1000 });
    const { writeKey } = await world.add("t1");
    const directory = await world.open();
    await follow(directory, world.bus);
    const gateway = await openGateway({
      settings,
      bus: world.bus,
      directory,
      clock: systemClock,
      random,
      counters: world.counters,
      log: makeLog("gateway", "error"),
    });
    try {
      await body({
        port: gateway.addresses["http"]?.port ?? 0,
        tcpPort: gateway.addresses["tcp"]?.port ?? 0,
        key: writeKey,
        metrics: () => world.counters.text(),
      });
    } finally {
      await gateway.close(1000);
      await directory.close();
    }
  });
}

/** Sends the bytes as they are and answers everything that comes back until `enough` matches it. */
function exchange(port: number, bytes: string, enough: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    socket.setTimeout(10_000, () => socket.destroy(new Error(`no answer, only: ${heard}`)));
    socket.on("data", (chunk) => {
      heard += String(chunk);
      if (enough.test(heard)) socket.end(() => resolve(heard));
    });
    socket.on("error", reject);
  });
}

async function post(door: Door, headers: Record<string, string>, body: string): Promise<string> {
  const lines = Object.entries({ Host: "x", Authorization: `Bearer ${door.key}`, ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = "Transfer-Encoding" in headers ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const answer = await exchange(
    door.port,
    `POST /api/v1/sink HTTP/1.1\r\n${head}${length}\r\n${body}`,
    /\r\n\r\n.*\}/s,
  );
  return `${answer.split(" ")[1]} ${answer.split("\r\n\r\n")[1]}`;
}

test("a body that can't be unpacked is refused as such; its bytes are not judged as lines", () =>
  withDoor(async (door) => {
    const f = async (headers: Record<string, string>, body: string, expected: RegExp) =>
      assert.match(await post(door, headers, body), expected);
    await f({ "Content-Encoding": "gzip" }, "a 1\n", /^400 .*gzip/);
    await f({ "Content-Encoding": "identity, br" }, "a 1\n", /^415 .*br/);
    await f({ "Transfer-Encoding": "gzip, chunked" }, "4\r\na 1\n\r\n0\r\n\r\n", /^400 .*gzip/);
    await f({ "Content-Encoding": "Identity" }, "a 1\n", /^202 /);
    await f({ "Transfer-Encoding": "chunked" }, "2\r\na \r\n2\r\n1\n\r\n0\r\n\r\n", /^202 .*"accepted":1/);
    assert.doesNotMatch(door.metrics(), /lines_refused/);
  }));

test("whatever its type says, even if that is no type, a body is lines", () =>
  withDoor(async (door) => {
    for (const type of ["", "foo", "/", "text/plain; charset=utf-16", "application/json"])
      assert.match(await post(door, { "Content-Type": type }, "a 1\n"), /^202 /, type);
  }));

test("a stranger is refused before the body is read", () =>
  withDoor(async (door) => {
    // The body never comes.
    const head = "POST /api/v1/sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n";
    assert.match(await exchange(door.port, `${head}Authorization: Bearer no\r\n\r\n`, /\}/), / 401 /);
    assert.match(await exchange(door.port, `${head}\r\n`, /\}/), / 401 /);
  }));

test("a body over the bound is answered, to a sender that goes on sending too", () =>
  withDoor(async (door) => {
    const line = "some.metric 1\n";
    const body = line.repeat(Math.ceil(1e6 / line.length) + 1);
    assert.match(await post(door, {}, body), /^413 /);
    const size = body.length.toString(16);
    const chunked = `${size}\r\n${body}\r\n0\r\n\r\n`;
    assert.match(await post(door, { "Transfer-Encoding": "chunked" }, chunked), /^413 /);
    assert.match(await post(door, {}, body.slice(0, 1e6 - (1e6 % line.length))), /^202 /);
  }));

test("another method is told which one it should be", () =>
  withDoor(async (door) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await fetch(`http://127.0.0.1:${door.port}/api/v1/sink`, { method });
      assert.equal(answer.status, 405);
      assert.equal(answer.headers.get("allow"), "POST");
    }
  }));
