// M1 to M3: the same bytes, each message whole, however the chunks are cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { LargeBuffers } from "../../src/base/large-buffers.ts";
import { MessageAssembler } from "../../src/bus/message-assembler.ts";

function assemble(bytes: Buffer, cut: (left: number) => number): Buffer[] {
  const out: Buffer[] = [];
  const assembler = new MessageAssembler((piece) => out.push(Buffer.from(piece)), new LargeBuffers());
  // As a socket does that reads into the same place again and again.
  const place = Buffer.alloc(bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + cut(bytes.length - at));
    bytes.copy(place, 0, at, to);
    assembler.push(place.subarray(0, to - at));
    place.fill("!");
    at = to;
  }
  return out;
}

const message = (head: string, payload: string) => `${head} ${payload.length}\r\n${payload}\r\n`;

test("messages come whole, wherever they are cut", () => {
  const parts = [
    "INFO {}\r\n",
    message("MSG a 1", "x\r\nMSG a 1 99\r\n"),
    "PING\r\n",
    message("HMSG a.b 22 _INBOX.1 12", "NATS/1.0\r\n\r\nhello"),
    "+OK\r\n",
    message("msg a 1", ""),
    "-ERR 'MSG a 1 5'\r\n",
    message("MSG c 3 reply", "y".repeat(300)),
    "PONG\r\n",
  ];
  const bytes = Buffer.from(parts.join(""));
  for (let size = 1; size < bytes.length; size++) {
    const out = assemble(bytes, () => size);
    assert.deepEqual(Buffer.concat(out), bytes, `cut by ${size}`);
    const ends = new Set<number>();
    let at = 0;
    for (const piece of out) ends.add((at += piece.length));
    at = 0;
    for (const part of parts) {
      const from = at;
      at += part.length;
      if (/msg/i.test(part) && !part.startsWith("-"))
        for (const end of ends)
          assert(end <= from || end >= at, `cut by ${size}: ${part.slice(0, 9)} in pieces`);
    }
  }
});

const seed = Number(process.env["MILLRACE_SEED"] ?? systemRandom.below(2 ** 31));
test(`M1: any bytes come out as they went in (MILLRACE_SEED=${seed})`, () => {
  const random = seededRandom(seed);
  const words = ["MSG ", "HMSG a 1 ", "a 1 ", "\r\n", "\n", "7", "99999999999", "PING", " ", "\0"];
  for (let round = 0; round < 2000; round++) {
    let text = "";
    for (let i = random.below(30); i > 0; i--) text += words[random.below(words.length)];
    const bytes = Buffer.from(text);
    const out = Buffer.concat(assemble(bytes, (left) => 1 + random.below(left)));
    // What is kept back is an unfinished line or message: always the end.
    assert.deepEqual(out, bytes.subarray(0, out.length), text);
    assert.deepEqual(out, Buffer.concat(assemble(bytes, (left) => left)), text);
  }
});

test("M3: a line without end, and a length that can't be, are passed on", () => {
  const long = Buffer.alloc(100_000, "M");
  assert.deepEqual(Buffer.concat(assemble(long, () => 7000)).length > 60_000, true);
  const strange = Buffer.from("MSG a 1 99999999999\r\nabc\r\n");
  assert.deepEqual(Buffer.concat(assemble(strange, (left) => left)), strange);
});

test("M2: what came whole is a copy too, and a large message's buffer is used again", () => {
  const buffers = new LargeBuffers();
  const pieces: Uint8Array[] = [];
  const assembler = new MessageAssembler((piece) => pieces.push(piece), buffers);
  const push = (text: string) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 70_000) assembler.push(bytes.subarray(at, at + 70_000));
    return pieces.pop() ?? new Uint8Array(0);
  };
  const small = Buffer.from(message("MSG a 1", "hello"));
  assembler.push(small);
  small.fill("!");
  assert.equal(Buffer.from(pieces.pop() ?? "").toString(), message("MSG a 1", "hello"));
  const first = push(message("MSG a 1", "x".repeat(200_000)));
  const { buffer } = first;
  buffers.give(first);
  const second = push(message("MSG a 1", "y".repeat(210_000)));
  assert.equal(second.buffer, buffer);
  assert.equal(Buffer.from(second).toString(), message("MSG a 1", "y".repeat(210_000)));
});

test("M2: the rest of a large message is read where it belongs, and what follows it is not", () => {
  const seed = systemRandom.below(2 ** 31);
  const random = seededRandom(seed);
  const counted = Array.from({ length: 50_000 }, (_, i) => i).join(" ");
  let inPlace = 0;
  for (let round = 0; round < 50; round++) {
    const parts = Array.from({ length: 6 }, (_, i) =>
      i % 2 === 0
        ? message(`MSG a ${i}`, counted.slice(0, random.below(counted.length)))
        : "PING\r\n".repeat(random.below(9)),
    );
    const bytes = Buffer.from(parts.join(""));
    const out: Buffer[] = [];
    const assembler = new MessageAssembler((piece) => out.push(Buffer.from(piece)), new LargeBuffers());
    const room = Buffer.alloc(40_000);
    for (let at = 0; at < bytes.length; ) {
      const place = assembler.place();
      if (place !== undefined) inPlace++;
      const into = place ?? room;
      const count = bytes.copy(into, 0, at, at + 1 + random.below(into.length));
      assembler.push(into.subarray(0, count));
      at += count;
      room.fill("!");
    }
    assert.deepEqual(Buffer.concat(out), bytes, `seed ${seed}`);
  }
  assert.ok(inPlace > 50, `${inPlace} reads in place`);
});
