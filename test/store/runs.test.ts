// Runs: which blobs become one, and what it holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { decodeBlob, encodeBlob, valueAt, type Blob } from "../../src/store/blob.ts";
import { Grid } from "../../src/store/cells.ts";
import { blobKey, blobPlace } from "../../src/store/keys.ts";
import { mergeBlobs, orderOf, pickRun, planRun, runBytesMost } from "../../src/store/runs.ts";
import { columns, type RowInput } from "../contract/store-helpers.ts";

const kilobyte = 1024;

/** `sizes` in KB; the offsets are 1, 2, 3 and so on. */
function picked(sizes: number[], expected: [number, number] | undefined, until?: number): void {
  const blobs = sizes.map((size, i) => ({ number: i + 1, bytes: size * kilobyte }));
  const pick = pickRun(blobs, until);
  assert.deepEqual(pick, expected && { first: expected[0], end: expected[1] });
}

function times(count: number, size: number): number[] {
  return Array.from({ length: count }, () => size);
}

test("pickRun: enough blobs of about a size, the cheapest first", () => {
  picked([], undefined);
  picked(times(7, 10), undefined);
  picked(times(8, 10), [0, 8]);
  picked(times(40, 10), [0, 16]);
  // N3: what is large already is not rewritten for a few small ones.
  picked([1000, ...times(7, 10)], undefined);
  picked([1000, ...times(8, 10)], [1, 9]);
  picked([100, ...times(15, 10)], [1, 16]);
  picked([10, 20, 10, 20, 10, 20, 10, 20], [0, 8]);
  picked([...times(9, 300), ...times(8, 5)], [9, 17]);
  // Nor beyond the most.
  picked(times(16, 120), [0, 8]);
  picked(times(16, 150), undefined);
  picked([3000, ...times(7, 5), 3000, ...times(7, 5)], undefined);
  // N5: a round works on the first ones.
  picked(times(20, 10), [6, 20], 6);
  picked(times(20, 10), undefined, 13);
  picked(times(20, 10), [0, 16], 0);
});

test("N3: merging as long as there is something leaves few blobs, and rewrites each row a few times", () => {
  const random = seededRandom(7);
  let blobs: { number: number; bytes: number }[] = [];
  let written = 0;
  let rewritten = 0;
  for (let offset = 1; offset <= 5000; offset++) {
    const bytes = Math.floor(kilobyte * 2 ** (random.next() * 7));
    blobs.push({ number: offset, bytes });
    written += bytes;
    for (let pick = pickRun(blobs, undefined); pick !== undefined; pick = pickRun(blobs, undefined)) {
      const merged = blobs.slice(pick.first, pick.end);
      const sum = merged.reduce((total, blob) => total + blob.bytes, 0);
      assert.ok(sum <= runBytesMost);
      rewritten += sum;
      const run = { number: merged.at(-1)?.number ?? 0, bytes: sum };
      blobs = [...blobs.slice(0, pick.first), run, ...blobs.slice(pick.end)];
    }
  }
  assert.ok(blobs.length < 40 + (8 * written) / runBytesMost, `${blobs.length} blobs`);
  assert.ok(rewritten < 5 * written, `${(rewritten / written).toFixed(1)} times`);
});

function blobOf(rows: RowInput[]): Blob {
  return decodeBlob(encodeBlob(columns(rows), new Uint32Array(0)).bytes);
}

function rowsOf(blob: Blob): number[][] {
  const { series, bucket, points, lastAfterBucket, sum, min, max, last, lastReceivedAtMs } = blob;
  const all = [series, bucket, points, lastAfterBucket, sum, min, max, last, lastReceivedAtMs];
  return Array.from({ length: blob.rows }, (_, i) => all.map((column) => valueAt(column, i)));
}

function mergedRows(blobs: RowInput[][], expected: number[][]): void {
  const { bytes, rows } = mergeBlobs(blobs.map(blobOf));
  assert.deepEqual(rowsOf(decodeBlob(bytes)), expected);
  assert.equal(rows, expected.length);
}

test("mergeBlobs: rows by (series, bucket), equal ones merged where it pays", () => {
  const at = (series: number, bucket: number, sum = 1, lastReceivedAtMs = 0): RowInput => ({
    series,
    bucket,
    sum,
    lastReceivedAtMs,
  });
  const row = (series: number, bucket: number, sum = 1) => [series, bucket, 1, 0, sum, sum, sum, sum, 0];
  mergedRows([[at(5, 10)]], [row(5, 10)]);
  mergedRows([[at(5, 10)], [at(4, 11)], [at(5, 9)]], [row(4, 11), row(5, 9), row(5, 10)]);
  mergedRows(
    [[at(1, 10), at(2, 10)], [at(2_000_000_000, 10)]],
    [row(1, 10), row(2, 10), row(2_000_000_000, 10)],
  );
  mergedRows([[at(5, 10, -0)], [at(6, 10, 0)]], [row(5, 10, -0), row(6, 10, 0)]);
  mergedRows([[at(5, 10, 0.5)], [at(6, 10, -3)]], [row(5, 10, 0.5), row(6, 10, -3)]);
  // N2: a few equal ones of one point stay as they are, in the order of their blobs.
  mergedRows(
    [[at(5, 10, 3), at(6, 10)], [at(5, 10, 2)], [at(7, 1)]],
    [row(5, 10, 3), row(5, 10, 2), row(6, 10), row(7, 1)],
  );
  mergedRows([[at(5, 10, 3, 7)], [at(5, 10, 2, 8)], [at(5, 10, 4, 6)]], [[5, 10, 3, 0, 9, 2, 4, 2, 8]]);
  const more: RowInput = {
    series: 5,
    bucket: 10,
    points: 2,
    sum: 9,
    min: 4,
    max: 5,
    last: 4,
    lastSeconds: 12,
  };
  mergedRows(
    [[more, at(8, 10)], [at(9, 1)], [at(5, 10, 1)]],
    [[5, 10, 3, 2, 10, 1, 5, 4, 0], row(8, 10), row(9, 1)],
  );
  assert.throws(() => mergeBlobs([]), /BUG/);
});

