// Bodies of requests over real HTTP: compressed, large, JSON; and what is said of those that end badly.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { openDoor } from "./http-door.ts";
import { zstdFixture, zstdFrame } from "./zstd-frames.ts";

const execute = promisify(execFile);
const gzip = { "Content-Encoding": "gzip" };
const json = { "Content-Type": "application/json" };
const ndjson = { "Content-Type": "application/x-ndjson" };

function manyLines(count: number, prefix = "m"): string {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}.${"x".repeat(80)} ${n}\n`).join("");
}

test("compressed bodies are undone: gzip, deflate in both forms, zstd", async (t) => {
  const { send, lines } = await openDoor(t, 4e6);
  const long = manyLines(2000);
  const f = async (coding: string, body: Buffer, accepted: number) => {
    const before = (await lines()).length;
    assert.deepEqual(await send(body, { "Content-Encoding": coding }), [202, { accepted, refused: [] }]);
    assert.equal((await lines()).length, before + accepted, coding);
  };
  for (const text of ["a 1\nb 2\n", long]) {
    const count = text.split("\n").length - 1;
    await f("gzip", gzipSync(text), count);
    await f("x-gzip", Buffer.concat([gzipSync("a 1\n"), gzipSync(text)]), count + 1);
    await f("deflate", deflateSync(text), count);
    await f("deflate", deflateRawSync(text), count);
    await f("ZSTD", zstdFrame([Buffer.from(text)]), count);
    await f(
      "zstd",
      Buffer.concat([zstdFrame([Buffer.from("a 1\n")]), zstdFrame([Buffer.from(text)])]),
      count + 1,
    );
  }
  await f("zstd", zstdFixture, 300);
  assert.equal((await lines()).at(-1), "web.host299.requests 299");
  // A keyed request is undone first: its key is of what it holds.
  const keyed = { "Idempotency-Key": "k" };
  assert.equal((await send("k 1\n", keyed))[0], 202);
  assert.equal((await send(gzipSync("k 1\n"), { ...gzip, ...keyed }))[0], 202);
});

test("what is no compressed body says so, and what can't be undone is 415", async (t) => {
  const { send, lines } = await openDoor(t, 4e6);
  const f = async (coding: string, body: Buffer, status: number, why: RegExp) => {
    for (const keyed of [{}, { "Idempotency-Key": "k" }]) {
      const [got, answer] = await send(body, { "Content-Encoding": coding, ...keyed });
      assert.equal(got, status, JSON.stringify(answer));
      assert.match(String(answer["error"]), why);
    }
  };
  const good = gzipSync("a 1\nb 2\n");
  await f("br", good, 415, /br/);
  await f("gzip, gzip", good, 415, /gzip, gzip/);
  await f("gzip", Buffer.from("a 1\n"), 400, /gzip body is broken/);
  await f("gzip", good.subarray(0, -3), 400, /gzip body is broken: unexpected end/);
  await f("deflate", Buffer.from("\xff\xff\xff"), 400, /deflate body is broken/);
  await f("zstd", Buffer.from("a 1\nb 2\n"), 400, /zstd body is broken: not a zstd frame/);
  await f("zstd", zstdFixture.subarray(0, -1), 400, /zstd body is broken: unexpected end/);
  const spoilt = Buffer.from(zstdFixture);
  spoilt.fill(0xff, 20, 60);
  await f("zstd", spoilt, 400, /zstd body is broken/);
  assert.deepEqual(await lines(), []);
});

test("bombs stop at the bound, whatever they claim", async (t) => {
  const { send, counters } = await openDoor(t, 2e6);
  const zeros = Buffer.alloc(60e6);
  const f = async (coding: string, body: Buffer, status: number) => {
    for (const keyed of [{}, { "Idempotency-Key": "k" }])
      assert.equal((await send(body, { "Content-Encoding": coding, ...keyed }))[0], status);
  };
  const before = process.memoryUsage().rss;
  await f("gzip", gzipSync(zeros), 413);
  await f("deflate", deflateSync(zeros), 413);
  await f("zstd", zstdFrame(Array.from({ length: 10_000 }, () => 131_072)), 413);
  // Windows: 2 GB claimed, and as content size.
  await f("zstd", Buffer.from("28b52ffd00a8010000", "hex"), 400);
  await f("zstd", Buffer.from("28b52ffde000000000010000000100000000", "hex"), 400);
  // Small blocks under a large window cost time, not bytes.
  await f("zstd", zstdFrame(Array.from({ length: 200_000 }, () => 1)), 400);
  assert(process.memoryUsage().rss - before < 250e6, "bombs were not held");
  assert.match(counters.text(), /answers_total\{status="413"\} 6\n/);
});

test("a body larger than a piece flows, whole lines at a time, with the right line numbers", async (t) => {
  const { send, lines } = await openDoor(t, 16e6);
  const count = 60_000;
  const body = manyLines(count).replace("m3.", "bad name ").replace("m50000.", "worse name ");
  assert(body.length > 5e6);
  const long = "y".repeat(3e6);
  const [status, answer] = await send(`${body}${long}\nlast 1`);
  assert.equal(status, 202);
  assert.equal(answer["accepted"], count - 1);
  const refused = answer["refused"] as { line: number; reason: string }[];
  assert.deepEqual(
    refused.map(({ line, reason }) => [line, reason]),
    [
      [4, "malformed"],
      [50_001, "malformed"],
      [count + 1, "line-too-long"],
    ],
  );
  assert.deepEqual((await lines()).at(-1), "last 1");
  assert.equal(new Set(await lines()).size, count - 1);
});

test("what was recorded before a body went wrong is said", async (t) => {
  const { send, lines, post, address, writeKey } = await openDoor(t, 4e6);
  const text = manyLines(60_000);
  const f = async (status: number, error: RegExp, sent: Promise<[number, Record<string, unknown>]>) => {
    const before = (await lines()).length;
    const [got, answer] = await sent;
    assert.equal(got, status, JSON.stringify(answer));
    assert.match(String(answer["error"]), error);
    assert.equal(answer["recorded"], "part");
    assert(Number(answer["accepted"]) > 9000, JSON.stringify(answer));
    assert.equal((await lines()).length, before + Number(answer["accepted"]));
  };
  await f(413, /over 4000000 bytes/, send(gzipSync(text), gzip));
  await f(400, /gzip body is broken/, send(gzipSync(text.slice(0, 3e6)).subarray(0, -5), gzip));
  // A malformed chunk, behind good ones. The connection ends with the answer.
  const socket = connect(address.port, address.host);
  const part = text.slice(0, 2e6);
  socket.write(`POST /api/v1/sink HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${writeKey}\r\n`);
  socket.write(`Transfer-Encoding: chunked\r\n\r\n${part.length.toString(16)}\r\n${part}\r\nzzz\r\n`);
  await f(
    400,
    /can't be read/,
    (async () => {
      let said = "";
      socket.on("data", (data) => (said += String(data)));
      await once(socket, "close");
      const [head = "", body = ""] = said.split("\r\n\r\n");
      return [Number(head.split(" ")[1]), JSON.parse(body) as Record<string, unknown>];
    })(),
  );
  // A body whose length says that it is too large is not begun.
  const large = post(writeKey, 5e6);
  assert.equal(await large.answer, "HTTP/1.1 413 Payload Too Large");
  large.socket.destroy();
});

test("JSON: an array, one point, points line by line; a bad one costs itself", async (t) => {
  const { send, lines } = await openDoor(t, 16e6);
  const now = Math.floor(Date.now() / 1000);
  const f = async (
    headers: Record<string, string>,
    body: string,
    recorded: string[],
    refused: [number, string][] = [],
  ) => {
    for (const keyed of [{}, { "Idempotency-Key": encodeURIComponent(body.slice(0, 50)) }]) {
      const before = (await lines()).length;
      const [status, answer] = await send(body, { ...headers, ...keyed });
      assert.equal(status, recorded.length > 0 ? 202 : 400, `${body} ${JSON.stringify(answer)}`);
      assert.equal(answer["accepted"], recorded.length);
      assert.deepEqual(
        (answer["refused"] as { line: number; reason: string }[]).map(({ line, reason }) => [line, reason]),
        refused,
      );
      assert.deepEqual((await lines()).slice(before), recorded);
    }
  };
  await f(json, `[{"name":"a","value":1,"time":${now}},{"name":"b","value":-2.5}]`, [`a 1 ${now}`, "b -2.5"]);
  await f(json, '{\n  "name": "a",\n  "value": 1e300\n}', ["a 1e+300"]);
  await f(
    json,
    `["a", [["b", 1], ["c", 2, ${now}.5]], ["d", 3]] `,
    ["d 3"],
    [
      [1, "malformed"],
      [2, "bad-name"],
    ],
  );
  await f(
    { "Content-Type": "Application/JSON; charset=utf-8" },
    '{"name":"a","value":1}\n{"name":"b","value":2}',
    ["a 1", "b 2"],
  );
  await f(ndjson, '{"name":"a","value":1}\n\n{"name":"b","va\n["c",3]\n', ["a 1", "c 3"], [[3, "malformed"]]);
  await f(json, '[{"name":"t","value":-0,"tags":{"b":"2","a":1}}]', ["t;a=1;b=2 -0"]);
  await f(json, '[{"name":"t","value":0.1', [], [[1, "malformed"]]);
  await f(json, '[{"name":"t","value":1}', ["t 1"], [[2, "malformed"]]);
  await f(json, "12", [], [[1, "malformed"]]);
  await f(json, "[]", []);
  await f(json, `[${"[".repeat(60_000)}]`, [], [[1, "malformed"]]);
  // What comes late in the judgement stands in its order.
  await f(
    json,
    '[["a",1,5],["b","x"],["c",1,5]]',
    [],
    [
      [1, "too-old"],
      [2, "bad-value"],
      [3, "too-old"],
    ],
  );
  await f({ "Content-Type": "text/csv" }, "a 1\n", ["a 1"]);
  await f(
    json,
    `[${JSON.stringify({ name: "a", value: 1, x: "y".repeat(70_000) })},["b",1]]`,
    ["b 1"],
    [[1, "line-too-long"]],
  );
});

test("JSON streams: more than a piece, elements cut anywhere", async (t) => {
  const { send, lines } = await openDoor(t, 16e6);
  const points = Array.from({ length: 60_000 }, (_, n) => ({
    name: `é${n}.${"z".repeat(20)}`,
    value: n,
    tags: { t: '"}]\\' },
  }));
  const body = JSON.stringify(points);
  assert(body.length > 3e6);
  const [status, answer] = await send(body, json);
  assert.deepEqual([status, answer], [202, { accepted: 60_000, refused: [] }]);
  assert.equal(new Set(await lines()).size, 60_000);
  assert.equal((await lines())[59_999], `é59999.${"z".repeat(20)};t="}]\\ 59999`);
});

