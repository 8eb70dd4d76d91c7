// The pieces of the layout: intervals, orders, keys, blobs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { decodeBlob, encodeBlob, firstRowOf, valueAt } from "../../src/store/blob.ts";
import { mergeIntervals } from "../../src/store/intervals.ts";
import {
  after,
  blobKey,
  blobPlace,
  deadKey,
  deadPlace,
  keyedTimeKey,
  ledgerKey,
  ledgerPlace,
  ledgerPrefix,
  nodeKey,
} from "../../src/store/keys.ts";
import { compareTexts, sortRows } from "../../src/store/order.ts";
import type { Interval } from "../../src/store/store.ts";
import { columns, type RowInput } from "../contract/store-helpers.ts";

function merged(a: Interval[], b: Interval[], expected: Interval[]): void {
  assert.deepEqual(mergeIntervals(a, b), expected);
  assert.deepEqual(mergeIntervals(b, a), expected);
}

test("intervals merge into as few as possible", () => {
  merged([], [], []);
  merged([[1, 2]], [], [[1, 2]]);
  merged([[1, 2]], [[3, 4]], [[1, 4]]);
  merged(
    [[1, 2]],
    [[4, 5]],
    [
      [1, 2],
      [4, 5],
    ],
  );
  merged(
    [
      [1, 2],
      [4, 5],
    ],
    [[3, 3]],
    [[1, 5]],
  );
  merged([[1, 9]], [[3, 4]], [[1, 9]]);
  merged(
    [
      [5, 6],
      [1, 2],
    ],
    [
      [0, 0],
      [8, 9],
    ],
    [
      [0, 2],
      [5, 6],
      [8, 9],
    ],
  );
  assert.throws(() => mergeIntervals([[2, 1]], []), /BUG/);
  const given: Interval[] = [[1, 2]];
  mergeIntervals(given, [[3, 4]]);
  assert.deepEqual(given, [[1, 2]], "the arguments are left alone");
});

