import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import type { Aggregator } from "../../src/kernel/kernel.ts";
import { reasons } from "../../src/metric/reason.ts";
import { compareHistory, rowsOf } from "../fuzz/aggregator.ts";
import { fromLatin1, latin1, utf8 } from "../fuzz/fuzzer.ts";

const now = 1_790_000_000;

function make(seriesMax?: number): Aggregator {
  const seed = seededRandom(1).bytes(8);
  return createPlainAggregator({
    stepSeconds: 10,
    seed,
    ...(seriesMax ? { seriesMax } : {}),
  });
}

/** Ingests for tenant 1 at `now`; answers the refusals as `reason line`. */
function ingest(aggregator: Aggregator, text: string, receivedAtMs = now * 1000, tenant = 1): string[] {
  const refused: string[] = [];
  const counted = aggregator.ingest(tenant, fromLatin1(utf8(text)), receivedAtMs, (reason, line) => {
    refused.push(`${reasons[reason]} ${latin1(line)}`);
  });
  const lines = text.split("\n").filter((line) => line.trim() !== "").length;
  assert.equal(counted, lines - refused.length, "each line counts or is refused");
  return refused;
}

/** What a commit holds, as `name bucket points sum min max last`. */
function rows(aggregator: Aggregator): string[] {
  return [...rowsOf(aggregator, aggregator.commit())].map(
    ([row, s]) => `${row} ${s.points} ${s.sum} ${s.min} ${s.max} ${s.last}`,
  );
}

test("points of a series meet in their bucket", () => {
  const aggregator = make();
  assert.deepEqual(
    ingest(aggregator, `a.b 1 ${now}\na.b 5 ${now + 3}\na.b 3 ${now + 2}\na.b 7 ${now + 10}\n`),
    [],
  );
  assert.equal(aggregator.openRows, 2);
  assert.deepEqual(rows(aggregator), [`1 a.b ${now} 3 9 1 5 5`, `1 a.b ${now + 10} 1 7 7 7 7`]);
  assert.deepEqual(rows(aggregator), [], "a commit starts afresh");
});

test("series stay known, and belong to their tenant", () => {
  const aggregator = make();
  ingest(aggregator, "a 1\nb 1\n");
  ingest(aggregator, "a 1\n", now * 1000, 2);
  ingest(aggregator, "a 1\n", now * 1000, -2);
  aggregator.commit();
  ingest(aggregator, "b 2");
  assert.equal(aggregator.seriesCount, 4);
  assert.deepEqual([...aggregator.commit().series], [1]);
  assert.deepEqual(
    [0, 1, 2, 3].map((s) => aggregator.seriesTenant(s)),
    [1, 1, 2, -2],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((s) => latin1(aggregator.seriesName(s))),
    ["a", "b", "a", "a"],
  );
});

test("all spellings of a name are one series", () => {
  const aggregator = make();
  ingest(aggregator, 'c..d;y=2;x=1 1\nc.d;x=1;y=2 2\nc.d{y="2",x="1"} 4\n.c.d;x=0;x=1;y=2 8\n');
  assert.equal(aggregator.seriesCount, 1);
  assert.deepEqual(rows(aggregator), [`1 c.d;x=1;y=2 ${now} 4 15 1 8 8`]);
});

test("time is judged by receivedAtMs", () => {
  const aggregator = make();
  const oldest = 1; // how far back points count is the door's to say
  assert.deepEqual(
    ingest(
      aggregator,
      `a 1 ${oldest}\na 1 ${oldest - 1}\na 1 ${now + 3600}\na 1 ${now + 3601}\na 1 -5\na 1 1790000000000\n`,
    ),
    ["too-old a 1 0", `too-new a 1 ${now + 3601}`, "bad-timestamp a 1 -5", "too-new a 1 1790000000000"],
  );
  assert.deepEqual(
    rows(aggregator).map((row) => row.split(" ")[2]),
    ["0", String(now + 3600)],
  );
  // no time stamp, and -1: the second of receivedAtMs
  ingest(aggregator, "a 1\na 2 -1\n", now * 1000 + 9999);
  assert.deepEqual(rows(aggregator), [`1 a ${now} 2 3 1 2 2`]);
  // a frame from beyond what columns hold is refused, not wrapped around
  assert.deepEqual(ingest(aggregator, "a 1", 2 ** 53 - 1), ["too-new a 1"]);
  assert.deepEqual(ingest(aggregator, "a 1 4294967295", 4_294_967_295_000), []);
  assert.deepEqual(rows(aggregator), ["1 a 4294967290 1 1 1 1 1"]);
});

test("what grammar refuses goes to refuse, its neighbours count", () => {
  const aggregator = make();
  assert.deepEqual(ingest(aggregator, " a x 1 \n\nb nan\nok 1\nc\r\nd 1 nan"), [
    "bad-value a x 1",
    "nan b nan",
    "malformed c",
    "bad-timestamp d 1 nan",
  ]);
  assert.equal(aggregator.seriesCount, 1);
});

