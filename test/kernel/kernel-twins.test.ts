// The kernel beside its twin where chance would seldom lead: the recorded odd lines, tables that grow and shrink, long
// histories. The rest is test/fuzz.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findRoot } from "../../bin/setup/root.mjs";
import { seededRandom } from "../../src/base/random.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { createPlainRouter } from "../../src/kernel/plain-router.ts";
import { fromLatin1 } from "../fuzz/fuzzer.ts";
import { compareLine } from "../fuzz/kernel-line.ts";
import { compareNumber } from "../fuzz/kernel-number.ts";
import { checkRuns } from "../fuzz/kernel-router.ts";
import { cutAtRandom, routePackets } from "../fuzz/router.ts";
import { Twins } from "../fuzz/twin-history.ts";

const now = 1_790_000_000;
const file = join(findRoot(import.meta.url) ?? "", "../shared/conformance/malformed/malformed.json");

interface Case {
  id: string;
  proto: string;
  parts: ({ hex: string } | { rep: [string, number] } | { ts: number })[];
}

function payload(one: Case): string {
  const texts = one.parts.map((part) => {
    if ("hex" in part) return Buffer.from(part.hex, "hex").toString("latin1");
    if ("rep" in part) return Buffer.from(part.rep[0], "hex").toString("latin1").repeat(part.rep[1]);
    return String(now + part.ts);
  });
  return texts.join("");
}

function twinsOf(seriesMax: number, rowsMax: number): Twins {
  const random = seededRandom(7);
  const options = { stepSeconds: 10, seriesMax };
  return new Twins(
    createPlainAggregator({ ...options, seed: random.bytes(8) }),
    createKernelAggregator({ ...options, seed: random.bytes(8), rowsMax }),
  );
}

test("every odd line that was recorded is the same for both", () => {
  if (!existsSync(file)) {
    console.error(`THE KERNEL HAS NOT SEEN THE ODD LINES: their record is not at ${file}`);
    return;
  }
  const cases = (JSON.parse(readFileSync(file, "utf8")) as Case[]).filter(({ proto }) => proto !== "pickle");
  assert.ok(cases.length > 75, "the record has its cases");
  const random = seededRandom(8);
  const plain = createPlainRouter();
  const kernel = createKernelRouter();
  const twins = twinsOf(1000, 200_000);
  for (const one of cases) {
    const bare = payload(one);
    for (const [keyed, text] of [
      [false, bare],
      [true, bare.replaceAll("mal.", "KEY.mal.")],
      [true, bare],
    ] as const) {
      const bytes = fromLatin1(text);
      for (let at = 0; at < bytes.length; ) at = compareLine(bytes, at, keyed, random) + 1;
      const rows = routePackets(plain, [bytes], keyed);
      assert.deepEqual(routePackets(kernel, [bytes], keyed, checkRuns(kernel)), rows, one.id);
      assert.deepEqual(routePackets(kernel, cutAtRandom(random, bytes), keyed), rows, one.id);
    }
    twins.ingest("plaintext", 1, bare, now * 1000);
  }
  twins.commit();
  twins.compareNames();
});

test("numbers that once were somebody's bug", () => {
  const random = seededRandom(9);
  const f = (...texts: string[]) => {
    for (const text of texts)
      for (const sign of ["", "-", "+"]) for (let i = 0; i < 4; i++) compareNumber(sign + text, random);
  };
  f(
    "0",
    "0.0",
    "00",
    ".0",
    "0.",
    "0e999999",
    "000000000000000000000000000000001",
    "1e-0",
    "1E+00000000000001",
  );
  f("2.2250738585072011e-308", "2.2250738585072012e-308", "2.2250738585072014e-308", "4.9e-324", "5e-324");
  f("2.4703282292062327e-324", "2.4703282292062328e-324", "2.47e-324", "1e-323", "1e-400", "1e-99999999999");
  f(
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "1e308",
    "1e309",
    "1e99999999999",
  );
  f(
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "9007199254740995",
    "9007199254740993.0000000001",
  );
  f(
    "9999999999999999",
    "99999999999999999",
    "9999999999999999999",
    "10000000000000000000",
    "18446744073709551616",
  );
  f("0.1", "0.3", "123456789012345.", ".123456789012345", "1234567.89012345", "0.000001", "1e23", "8.5e22");
  f(
    "6250000000000000000000000000000000e-12",
    "5".repeat(400),
    `${"0".repeat(400)}1`,
    `0.${"0".repeat(400)}1e401`,
  );
  f(
    "nan",
    "NaN",
    "nAN",
    "nanx",
    "na",
    "inf",
    "Infinity",
    "0x10",
    "1_0",
    "1e",
    "1e+",
    "e1",
    ".",
    "..",
    "1..2",
    "",
  );
});

