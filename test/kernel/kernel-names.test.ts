import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createKernel } from "../../src/kernel/instance.ts";
import { KernelNames, layNames } from "../../src/kernel/kernel-names.ts";
import { Layout } from "../../src/kernel/layout.ts";
import { noSeries } from "../../src/kernel/series-table.ts";
import { fromLatin1, latin1 } from "../fuzz/fuzzer.ts";

const secretBytes = 1120;
/** Behind the words that are added to names: what is added to tenant and length, and to the sum. */
const tenantKey = 1104;
const lengthKey = 1108;
const sumKey = 1112;
const two32 = 1n << 32n;
const two64 = 1n << 64n;

type Change = (view: DataView) => void;

/** A table of names on a secret from a seed, changed as the test likes: what an attacker must not be able to. */
function make(seed: number, seriesMax: number, change: Change = () => {}) {
  const layout = new Layout();
  const secretAt = layout.add(secretBytes + 64);
  const regions = layNames(layout, seriesMax);
  const { exports, buffer, bytes } = createKernel(layout);
  const secret = new DataView(buffer, secretAt.at, secretBytes);
  bytes.set(seededRandom(seed).bytes(secretBytes), secretAt.at);
  change(secret);
  exports.configureHash(secretAt.at);
  const names = new KernelNames(exports, buffer, regions);
  const intern = (tenant: number, name: string): number => {
    const of = fromLatin1(name);
    return names.intern(tenant, of, new DataView(of.buffer), 0, of.length);
  };
  /** What lies in slots, each with its hash and how far from its place. */
  const entries = (used: number) => {
    let slotBits = 11;
    while (used * 2 > 2 ** slotBits) slotBits++;
    const { at } = slotBits % 2 === 0 ? regions.evenSlots : regions.oddSlots;
    const slots = new Uint32Array(buffer, at, 2 << slotBits);
    const words = new Uint32Array(buffer, regions.entries.at, regions.entries.bytes >> 2);
    const found: { hash: number; series: number; distance: number }[] = [];
    for (let slot = 0; slot < 1 << slotBits; slot++) {
      const hash = slots[2 * slot] ?? 0;
      const what = slots[2 * slot + 1] ?? 0;
      const distance = (slot - (hash >>> (32 - slotBits)) + 2 ** slotBits) % 2 ** slotBits;
      if (what !== 0) found.push({ hash, series: words[what - 1 + 2] ?? 0, distance });
    }
    return found;
  };
  return { names, intern, entries, secret };
}

/** kernel/hash.ts a second time, slowly. */
function hashOf(secret: DataView, tenant: number, name: Uint8Array): number {
  const padded = new DataView(new ArrayBuffer(1120));
  new Uint8Array(padded.buffer).set(name);
  const word = (at: number) =>
    (BigInt(padded.getUint32(at, true)) + BigInt(secret.getUint32(at, true))) % two32;
  let sum = 0n;
  for (let block = 0; block <= name.length; block += 32)
    for (let at = block; at < block + 16; at += 4) sum += word(at) * word(at + 16);
  const a = (BigInt(tenant >>> 0) + BigInt(secret.getUint32(tenantKey, true))) % two32;
  const b = (BigInt(name.length) + BigInt(secret.getUint32(lengthKey, true))) % two32;
  let h = (sum + a * b + secret.getBigUint64(sumKey, true)) % two64;
  h = ((h ^ (h >> 30n)) * 0xbf58476d1ce4e5b9n) % two64;
  h = ((h ^ (h >> 27n)) * 0x94d049bb133111ebn) % two64;
  return Number(h >> 32n);
}

test("the hash is NH of all bytes, their number and the tenant, mixed", () => {
  const { intern, entries, names, secret } = make(11, 2000);
  const random = seededRandom(12);
  for (let length = 1; length <= 1018; length++) {
    const name = Array.from({ length }, () => String.fromCharCode(97 + random.below(26))).join("");
    intern(random.below(2) === 0 ? length : -length, name);
  }
  const found = entries(1018);
  assert.equal(found.length, 1018);
  for (const { hash, series } of found)
    assert.equal(hash, hashOf(secret, names.tenant(series), names.name(series)), `series ${series}`);
});

