// Pieces: what is written is read, how short it gets, and what happens to wrong bytes. The fuzzer `piece` does the rest.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { PieceReader, PieceWriter } from "../../src/store/fragment.ts";
import { Summaries } from "../../src/store/summaries.ts";
import { assertSameRows, readAnything } from "../fuzz/piece.ts";

const span = 1_699_999_200;

interface RowInput {
  cell: number;
  points?: number;
  sum?: number;
  min?: number;
  max?: number;
  last?: number;
  after?: number;
  delayMs?: number;
}

function rowsOf(inputs: readonly RowInput[], stepSeconds = 10): Summaries {
  const rows = new Summaries();
  rows.reserve(inputs.length);
  for (const [i, input] of inputs.entries()) {
    const sum = input.sum ?? 1;
    const bucket = span + input.cell * stepSeconds;
    rows.bucket[i] = bucket;
    rows.points[i] = input.points ?? 1;
    rows.sum[i] = sum;
    rows.min[i] = input.min ?? sum;
    rows.max[i] = input.max ?? sum;
    rows.last[i] = input.last ?? sum;
    rows.lastSeconds[i] = bucket + (input.after ?? 0);
    rows.lastReceivedAtMs[i] = (bucket + (input.after ?? 0)) * 1000 + (input.delayMs ?? 0);
  }
  rows.count = inputs.length;
  return rows;
}

function pieceOf(series: ReadonlyMap<number, Summaries>, stepSeconds = 10): Buffer {
  const writer = new PieceWriter();
  writer.begin(span, stepSeconds);
  for (const [slot, rows] of series) writer.add(slot, rows);
  const bytes = writer.finish();
  assert.ok(bytes !== undefined);
  return bytes;
}

/** Goes there and back; answers the bytes it took. */
function trip(inputs: readonly RowInput[], stepSeconds = 10): number {
  const rows = rowsOf(inputs, stepSeconds);
  const bytes = pieceOf(new Map([[3, rows]]), stepSeconds);
  const reader = new PieceReader();
  const read = new Summaries();
  reader.open(bytes, span, stepSeconds);
  reader.read(3, read);
  assert.equal(read.count, rows.count);
  assertSameRows(read, 0, rows);
  return bytes.length;
}

function series(count: number, row: (i: number) => Omit<RowInput, "cell">): RowInput[] {
  return Array.from({ length: count }, (_, i) => ({ cell: i, ...row(i) }));
}

test("F2: every number comes back bit for bit", () => {
  const hard = [
    0,
    -0,
    1,
    -1,
    0.1,
    0.1 + 0.2,
    1.005,
    123_456.789,
    1e-6,
    1e-7,
    1e300,
    -1e300,
    5e-324,
    -5e-324,
    2.2e-308,
    2 ** 31,
    2 ** 32,
    2 ** 51 - 1,
    2 ** 51,
    -(2 ** 51),
    2 ** 53,
    2 ** 53 + 2,
    Infinity,
    -Infinity,
    1 / 3,
    1.7976931348623157e308,
  ];
  for (const sum of hard) {
    trip([{ cell: 0, sum }]);
    trip(series(40, () => ({ sum })));
    trip(series(40, (i) => ({ sum: i === 20 ? sum : 5 })));
    trip(series(40, (i) => ({ sum: i === 20 ? sum : i / 7 })));
    trip([{ cell: 359, sum: 0, min: -0, max: sum, last: 0 }]);
    trip(series(9, (i) => ({ points: 1 + i, sum, min: -i, max: i / 100, last: 7 })));
  }
  trip(hard.map((sum, cell) => ({ cell, sum })));
  trip(series(400, (i) => ({ sum: 0.1 * (i % 3) + 0.2 * (i % 7) + 0.3 * (i % 11) })));
  for (let bits = 0; bits <= 51; bits++) trip(series(20, (i) => ({ sum: i % 2 === 0 ? 0 : 2 ** bits - 1 })));
  trip(series(5, () => ({ delayMs: 0.25, after: 9 })));
  trip(series(5, (i) => ({ delayMs: -(2 ** i), after: -3 })));
  trip(series(5, (i) => ({ delayMs: 10 ** (3 * i) })));
  trip(series(5, (i) => ({ points: 2 ** (10 * i) })));
});

test("cells: regular ones, every sixth, gaps, a single one, far ones", () => {
  trip([0, 1, 2, 3].map((cell) => ({ cell })));
  trip([5].map((cell) => ({ cell })));
  trip([0, 6, 12, 18, 24].map((cell) => ({ cell })));
  trip([0, 1, 2, 90, 91, 359].map((cell) => ({ cell })));
  trip(series(3600, () => ({})).filter(({ cell }) => cell % 7 !== 3));
  trip(
    series(86_400, () => ({})).filter(({ cell }) => cell % 1000 === 0),
    1,
  );
  trip([{ cell: 0 }, { cell: 250_000_000 }], 1);
  const long = trip(
    series(100_000, () => ({})),
    1,
  );
  assert.ok(long < 500, `F3: a few bytes for many equal rows, got ${long}`);
});