test("200,000 series, asked for again, forgotten and refused", () => {
  const twins = twinsOf(200_500, 500_000);
  const lines = (from: number, to: number, spelled: string) => {
    let text = "";
    for (let i = from; i < to; i++)
      text += `host${i % 997}.app${i}.${"x".repeat(i % 50)}${spelled} ${i} ${now}\n`;
    return text;
  };
  twins.ingest("plaintext", 1, lines(0, 200_000, "m"), now * 1000);
  twins.commit();
  for (let series = 0; series < 200_000; series += 1000) twins.forget(series);
  twins.deny(0.3);
  twins.ingest("plaintext", 1, lines(199_000, 202_000, "m") + lines(0, 3000, "m."), now * 1000 + 5);
  twins.ingest("plaintext", 2, lines(0, 1000, "m"), now * 1000 + 6);
  assert.equal(twins.seriesCount, 200_500, "all places are taken");
  twins.commit();
  twins.compareNames();
});

test("late points: their table grows, shrinks and grows over what was there", () => {
  const twins = twinsOf(1000, 200_000);
  const random = seededRandom(10);
  for (const rows of [
    100, 600, 3000, 20, 2000, 10_000, 0, 5, 5, 5, 5, 5000, 40_000, 300, 0, 300, 300, 300, 20_000,
  ]) {
    let text = "";
    for (let i = 0; i < rows; i++) text += `late${i % 5} 1 ${now - 10 * i}\n`;
    for (let i = 0; i < rows; i++)
      text += `late${i % 5} 2 ${now - 10 * random.below(rows)}\nother${i % 7} 1\n`;
    const counted = twins.ingest("plaintext", 1, text, now * 1000);
    assert.equal(twins.commit(), counted);
  }
});

test("late points: what a table of the commit before left behind is not found", () => {
  const twins = twinsOf(20_000, 200_000);
  const late = (from: number, to: number) => {
    let text = "";
    for (let i = from; i < to; i++) text += `late 1 ${now - 10 * i}\n`;
    return text;
  };
  let others = "";
  for (let i = 0; i < 10_000; i++) others += `other${i} 1 ${now}\n`;
  twins.ingest("plaintext", 1, others + late(0, 3000), now * 1000);
  twins.commit();
  // More than then, among fewer rows: cells of that commit lie where this one has none yet.
  twins.ingest("plaintext", 1, late(5000, 10_000) + late(0, 3000), now * 1000);
  assert.equal(twins.commit(), 8000);
});

test("the router: input that fills its region, and blanks where a line was too long", () => {
  const plain = createPlainRouter();
  const kernel = createKernelRouter();
  const f = (text: string) => {
    const bytes = fromLatin1(text);
    for (const router of [plain, kernel]) router.route(bytes, 0, bytes.length, { keyed: false, last: true });
    assert.equal(kernel.lines.count, plain.lines.count);
    const { runs } = kernel.lines;
    assert.equal(runs?.count, 1);
    const routed = Buffer.from(runs.text.subarray(runs.textFrom[0], runs.textTo[0])).toString("latin1");
    assert.ok(routed === `${text}\n`, `${routed.length} bytes of ${text.length} and a line end`);
  };
  const line = `${"n".repeat(994)} 1 12\n`;
  for (const less of [0, 1, 2]) f(`${line.repeat(131)}${"m".repeat(131_072 - 131_000 - 2 - less)} 1`);
  for (const router of [plain, kernel]) {
    const tooLong = fromLatin1("x".repeat(16_385));
    router.route(tooLong, 0, tooLong.length, { keyed: false, last: false });
    assert.deepEqual([router.lines.count, router.lines.skipping], [1, true]);
    const blanks = fromLatin1("\n  ");
    router.route(blanks, 0, blanks.length, { keyed: false, last: false, skipping: true });
    assert.deepEqual([router.lines.count, router.lines.skipping, router.lines.consumed], [0, false, 1]);
  }
});