function randomBlob(random: Random, most: number): RowInput[] {
  const rows = new Map<string, RowInput>();
  const late = random.below(4) === 0;
  const single = random.below(2) === 0;
  for (let i = random.below(most); i >= 0; i--) {
    const series = 1 + random.below(random.below(5) === 0 ? 2 ** 31 : 40);
    const bucket = 1000 + random.below(late ? 500 : 4);
    const sum = random.below(10) - 5 || -0;
    const more = single ? {} : { points: 2, sum: sum * 2, min: sum - 1, max: sum + 1, last: sum };
    const lastReceivedAtMs = random.below(3);
    rows.set(`${series} ${bucket}`, { series, bucket, sum, lastReceivedAtMs, ...more });
  }
  return [...rows.values()];
}

test("N1, N2: a run reads as its blobs", () => {
  const seed = Date.now() % 1_000_000;
  for (let round = 0; round < 20; round++) {
    const random = seededRandom(seed + round);
    const blobs = Array.from({ length: 1 + random.below(16) }, () => blobOf(randomBlob(random, 60)));
    const { bytes, minBucket, maxBucket, rows } = mergeBlobs(blobs);
    const run = decodeBlob(bytes);
    assert.equal(run.rows, rows, `seed ${seed + round}`);
    const ids = [...new Set(blobs.flatMap((blob) => rowsOf(blob).map(([series]) => series ?? 0)))];
    const range = { start: 900, stepSeconds: 1, width: 700 };
    const expected = new Grid(ids, range);
    for (const blob of blobs) expected.addBlob(blob, 0);
    const actual = new Grid(ids, range);
    actual.addBlob(run, 0);
    assert.deepStrictEqual(actual.finish(), expected.finish(), `seed ${seed + round}`);
    const order = rowsOf(run).map(([series = 0, bucket = 0]) => series * 10_000 + bucket);
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
      `seed ${seed + round}`,
    );
    const buckets = rowsOf(run).map(([, bucket = 0]) => bucket);
    assert.deepEqual([minBucket, maxBucket], [Math.min(...buckets), Math.max(...buckets)]);
  }
});

test("many late rows are sorted, not moved one by one", () => {
  const count = 5000;
  const blobs = Array.from({ length: 8 }, (_, i) =>
    blobOf(Array.from({ length: count }, (_, j) => ({ series: 5, bucket: (8 - i) * count + j }))),
  );
  const run = decodeBlob(mergeBlobs(blobs).bytes);
  for (let i = 0; i < run.rows; i++) assert.equal(valueAt(run.bucket, i), count + i);
  const late = 4000;
  let looks = 0;
  const ofBlobs = Uint32Array.from({ length: late }, (_, i) => late - i);
  const bucket = new Proxy(ofBlobs, {
    get(of, place) {
      looks++;
      return Reflect.get(of, place, of) as unknown;
    },
  });
  const order = orderOf(new Uint32Array(late), bucket, late);
  assert.deepEqual([order[0], order.at(-1)], [late - 1, 0]);
  assert.ok(looks <= 10 * late, `${looks} looks at ${late} rows`);
});

test("planRun: the run is put, its blobs are removed, and its key is none of theirs (N4)", () => {
  const rows = (bucket: number) => [{ series: 5, bucket }];
  const key = (offset: number, minBucket: number, maxBucket: number, commits = 1) =>
    blobKey({ number: offset, minBucket, maxBucket, commits });
  const f = (keys: Buffer[], buckets: number[], put: Buffer, removed: Buffer[]) => {
    const {
      puts,
      removes,
      rows: left,
    } = planRun(
      keys,
      buckets.map((bucket) => blobOf(rows(bucket))),
    );
    assert.deepEqual([puts.map((each) => each.key), removes, left], [[put], removed, 2]);
    assert.equal(decodeBlob(puts[0]?.value ?? Buffer.alloc(0)).rows, 2);
    assert.equal(blobPlace(put).number, blobPlace(keys[1] ?? put).number);
  };
  f([key(1, 10, 10), key(2, 11, 11)], [10, 11], key(2, 10, 11, 2), [key(1, 10, 10), key(2, 11, 11)]);
  const both = [key(1, 10, 10), key(2, 10, 12)];
  const { puts, removes } = planRun(both, [blobOf(rows(10)), blobOf([...rows(10), ...rows(12)])]);
  assert.deepEqual([puts[0]?.key, removes], [key(2, 10, 12, 2), both]);
  // Equal rows that become one: nothing but the commits tells the run from its last blob.
  const equal = [key(5, 10, 10, 4), key(9, 10, 10, 3)];
  const merged = planRun(equal, [blobOf([...rows(10), ...rows(10)]), blobOf(rows(10))]);
  assert.deepEqual([merged.puts[0]?.key, merged.removes, merged.rows], [key(9, 10, 10, 7), equal, 1]);
  assert.throws(() => planRun([key(1, 10, 10)], [blobOf(rows(10))]), /BUG/);
  assert.throws(() => planRun([], []), /BUG/);
});
