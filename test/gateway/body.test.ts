// Bodies: what they may take in memory, and that everything taken is given back.
import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Bodies } from "../../src/gateway/body.ts";
import type { Decoded } from "../../src/gateway/coding.ts";
import { cutterOf, type Reading } from "../../src/gateway/pieces.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const limits = { bytesMax: 10, bytesInAll: 20, bytesOfTenant: 12 };

/** A stream that holds `sent`, ended unless `open`. */
function streamOf(sent: string, open = false): PassThrough {
  const stream = new PassThrough();
  stream.write(sent);
  if (!open) stream.end();
  return stream;
}

test("a body, or why not, by what came and what was declared", async () => {
  const f = async (sent: string, declared: number | undefined, expected: string, held: number) => {
    const bodies = new Bodies(limits);
    assert.equal((await bodies.read(streamOf(sent), declared, "t")).kind, expected);
    assert.equal(bodies.held, held);
  };
  await f("0123456789", undefined, "body", 10);
  await f("0123456789", 10, "body", 10);
  await f("0123456789a", undefined, "too-large", 0);
  await f("0", 11, "too-large", 0);
  await f("", 0, "body", 0);
});

test("B1: all senders together and one tenant are bounded, and released bytes are free again", async () => {
  const bodies = new Bodies(limits);
  const kind = async (sent: string, tenant: string) =>
    (await bodies.read(streamOf(sent), undefined, tenant)).kind;
  assert.equal(await kind("01234567", "a"), "body");
  assert.equal(await kind("01234", "a"), "no-room");
  assert.equal(await kind("0123", "a"), "body");
  assert.equal(await kind("0123456", "b"), "body");
  assert.equal(await kind("01", "c"), "no-room");
  assert.equal(bodies.held, 19);
  bodies.release("a", 8);
  assert.equal(await kind("01234567", "c"), "body");
  for (const [tenant, bytes] of [
    ["a", 4],
    ["b", 7],
    ["c", 8],
  ] as const)
    bodies.release(tenant, bytes);
  assert.equal(bodies.held, 0);
});

test("a sender that goes away, or never ends, gives back what it held", async () => {
  const bodies = new Bodies(limits);
  const stream = streamOf("0123", true);
  const read = bodies.read(stream, undefined, "t");
  await once(stream, "data");
  assert.equal(bodies.held, 4);
  stream.destroy(new Error("gone"));
  assert.equal((await read).kind, "broken");
  assert.equal(bodies.held, 0);
});

test("B2: what is refused is read to its end", async () => {
  const bodies = new Bodies(limits);
  const stream = streamOf("0123456789a", true);
  assert.equal((await bodies.read(stream, undefined, "t")).kind, "too-large");
  const ended = once(stream, "end");
  stream.end("more");
  await ended;
  assert.equal(bodies.held, 0);
});

test("B1: a body in chunks of a byte takes no more memory than its bytes", async () => {
  const bytes = 400_000;
  const limits = { bytesMax: 1 << 20, bytesInAll: 1 << 20, bytesOfTenant: 1 << 20 };
  /** All but the end of a body, and what the process took for it. */
  const f = async (reading: Reading | "whole", text: string) => {
    const bodies = new Bodies(limits);
    let taken = 0;
    const all = Buffer.from(text.repeat(bytes / text.length));
    const chunks = (async function* () {
      const before = memory();
      for (let at = 0; at < all.length; at++) yield Buffer.from(all.subarray(at, at + 1));
      taken = memory() - before;
    })();
    const body: Decoded = { chunks, fail() {}, stop() {} };
    const answer =
      reading === "whole"
        ? await bodies.whole(body, "t")
        : await bodies.pieces(body, cutterOf(reading), "t", () => Promise.resolve(true));
    assert.equal(answer.kind, reading === "whole" ? "body" : "end");
    if (answer.kind === "body") assert.deepEqual(answer.bytes, all);
    assert.ok(taken < 8e6, `${reading}: ${bytes} bytes took ${taken}`);
  };
  await f("whole", "a 1\n");
  await f("lines", "a 1\n");
  await f("json-lines", '{"name":"a","value":1} \n ');
});

function memory(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
