import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { base32, hashKey, keyEnd, makeKey, makeTenantId } from "../../src/tenant/keys.ts";

function f(input: string, expected: string): void {
  assert.equal(base32(Buffer.from(input)), expected);
}

test("base32 as in RFC 4648, in lower case, without padding", () => {
  f("", "");
  f("f", "my");
  f("fo", "mzxq");
  f("foo", "mzxw6");
  f("foob", "mzxw6yq");
  f("fooba", "mzxw6ytb");
  f("foobar", "mzxw6ytboi");
  assert.equal(base32(new Uint8Array(10).fill(255)), "7777777777777777");
});

test("keys tell their kind, hold 160 bits, and can stand before a dot", () => {
  const random = seededRandom(7);
  for (let i = 0; i < 200; i++) {
    assert.match(makeKey("write", random), /^w[a-z2-7]{32}$/);
    assert.match(makeKey("read", random), /^r[a-z2-7]{32}$/);
    assert.match(makeTenantId(random), /^[a-z2-7]{12}$/);
  }
  const many = Array.from({ length: 1_000 }, () => makeKey("write", systemRandom));
  assert.equal(new Set(many).size, 1_000);
});

test("the hash of a key is SHA-256 in hex", () => {
  assert.equal(hashKey("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

test("what looks like a key in front of a name is seen, and nothing else", () => {
  const key = makeKey("write", seededRandom(9));
  const g = (line: string, expected: number) => {
    const bytes = Buffer.from(`..${line}..`);
    assert.equal(keyEnd(bytes, 2, bytes.length - 2), expected, line);
  };
  g(`${key}.web.cpu 1`, 35);
  g(`r${key.slice(1)}.a 1`, 35);
  g(`${key} 1`, -1);
  g(`${key}. 1`, -1);
  g(`${key}.`, -1);
  g(`x${key.slice(1)}.a 1`, -1);
  g(`${key.slice(0, -1)}.a 1`, -1);
  g(`${key.slice(0, -1)}8.a 1`, -1);
  g("web.cpu 1", -1);
});
