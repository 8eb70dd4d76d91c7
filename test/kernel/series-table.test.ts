import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { hashName, hashSeed } from "../../src/kernel/hash.ts";
import { noSeries, SeriesTable } from "../../src/kernel/series-table.ts";
import { fromLatin1, latin1 } from "../fuzz/fuzzer.ts";

const seed = hashSeed(seededRandom(3).bytes(8));
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

interface Key {
  tenant: number;
  name: string;
}

function intern(table: SeriesTable, { tenant, name }: Key): number {
  const bytes = fromLatin1(`#${name}#`);
  return table.intern(tenant, bytes, new DataView(bytes.buffer), 1, bytes.length - 1);
}

/** Three letters of i: 262,144 of them are different. */
function three(i: number): string {
  return letters.charAt(i & 63) + letters.charAt((i >> 6) & 63) + letters.charAt((i >> 12) & 63);
}

/** Two keys of the same hash: among 250,000 there are seven pairs to be expected, if a pair may be any two. */
function collision(keyOf: (i: number) => Key, isPair: (a: Key, b: Key) => boolean = () => true): [Key, Key] {
  const seen = new Map<number, Key>();
  for (let i = 0; i < 250_000; i++) {
    const key = keyOf(i);
    const bytes = fromLatin1(key.name);
    const hash = hashName(seed, key.tenant, bytes, new DataView(bytes.buffer), 0, bytes.length);
    const before = seen.get(hash);
    if (before !== undefined && isPair(before, key)) return [before, key];
    seen.set(hash, key);
  }
  return assert.fail("no two keys of the same hash");
}

function keptApart([a, b]: [Key, Key]) {
  const table = new SeriesTable(seed, 100);
  assert.deepEqual(
    [a, b, a, b].map((key) => intern(table, key)),
    [0, 1, 0, 1],
    JSON.stringify([a, b]),
  );
  assert.deepEqual([latin1(table.name(0)), latin1(table.name(1))], [a.name, b.name]);
  assert.deepEqual([table.tenant(0), table.tenant(1)], [a.tenant, b.tenant]);
}

test("T1: keys of the same hash are kept apart by tenant, by length and by each byte", () => {
  keptApart(collision((i) => ({ tenant: i, name: "servers.cpu" })));
  keptApart(collision((i) => ({ tenant: 1, name: `${three(i)}x.cpu` }))); // in the first word
  keptApart(collision((i) => ({ tenant: 1, name: `serverss${three(i)}` }))); // in what is left of the last
  const name = (i: number) => three(i).slice(0, 1 + (i % 3)) + three(i >> 3) + "x".repeat(i % 50);
  keptApart(
    collision(
      (i) => ({ tenant: 1, name: name(i) }),
      (a, b) => a.name.length !== b.name.length,
    ),
  );
});

test("T3: series and spellings have their bounds", () => {
  const table = new SeriesTable(seed, 3);
  for (let i = 0; i < 3; i++) assert.equal(intern(table, { tenant: 1, name: `n${i}` }), i);
  assert.equal(intern(table, { tenant: 1, name: "n3" }), noSeries);
  assert.equal(intern(table, { tenant: 2, name: "n0" }), noSeries);
  assert.equal(intern(table, { tenant: 1, name: "n3;b=1;a=2" }), noSeries);
  assert.equal(table.spellingCount, 3, "what is refused leaves no trace");
  for (let dots = 1; dots < 20; dots++)
    assert.equal(intern(table, { tenant: 1, name: `${".".repeat(dots)}n2` }), 2);
  assert.equal(table.spellingCount, 6);
  assert.equal(table.count, 3);
});

test("names fill several chunks and stay what they were", () => {
  const table = new SeriesTable(seed, 10_000);
  const name = (i: number) => `${i}`.padEnd(400 + (i % 600), "x");
  for (let pass = 0; pass < 2; pass++)
    for (let i = 0; i < 4000; i++) assert.equal(intern(table, { tenant: i & 1, name: name(i) }), i);
  for (let i = 0; i < 4000; i++) assert.equal(latin1(table.name(i)), name(i));
});