test("200,000 names lie near their places, and each slot is one of them", () => {
  const count = 200_000;
  const name = (i: number) => `servers.host${i % 5000}.app.metric${i}`;
  const { intern, entries } = make(21, count);
  for (let pass = 0; pass < 2; pass++)
    for (let i = 0; i < count; i++) if (intern(i & 3, name(i)) !== i) assert.fail(`pass ${pass}, name ${i}`);
  const found = entries(count);
  assert.equal(found.length, count);
  const total = found.reduce((sum, { distance }) => sum + distance, 0);
  // A table that is 38 % full: 0.3 steps.
  assert.ok(total < count, `${total} steps in sum`);
});

/** Names of 20 bytes whose last word may be anything without changing the sum, if the secret is known. */
const aimed = Array.from({ length: 3000 }, (_, i) => `aaaaaaaaaaaaaaaa${String(i).padStart(4, "0")}`);
const aim: Change = (secret) => secret.setInt32(0, -0x61616161, true);

function keptApart(seed: number, change: Change, keys: [tenant: number, name: string][]) {
  const { intern, names, entries } = make(seed, keys.length, change);
  for (let pass = 0; pass < 2; pass++)
    for (const [i, [tenant, name]] of keys.entries())
      assert.equal(intern(tenant, name), i, `${tenant} ${name}`);
  for (const [i, [tenant, name]] of keys.entries())
    assert.deepEqual([names.tenant(i), latin1(names.name(i))], [tenant, name]);
  assert.equal(new Set(entries(keys.length).map(({ hash }) => hash)).size, 1, "all have one hash");
}

test("T1: names of one hash are kept apart by their bytes, their length and their tenant", () => {
  keptApart(
    31,
    aim,
    aimed.map((name) => [1, name]),
  );
  // Zeros behind a name don't change the sum, and the length doesn't where the tenant's word is 0.
  keptApart(32, (secret) => secret.setInt32(tenantKey, -7, true), [
    [7, "abc"],
    [7, "abc\0"],
    [7, "abc\0\0"],
    [7, `abc${"\0".repeat(13)}`],
  ]);
  // And the tenant doesn't where the length's word is 0.
  keptApart(
    33,
    (secret) => secret.setInt32(lengthKey, -5, true),
    Array.from({ length: 1000 }, (_, i) => [i - 500, "a.cpu"]),
  );
});

test("names that are aimed at one slot of one secret are spread under any other", () => {
  for (let seed = 40; seed < 50; seed++) {
    const { intern, entries } = make(seed, aimed.length);
    for (const [i, name] of aimed.entries()) assert.equal(intern(1, name), i);
    const distances = entries(aimed.length).map(({ distance }) => distance);
    assert.ok(Math.max(...distances) < 60, `seed ${seed}: ${Math.max(...distances)} steps`);
  }
});

test("T3: whoever writes one name in a thousand long ways takes no room from new names", () => {
  const { intern, names } = make(51, 1000);
  const long = "n".repeat(900);
  for (let pass = 0; pass < 2; pass++)
    for (let dots = 1; dots < 100; dots++)
      for (let i = 0; i < 15; i++) assert.equal(intern(1, `${".".repeat(dots)}${long}${".".repeat(i)}`), 0);
  for (let i = 1; i < 800; i++) assert.equal(intern(2, `${i}`.padEnd(900, "x")), i);
  assert.equal(latin1(names.name(0)), long);
});

test("T3: beyond the bound, and beyond the room for names, new ones are none and known ones flow", () => {
  const few = make(61, 3);
  for (let i = 0; i < 3; i++) assert.equal(few.intern(1, `n${i}`), i);
  assert.equal(few.intern(1, "n3"), noSeries);
  assert.equal(few.intern(2, "n0"), noSeries);
  for (let dots = 1; dots < 20; dots++) assert.equal(few.intern(1, `${".".repeat(dots)}n2`), 2);
  assert.equal(few.names.count, 3);
  const long = make(62, 3000);
  const name = (i: number) => `${i}`.padEnd(1000, "x");
  let taken = 0;
  while (long.intern(1, name(taken)) !== noSeries) taken++;
  assert.ok(taken > 1000 && taken < 1100, `${taken} names in a megabyte`);
  for (let i = 0; i < taken; i++) assert.equal(long.intern(1, name(i)), i);
});
