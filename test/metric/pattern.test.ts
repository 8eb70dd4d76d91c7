import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { judgePattern } from "../../src/metric/pattern.ts";

/** The source it becomes, or what is wrong with it. */
function f(text: string, expected: string | RegExp): void {
  const judged = judgePattern(text);
  if (typeof expected === "string") assert.deepEqual(judged, { kind: "pattern", source: expected }, text);
  else assert.match(judged.kind === "invalid" ? judged.why : `taken: ${judged.source}`, expected, text);
}

const same = (text: string) => f(text, text);

test("P1: what is the same in Python and here stays", () => {
  for (const text of [
    String.raw`^carbon\.`,
    ".*",
    String.raw`\.(count|count_ps|sum)$`,
    String.raw`^stats\..*\.cpu\..*\.idle$`,
    String.raw`^([^.]+)\.([^.]+)\.([^.]+)\.([^.]+)\.cpu$`,
    String.raw`^(?!carbon\.).*\.count$`,
    String.raw`^collectd\..*\.(?:df|disk)-[^.]+\.`,
    String.raw`^servers\.web\d{2}\.[a-z_]{1,8}?\.x`,
    String.raw`^(\w+\.)+x`,
    "(?<host>[a-z]+)1",
    "disk;host=a",
    "^ä",
    "a-b/c",
  ])
    same(text);
});

test("P1: what only Python writes so is translated", () => {
  f("^(?P<host>[^.]+)", "^(?<host>[^.]+)");
  f(String.raw`\Aa\Z`, "^a$");
  f("[]a]", String.raw`[\]a]`);
  f("[^]a]", String.raw`[^\]a]`);
  f("a{,3}b", "a{0,3}b");
  f("x{y}", String.raw`x\{y\}`);
  f("a]b", String.raw`a\]b`);
  f(String.raw`a\-b\_c`, "a-b_c");
});

test("P1: what would mean something else is refused, with a sentence", () => {
  f("", /empty/);
  f("x".repeat(1001), /longer than 1000/);
  f("a # all", /space/);
  f("(?i)abc", /flags/);
  f("(?P=x)", /back-references/);
  f(String.raw`(a)\1`, /back-references/);
  f(String.raw`a\z`, /\\z is not served/);
  f(String.raw`a\x41`, /\\x is not served/);
  f(String.raw`[\b]`, /\\b in \[\.\.\.\] is not served/);
  f("(?#x)a", /\(\?# is not served/);
  f("(?>a)", /\(\?> is not served/);
  f("a++", /possessive/);
  f("a**", /two repeats/);
  f("*a", /\* repeats nothing/);
  f("^*", /\^ can't be repeated/);
  f("(a", /a \( without/);
  f("a)", /a \) without/);
  f("[a", /a \[ without/);
  f("a\\", /a \\ at the end/);
  f("a{2000}", /more than 1000 times/);
  f("a{,}", /is no repeat/);
  f("(?P<1>a)", /needs a name/);
  f("(?P<x>a)(?P<x>b)", /Duplicate capture group name/);
  f("[z-a]", /Range out of order/);
  f(`${"(".repeat(30)}a${")".repeat(30)}`, /more than 20 deep/);
});

test("P2: what could hang is refused", () => {
  for (const text of ["(a+)+b", "(a|a)*b", "(a|ab)*b", "(.*a)*", "(a?)*b", "([a-z]+)*$", "((ab)*c*)+d"])
    f(text, /years/);
  for (const text of [
    "^.*a.*b.*c.*d$",
    ".*a.*b.*c$",
    `${"a?".repeat(40)}${"a".repeat(40)}`,
    "(a|a){30}b",
    "^(.*a){4}b",
    "a{1,900}a{1,900}a{1,900}b",
  ])
    f(text, /minutes/);
  // What never fails costs nothing.
  for (const text of [String.raw`^a\..*\.b\..*\.c\..*`, String.raw`^a\..*\.b\..*\.c\..*$`]) same(text);
});

test("P2: what is taken answers in time, whatever the name", (t) => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  const atom = (depth: number): string =>
    depth < 2 && random.below(5) === 0
      ? `(${some(depth + 1)}${random.below(2) === 0 ? `|${some(depth + 1)}` : ""})`
      : pick(["a", "a", "b", ".", "[ab]", "[^b]", String.raw`\.`, String.raw`\w`]);
  const some = (depth: number): string =>
    Array.from(
      { length: 1 + random.below(5) },
      () => atom(depth) + pick(["", "", "", "*", "+", "?", "{2}", "{0,3}", "*?"]),
    ).join("");
  /** More than these are not worth their time in every run. */
  const timed = Number(process.env["MILLRACE_PATTERNS"] ?? 200);
  let taken = 0;
  let slowest = 0;
  for (let i = 0; i < 3000; i++) {
    const text = `${random.below(3) > 0 ? "^" : ""}${some(0)}${random.below(2) === 0 ? "$" : "c"}`;
    const judged = judgePattern(text);
    if (judged.kind === "invalid") continue;
    assert.deepEqual(judgePattern(judged.source), judged, "judged again it is the same");
    taken += 1;
    if (taken > timed) continue;
    for (const name of ["a".repeat(1000), "ab".repeat(500), "aaab.".repeat(200)]) {
      const startedMs = performance.now();
      new RegExp(judged.source).test(name);
      const ms = performance.now() - startedMs;
      slowest = Math.max(slowest, ms);
      assert.ok(ms < 20_000, `${text} takes ${ms} ms`);
    }
  }
  t.diagnostic(`${taken} patterns taken, the slowest name took ${slowest.toFixed(0)} ms`);
  assert.ok(taken > timed);
});