test("texts sort as their UTF-8 bytes", () => {
  const texts = [
    "",
    "a",
    "a.b",
    "a-b",
    "ab",
    "é",
    "\u{ffee}",
    "\u{1f600}",
    "\u{1f600}a",
    "\u{1f601}",
    "\ud7ff",
    "z",
  ];
  assert.deepEqual(
    texts.toSorted(compareTexts),
    texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
});

test("rows sort by series, then bucket, and equal ones stay in their order", () => {
  const random = seededRandom(3);
  for (const range of [1, 3, 300, 2 ** 31]) {
    const count = 500;
    const series = Uint32Array.from({ length: count }, () => 1 + random.below(range));
    const bucket = Uint32Array.from({ length: count }, () => 1_700_000_000 + random.below(5) * 10);
    const rows = Array.from({ length: count }, (_, i) => i);
    assert.deepEqual(
      [...sortRows(series, bucket, count)],
      rows.toSorted(
        (a, b) => (series[a] ?? 0) - (series[b] ?? 0) || (bucket[a] ?? 0) - (bucket[b] ?? 0) || a - b,
      ),
    );
  }
  assert.deepEqual([...sortRows(new Uint32Array(0), new Uint32Array(0), 0)], []);
});

function byBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

function sorted(keys: Buffer[]): void {
  assert.deepEqual(keys, keys.toSorted(byBytes));
}

test("keys: byte order is number order, and they read back", () => {
  sorted([1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 45].map((n) => deadKey(n, 0)));
  sorted([1, 255, 2 ** 40].map((n) => keyedTimeKey(n, Buffer.alloc(16))));
  sorted([
    blobKey({ number: 9, minBucket: 5, maxBucket: 6, commits: 7 }),
    blobKey({ number: 256, minBucket: 0, maxBucket: 0, commits: 1 }),
  ]);
  const place = { number: 2 ** 45 + 3, minBucket: 10, maxBucket: 2 ** 32 - 1, commits: 2 ** 31 };
  assert.deepEqual(blobPlace(blobKey(place)), place);
  assert.deepEqual(deadPlace(deadKey(2 ** 40, 7)), { sequence: 2 ** 40, part: 7 });
  const ledger = { tenant: "tä", minute: 60, door: "tcp", fate: "refused", reason: "nan" };
  assert.deepEqual(ledgerPlace(ledgerKey(ledger)), ledger);
  // No tenant's rows lie between another's.
  for (const tenant of ["a", "abc", "b", "ac"]) {
    const other = ledgerKey({ ...ledger, tenant });
    const inside =
      byBytes(ledgerPrefix("ab", 0), other) <= 0 && byBytes(other, ledgerPrefix("ab", 2 ** 32 - 1)) < 0;
    assert.ok(!inside, tenant);
  }
  assert.deepEqual(after(Buffer.from([1, 255, 255])), Buffer.from([2]));
  assert.deepEqual(after(nodeKey(255, Buffer.alloc(0))), nodeKey(256, Buffer.alloc(0)).subarray(0, 4));
});

/** Every column of every row, as it went in. */
function rowsOf(bytes: Uint8Array): number[][] {
  const blob = decodeBlob(bytes);
  return Array.from({ length: blob.rows }, (_, i) => {
    const bucket = valueAt(blob.bucket, i);
    const floats = [blob.sum, blob.min, blob.max, blob.last, blob.lastReceivedAtMs].map((c) => valueAt(c, i));
    return [
      valueAt(blob.series, i),
      bucket,
      valueAt(blob.points, i),
      bucket + valueAt(blob.lastAfterBucket, i),
      ...floats,
    ];
  });
}

function expectRows(rows: RowInput[], ids: number[] = []): Buffer {
  const { bytes, minBucket, maxBucket } = encodeBlob(columns(rows), Uint32Array.from(ids));
  const expected = rows
    .map((r) => {
      const sum = r.sum ?? 1;
      const id = r.fresh === true ? (ids[r.series] ?? 0) : r.series;
      return [
        id,
        r.bucket,
        r.points ?? 1,
        r.lastSeconds ?? r.bucket,
        sum,
        r.min ?? sum,
        r.max ?? sum,
        r.last ?? sum,
        r.lastReceivedAtMs ?? 0,
      ];
    })
    .sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0));
  // Bit for bit: -0 is not 0, and every NaN is as good as another.
  for (const [i, row] of rowsOf(bytes).entries())
    for (const [at, value] of row.entries())
      assert.ok(Object.is(value, expected[i]?.[at]), `row ${i}: ${value}`);
  assert.equal(rowsOf(bytes).length, expected.length);
  assert.deepEqual(
    [minBucket, maxBucket],
    [Math.min(...rows.map((r) => r.bucket)), Math.max(...rows.map((r) => r.bucket))],
  );
  return bytes;
}

