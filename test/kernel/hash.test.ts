import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { hashName, hashPair, hashSeed, type HashSeed } from "../../src/kernel/hash.ts";

const seed = hashSeed(seededRandom(1).bytes(8));

function hash(text: string, tenant = 1, by: HashSeed = seed): number {
  const bytes = new TextEncoder().encode(`##${text}##`);
  const view = new DataView(bytes.buffer);
  return hashName(by, tenant, bytes, view, 2, bytes.length - 2);
}

test("a hash depends on each byte, the length, the tenant and the seed, and on nothing else", () => {
  const text = "servers.host1.cpu.user";
  assert.equal(hash(text), hash(text));
  const others = new Set([hash(text), hash(text, 2), hash(text, 1, { low: seed.low ^ 1, high: seed.high })]);
  for (let i = 0; i < text.length; i++) others.add(hash(`${text.slice(0, i)}\x7f${text.slice(i + 1)}`));
  for (let i = 0; i < 8; i++) others.add(hash(text + "\0".repeat(i + 1)));
  assert.equal(others.size, 3 + text.length + 8);
  assert.notEqual(hashPair(seed, 1, 2), hashPair(seed, 2, 1));
});

test("names that look alike spread over slots as chance would", () => {
  const slots = new Uint32Array(1 << 12);
  const count = 40_960;
  for (let i = 0; i < count; i++) {
    const slot = hash(`servers.host${i % 500}.disk${i}.free`) >>> 20;
    slots[slot] = (slots[slot] ?? 0) + 1;
  }
  // Ten are expected a slot. The sum of squares of a fair spread is count * (1 + count / slots), within a few per cent.
  const squares = slots.reduce((sum, n) => sum + n * n, 0);
  const fair = count * (1 + count / slots.length);
  assert.ok(Math.abs(squares / fair - 1) < 0.03, `${squares} against ${fair}`);
});

test("all bits of a pair's hash move", () => {
  for (let bit = 0; bit < 32; bit++) {
    let ones = 0;
    for (let i = 0; i < 1000; i++) ones += (hashPair(seed, i % 10, 1_790_000_000 + i * 10) >>> bit) & 1;
    assert.ok(ones > 400 && ones < 600, `bit ${bit}: ${ones} of 1000`);
  }
});