/** Bytes a row, head included, of a full span of one series. */
function short(inputs: readonly RowInput[], most: number): void {
  const each = trip(inputs) / inputs.length;
  assert.ok(each <= most, `${each.toFixed(2)} bytes a row, more than ${most}`);
}

test("K2: rows are short", () => {
  const random = seededRandom(11);
  const delayMs = () => random.below(300);
  const rows = (value: () => number) => series(360, () => ({ sum: value(), after: 3, delayMs: delayMs() }));
  short(
    series(360, () => ({})),
    0.1,
  );
  short(
    rows(() => 42.5),
    1.3,
  );
  short(
    rows(() => random.below(101)),
    2.2,
  );
  short(
    rows(() => random.below(10_000) / 100),
    3.1,
  );
  short(
    rows(() => random.next() * 1000),
    9.4,
  );
  let counter = 123_456_789;
  short(
    rows(() => (counter += random.below(1000))),
    2.6,
  );
  short(
    rows(() => (random.below(50) === 0 ? random.below(5000) : 0)),
    1.5,
  );
  short(
    rows(() => random.next()).filter(({ cell }) => cell % 9 !== 4),
    9.6,
  );
  const six = () => Array.from({ length: 6 }, () => random.below(10_000) / 100);
  short(
    series(360, () => {
      const points = six();
      const sum = points.reduce((total, value) => total + value, 0);
      const [min, max, last] = [Math.min(...points), Math.max(...points), points[5] ?? 0];
      return { points: 6, sum, min, max, last, after: 9, delayMs: delayMs() };
    }),
    9.4,
  );
});

test("F1: a piece's head says what is in it, and each series is read alone", () => {
  const one = rowsOf([{ cell: 3 }, { cell: 4, points: 2 }]);
  const other = rowsOf([{ cell: 300, points: 7 }]);
  const bytes = pieceOf(
    new Map([
      [0, one],
      [4, new Summaries()],
      [15, other],
    ]),
  );
  const reader = new PieceReader();
  reader.open(bytes, span, 10);
  assert.deepEqual(
    [reader.slots, reader.points, reader.oldest, reader.newest],
    [0x8001, 10, span + 30, span + 3000],
  );
  const read = new Summaries();
  reader.read(15, read);
  reader.read(0, read);
  assert.equal(read.count, 3, "rows are appended");
  assertSameRows(read, 0, other);
  assertSameRows(read, 1, one);
  assert.throws(() => reader.read(4, read), /BUG/);
  const damaged = Buffer.from(bytes);
  damaged.fill(255, damaged.length - 12);
  reader.open(damaged, span, 10);
  reader.read(0, read);
  assertSameRows(read, 3, one);
  const inside = Buffer.concat([Buffer.alloc(5, 1), bytes, Buffer.alloc(9, 1)]);
  reader.open(inside.subarray(5, 5 + bytes.length), span, 10);
  reader.read(15, read);
  assertSameRows(read, 5, other);
});

test("a writer is used again, and says nothing where nothing was added", () => {
  const writer = new PieceWriter();
  writer.begin(span, 10);
  assert.equal(writer.finish(), undefined);
  const first = rowsOf(series(50, (i) => ({ sum: i / 3 })));
  const second = rowsOf([{ cell: 1 }]);
  writer.begin(span, 10);
  writer.add(2, first);
  const kept = writer.finish();
  writer.begin(span, 10);
  writer.add(1, second);
  assert.throws(() => writer.add(1, second), /BUG/);
  assert.deepEqual(writer.finish(), pieceOf(new Map([[1, second]])));
  assert.deepEqual(kept, pieceOf(new Map([[2, first]])));
  writer.begin(span, 60);
  assert.throws(() => writer.add(0, second), /BUG/, "no bucket of that step");
  writer.begin(span + 60, 10);
  assert.throws(() => writer.add(0, second), /BUG/, "before the span");
});

test("F2, F3: wrong bytes are rows or store-corrupt", () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const good = pieceOf(
    new Map([
      [0, rowsOf(series(30, (i) => ({ sum: i / 7, delayMs: i * 31 })))],
      [7, rowsOf(series(90, (i) => ({ sum: i * 100, points: i })).filter(({ cell }) => cell % 4 !== 1))],
    ]),
  );
  assert.equal(readAnything(good, span, 10), "rows");
  for (let length = 0; length < good.length; length++)
    assert.equal(readAnything(good.subarray(0, length), span, 10), "corrupt", `${length} bytes`);
  assert.equal(readAnything(Buffer.alloc(200), span, 10), "corrupt");
  // A span near the end of time.
  assert.equal(readAnything(good, 0xffff_ffff - 20, 10), "corrupt");
  let corrupt = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(good);
    bytes[random.below(i % 2 === 0 ? 30 : bytes.length)] = random.below(256);
    try {
      if (readAnything(bytes, span, 10) === "corrupt") corrupt++;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  assert.ok(corrupt > 500, `${corrupt}`);
  const reader = new PieceReader();
  assert.throws(
    () => reader.open(Buffer.of(2), span, 10),
    (error) => isOutage(error, "store-corrupt"),
  );
});