test("beyond seriesMax new series are refused and known ones flow, however they are spelled", () => {
  const aggregator = make(2);
  assert.deepEqual(ingest(aggregator, "a 1\nb 1\nc 1\na 1\n.b 1\nd;x=1 1\n"), [
    "series-limit c 1",
    "series-limit d;x=1 1",
  ]);
  // more spellings than are remembered
  for (let dots = 2; dots < 50; dots++) assert.deepEqual(ingest(aggregator, `a${".".repeat(dots)} 1\n`), []);
  assert.equal(aggregator.seriesCount, 2);
  assert.deepEqual(rows(aggregator), [`1 a ${now} 50 50 1 1 1`, `1 b ${now} 2 2 1 1 1`]);
});

test("columns stay as they are until the next commit, also while points come in", () => {
  const aggregator = make();
  ingest(aggregator, "a 1\nb 2\n");
  const first = aggregator.commit();
  ingest(aggregator, "a 10\nb 20\nc 30\n");
  assert.deepEqual([...first.sum], [1, 2]);
  assert.equal(first.series.length, first.count);
  assert.deepEqual([...aggregator.commit().sum], [10, 20, 30]);
});

test("the same sections give the same columns, whatever the seed", () => {
  const text = Array.from({ length: 5000 }, (_, i) => `n${i % 700} ${i} ${now - (i % 37) * 10}`).join("\n");
  const commits = [1, 2].map((seed) => {
    const aggregator = createPlainAggregator({
      stepSeconds: 10,
      seed: seededRandom(seed).bytes(8),
    });
    aggregator.ingest(1, fromLatin1(text), now * 1000, () => assert.fail());
    return rows(aggregator);
  });
  assert.deepEqual(commits[0], commits[1]);
});

test("random histories are what a Map of summaries makes of them", () => {
  const seed = 99;
  for (let round = 0; round < 10; round++) {
    const random = seededRandom(seed + round);
    compareHistory(random, 10, 600, round % 3 === 0 ? 25 : 1_000_000);
  }
});

test("growth: 20,000 series over several buckets, then few again", () => {
  const aggregator = make();
  const sums = new Map<string, number>();
  const random = seededRandom(5);
  for (let pass = 0; pass < 3; pass++) {
    let text = "";
    for (let i = 0; i < 20_000; i++) {
      const name = `host${i}.${"x".repeat(1 + (i % 60))}`;
      const bucket = now - 10 * random.below(3);
      text += `${name} 1 ${bucket}\n`;
      const row = `1 ${name} ${bucket}`;
      sums.set(row, (sums.get(row) ?? 0) + 1);
    }
    ingest(aggregator, text);
  }
  const found = rowsOf(aggregator, aggregator.commit());
  assert.equal(found.size, sums.size);
  for (const [row, sum] of sums) assert.equal(found.get(row)?.sum, sum, row);
  // memory is given back step by step, and nothing is lost on the way
  for (let i = 0; i < 12; i++) {
    ingest(aggregator, `host0. ${i}\nhost1. ${i}\nhost0. 1 ${now - 50}\n`);
    assert.equal(aggregator.commit().count, 3);
  }
});

test("one series with a day of buckets costs a look-up a point, and so does another one beside it", () => {
  const aggregator = make();
  for (let i = 0; i < 8640; i++)
    ingest(aggregator, `a 1 ${now - i * 10}\nb 2 ${now - ((i * 4099) % 8640) * 10}\n`);
  for (let i = 0; i < 8640; i++) ingest(aggregator, `a 1 ${now - i * 10}\n`);
  const found = rowsOf(aggregator, aggregator.commit());
  assert.equal(found.size, 2 * 8640);
  for (const [row, summary] of found) assert.equal(summary.points, row.startsWith("1 a") ? 2 : 1, row);
});

test("names that differ little, and names as long as may be, are kept apart", () => {
  const aggregator = make();
  const names = new Set<string>();
  for (let length = 1; length <= 40; length++) {
    const base = "y".repeat(length);
    for (let at = 0; at < length; at++) names.add(`${base.slice(0, at)}z${base.slice(at + 1)}`);
  }
  names
    .add("m".repeat(1000))
    .add(`${"m".repeat(999)}n`)
    .add(`n${"m".repeat(999)}`)
    .add("m".repeat(999));
  for (let pass = 0; pass < 2; pass++) ingest(aggregator, [...names].map((name) => `${name} 1\n`).join(""));
  assert.equal(aggregator.seriesCount, names.size);
  const found = rowsOf(aggregator, aggregator.commit());
  for (const name of names) assert.equal(found.get(`1 ${name} ${now}`)?.points, 2, name);
});