test("a refused body leaves the connection as it was", async (t) => {
  const { address, writeKey, readKey } = await openDoor(t, 1000);
  const socket = connect(address.port, address.host);
  let said = "";
  socket.on("data", (data) => (said += String(data)));
  const send = (key: string, body: string, more = "") =>
    socket.write(
      `POST /api/v1/sink HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${key}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`,
      "latin1",
    );
  const large = "x".repeat(50_000);
  send("nobody", large);
  send(writeKey, large);
  send(writeKey, gzipSync(large).toString("latin1"), "Content-Encoding: gzip\r\n");
  send(readKey, large);
  send(writeKey, large, "Content-Encoding: br\r\n");
  send(writeKey, "a 1\n");
  while (said.match(/HTTP\/1.1 202/) === null) await once(socket, "data");
  assert.deepEqual(
    [...said.matchAll(/HTTP\/1.1 (\d+)/g)].map((match) => match[1]),
    ["401", "413", "413", "403", "415", "202"],
  );
  socket.destroy();
});

test("curl", async (t) => {
  const { url, writeKey, lines } = await openDoor(t, 1e6);
  const f = async (expected: RegExp, ...words: string[]) => {
    const { stdout } = await execute("curl", ["-s", "-u", `${writeKey}:`, ...words, url]);
    assert.match(stdout, expected);
  };
  try {
    await execute("curl", ["--version"]);
  } catch {
    return t.diagnostic("no curl here: not tried");
  }
  await f(/"accepted":1/, "--data-binary", "a 1");
  await f(/"accepted":1/, "-H", "Transfer-Encoding: chunked", "--data-binary", "b 1");
  await f(/"accepted":1/, "--json", '[{"name":"c","value":1}]');
  assert.deepEqual(await lines(), ["a 1", "b 1", "c 1"]);
});