test("V1: a blob gives back every number bit for bit", () => {
  const hard = [
    0,
    -0,
    1,
    -1,
    0.1,
    1e300,
    -1e300,
    5e-324,
    2 ** 53,
    2 ** 53 + 2,
    -(2 ** 53),
    2 ** 32,
    Infinity,
    -Infinity,
    NaN,
  ];
  for (const sum of hard) expectRows([{ series: 1, bucket: 10, sum }]);
  expectRows(hard.map((sum, i) => ({ series: i + 1, bucket: 10, sum })));
  for (const sum of hard)
    expectRows([
      { series: 1, bucket: 10 },
      { series: 2, bucket: 10, sum },
    ]);
  for (const max of hard) expectRows([{ series: 1, bucket: 0, sum: 0, min: -0, max, last: 0 }]);
  expectRows([
    {
      series: 7,
      bucket: 4_294_967_280,
      lastSeconds: 4_294_967_295,
      points: 4_294_967_295,
      lastReceivedAtMs: 1.7e12,
    },
  ]);
  expectRows([{ series: 7, bucket: 100, lastSeconds: 50 }]); // before its bucket: not ours to judge
  expectRows(
    [
      { series: 0, fresh: true, bucket: 5 },
      { series: 3, bucket: 5 },
      { series: 1, fresh: true, bucket: 4 },
    ],
    [9, 2],
  );
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  for (let i = 0; i < 200; i++) {
    const spread = 2 ** random.below(33);
    const whole = random.below(2) === 0;
    const rows = Array.from({ length: 1 + random.below(50) }, () => {
      const sum = whole ? random.below(spread) - random.below(spread) : (random.next() - 0.5) * spread;
      const points = 1 + random.below(2);
      const bucket = random.below(spread / 2);
      return {
        series: 1 + random.below(Math.min(spread, 2 ** 31)),
        bucket,
        points,
        sum,
        min: sum,
        max: points === 1 ? sum : sum + 1,
        lastSeconds: bucket + random.below(300),
        lastReceivedAtMs: 1.7e12 + random.below(spread),
      };
    });
    const once = new Map(rows.map((row) => [`${row.series}/${row.bucket}`, row]));
    try {
      expectRows([...once.values()]);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});

test("V2: rows of one point are short", () => {
  const rows = Array.from({ length: 10_000 }, (_, i) => ({
    series: i + 1,
    bucket: 1_700_000_000,
    lastSeconds: 1_700_000_000 + (i % 10),
    lastReceivedAtMs: 1.7e12 + (i % 5) * 50,
  }));
  const fractions = encodeBlob(columns(rows.map((row, i) => ({ ...row, sum: i / 7 }))), new Uint32Array(0));
  assert.ok(fractions.bytes.length < 12.1 * rows.length, `${fractions.bytes.length} bytes`);
  const counts = encodeBlob(columns(rows.map((row, i) => ({ ...row, sum: i % 100 }))), new Uint32Array(0));
  assert.ok(counts.bytes.length < 5.1 * rows.length, `${counts.bytes.length} bytes`);
});

function corrupt(bytes: Buffer): void {
  assert.throws(
    () => decodeBlob(bytes),
    (error) => isOutage(error, "store-corrupt"),
  );
}

test("V3: bytes that are no blob are store-corrupt, or at least no crash", () => {
  const good = expectRows([
    { series: 1, bucket: 10, sum: 0.5 },
    { series: 2, bucket: 20, sum: 1.5, points: 3 },
    { series: 9, bucket: 20, sum: 2.5 },
  ]);
  const shifted = Buffer.alloc(good.length + 3);
  good.copy(shifted, 3);
  assert.deepEqual(rowsOf(shifted.subarray(3)), rowsOf(good), "not aligned");
  corrupt(Buffer.alloc(0));
  corrupt(Buffer.alloc(500));
  for (let length = 0; length < good.length - 7; length += 8) corrupt(good.subarray(0, length));
  const random = seededRandom(5);
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    const bytes = Buffer.from(good);
    bytes[random.below(152)] = random.below(256);
    try {
      const blob = decodeBlob(bytes);
      firstRowOf(blob, 2, 0);
    } catch (error) {
      assert.ok(isOutage(error, "store-corrupt"), String(error));
      refused++;
    }
  }
  assert.ok(refused > 500, `${refused}`);
});

function firstRow(series: number[], id: number, from: number, expected: number): void {
  const rows = series.map((s, i) => ({ series: s, bucket: i }));
  const blob = decodeBlob(encodeBlob(columns(rows), new Uint32Array(0)).bytes);
  assert.equal(firstRowOf(blob, id, from), expected, `${id} in ${series.join()}`);
}

test("the first row of a series is found, or of the next one", () => {
  firstRow([1, 2, 2, 5], 1, 0, 0);
  firstRow([1, 2, 2, 5], 2, 0, 1);
  firstRow([1, 2, 2, 5], 2, 2, 2);
  firstRow([1, 2, 2, 5], 3, 0, 3);
  firstRow([1, 2, 2, 5], 9, 0, 4);
  firstRow([7, 7, 7], 7, 0, 0);
  firstRow([7, 7, 7], 7, 2, 2);
  firstRow([7, 7, 7], 6, 0, 0);
  firstRow([7, 7, 7], 8, 0, 3);
  firstRow([1, 1_000_000, 2_000_000_000], 1_000_000, 0, 1);
});
