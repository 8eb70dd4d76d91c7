// Pieces: what is written is read, to the bit; bytes that were changed are rows or store-corrupt, never anything else.
import assert from "node:assert/strict";
import { isOutage } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { PieceReader, PieceWriter } from "../../src/store/fragment.ts";
import { valueColumns } from "../../src/store/store.ts";
import { Summaries, wantedOf } from "../../src/store/summaries.ts";
import { pick, type Fuzzer } from "./fuzzer.ts";

const hard = [
  0,
  -0,
  1,
  -1,
  0.1,
  5e-324,
  -5e-324,
  1e-310,
  2 ** 51,
  2 ** 53,
  1.7e308,
  Infinity,
  -Infinity,
] as const;
const valueKinds = ["decimals", "sums", "counter", "rare", "same", "random", "bits", "hard"] as const;

type ValueKind = (typeof valueKinds)[number];

function valuesOf(random: Random): () => number {
  const kind: ValueKind = pick(random, valueKinds);
  const places = 10 ** random.below(8);
  const spread = 2 ** (1 + random.below(31));
  let now = random.below(spread) / places;
  const bits = new DataView(new ArrayBuffer(8));
  const of: Record<ValueKind, () => number> = {
    decimals: () => (random.below(spread) - random.below(spread)) / places,
    sums: () => random.below(1000) / places + random.below(1000) / places + random.below(1000) / places,
    counter: () => (now += random.below(100)),
    rare: () => (random.below(20) === 0 ? random.below(spread) : 0),
    same: () => now,
    random: () => (random.next() - 0.5) * spread,
    bits: () => {
      bits.setUint32(0, random.below(2) * 2 ** 31 + random.below(0x7ff0_0000));
      bits.setUint32(4, random.below(2 ** 32));
      return bits.getFloat64(0);
    },
    hard: () => pick(random, hard),
  };
  return of[kind];
}

/** Ascending cells, each once. */
export function randomRows(random: Random, span: number, stepSeconds: number, rowsMost: number): Summaries {
  const rows = new Summaries();
  const count = 1 + random.below(rowsMost);
  const gapMost = pick(random, [1, 1, 2, 6, 100] as const);
  const single = random.below(2) === 0;
  const value = valuesOf(random);
  const others = valuesOf(random);
  const delay = random.below(3) === 0 ? () => random.next() * 1000 : () => random.below(300);
  const fractional = random.below(4) === 0;
  rows.reserve(count);
  for (let i = 0, cell = random.below(100); i < count; i++, cell += 1 + random.below(gapMost)) {
    const bucket = span + cell * stepSeconds;
    rows.bucket[i] = bucket;
    rows.points[i] = single ? 1 : 1 + random.below(100);
    rows.sum[i] = value();
    rows.min[i] = single ? (rows.sum[i] ?? 0) : others();
    rows.max[i] = single ? (rows.sum[i] ?? 0) : others();
    rows.last[i] = single ? (rows.sum[i] ?? 0) : value();
    rows.lastSeconds[i] = bucket + random.below(stepSeconds);
    rows.lastReceivedAtMs[i] =
      (rows.lastSeconds[i] ?? 0) * 1000 + (fractional ? delay() : Math.floor(delay()));
  }
  rows.count = count;
  return rows;
}

const columns = ["bucket", "points", "sum", "min", "max", "last", "lastSeconds", "lastReceivedAtMs"] as const;

export function assertSameRows(
  actual: Summaries,
  from: number,
  expected: Summaries,
  checked: readonly (typeof columns)[number][] = columns,
): void {
  for (const column of checked)
    for (let i = 0; i < expected.count; i++)
      assert.ok(
        Object.is(actual[column][from + i], expected[column][i]),
        `${column} of row ${i}: ${actual[column][from + i]}, not ${expected[column][i]}`,
      );
}

const writer = new PieceWriter();
const reader = new PieceReader();
const into = new Summaries();

/** Rows or store-corrupt, and rows in order. */
export function readAnything(bytes: Uint8Array, span: number, stepSeconds: number): "rows" | "corrupt" {
  into.clear();
  try {
    reader.open(bytes, span, stepSeconds);
    for (let slot = 0; slot < 16; slot++) {
      if (((reader.slots >>> slot) & 1) === 0) continue;
      const from = into.count;
      reader.read(slot, into);
      let before = reader.oldest - 1;
      for (let i = from; i < into.count; i++) {
        const bucket = into.bucket[i] ?? 0;
        assert.ok(bucket > before && bucket <= reader.newest && (bucket - span) % stepSeconds === 0);
        before = bucket;
      }
    }
    assert.ok(into.bucket.length < 16 * (8192 + 512 * bytes.length), "memory in proportion to the bytes");
    return "rows";
  } catch (error) {
    if (!isOutage(error, "store-corrupt")) throw error;
    return "corrupt";
  }
}

export const pieceFuzzer: Fuzzer = {
  name: "piece",
  smokeRounds: 150,
  round(random) {
    const stepSeconds = pick(random, [1, 10, 60, 3600] as const);
    const span = 1_700_000_000 - (1_700_000_000 % (360 * stepSeconds));
    const written = new Map<number, Summaries>();
    writer.begin(span, stepSeconds);
    for (let slot = random.below(16); slot < 16; slot += 1 + random.below(8)) {
      const rows = randomRows(random, span, stepSeconds, random.below(8) === 0 ? 700 : 40);
      written.set(slot, rows);
      writer.add(slot, rows);
    }
    const bytes = writer.finish();
    assert.ok(bytes !== undefined);
    reader.open(bytes, span, stepSeconds);
    assert.deepEqual(
      Array.from({ length: 16 }, (_, slot) => slot).filter((slot) => (reader.slots >>> slot) & 1),
      [...written.keys()],
    );
    // From the last to the first: each without the others.
    for (const [slot, rows] of [...written].toReversed()) {
      into.clear();
      reader.read(slot, into);
      assert.equal(into.count, rows.count);
      assertSameRows(into, 0, rows);
      // And a part of it, behind other rows.
      const from = span + random.below(300) * stepSeconds - random.below(3);
      const until = from + random.below(300) * stepSeconds;
      const part = new Summaries();
      for (let i = 0; i < rows.count; i++) {
        const bucket = rows.bucket[i] ?? 0;
        if (bucket >= from && bucket < until) part.append(rows, i, bucket);
      }
      reader.read(slot, into, from, until);
      assert.equal(into.count, rows.count + part.count);
      assertSameRows(into, rows.count, part);
      // And of the part what is wanted, whatever else there is.
      const wanted = valueColumns.filter(() => random.below(2) === 0);
      const needed: readonly string[] = ["bucket", "points", ...wanted];
      const forLast = wanted.includes("last") ? ["lastSeconds", "lastReceivedAtMs"] : [];
      const start = into.count;
      reader.read(slot, into, from, until, wantedOf(wanted));
      assert.equal(into.count, start + part.count);
      const checked = columns.filter((name) => needed.includes(name) || forLast.includes(name));
      assertSameRows(into, start, part, checked);
    }
    for (let i = 0; i < 8; i++) {
      const cut = random.below(4) === 0;
      const broken = Uint8Array.from(cut ? bytes.subarray(0, random.below(bytes.length)) : bytes);
      const among = random.below(2) === 0 ? Math.min(60, broken.length) : broken.length;
      if (among > 0)
        for (let change = 0; change <= random.below(3); change++)
          broken[random.below(among)] = random.below(256);
      readAnything(broken, span, stepSeconds);
    }
    readAnything(random.bytes(random.below(60)), span, stepSeconds);
  },
};
