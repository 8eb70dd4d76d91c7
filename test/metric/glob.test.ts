import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePattern, patternCharsMax } from "../../src/metric/glob.ts";
import { seededRandom } from "../../src/base/random.ts";

function f(pattern: string, name: string, expected: boolean): void {
  assert.equal(compilePattern(pattern).matches(name), expected, `${pattern} on ${name}`);
}

function parts(pattern: string, literal: boolean, nodes: (string[] | string)[]): void {
  const compiled = compilePattern(pattern);
  assert.equal(compiled.literal, literal, pattern);
  assert.deepEqual(
    compiled.nodes.map((node) => node.words ?? node.prefix),
    nodes,
    pattern,
  );
}

test("patterns match names as Graphite does", () => {
  f("a.b", "a.b", true);
  f("a.b", "a.c", false);
  f("a.b", "a.b.c", false);
  f("a.b.c", "a.b", false);
  f("A.b", "a.b", false);
  f("*", "a", true);
  f("*", "a.b", false);
  f("*.*", "a.b", true);
  f("web.*.cpu", "web.a.cpu", true);
  f("web.*.cpu", "web.a.b.cpu", false);
  f("web.*", "web.", true);
  f("a*", "a", true);
  f("a*c", "abbbc", true);
  f("a*c", "abbbcd", false);
  f("a**c", "ac", true);
  f("a*a", "a", false);
  f("a*a", "aa", true);
  f("ab*bc", "abc", false);
  f("ab*bc", "abbc", true);
  f("*\u{1f600}", "a\u{1f600}", true);
  f("{a,b}*", "bc", true);
  f("*a*b", "xxaxxb", true);
  f("*a*b", "xxbxxa", false);
  f("a?c", "abc", true);
  f("a?c", "ac", false);
  f("a?c", "aßc", true);
  f("a?c", "a\u{1f600}c", true);
  f("a??c", "a\u{1f600}c", false);
  f("[abc]", "b", true);
  f("[abc]", "d", false);
  f("[a-z]1", "q1", true);
  f("[a-z]1", "Q1", false);
  f("[z-a]", "m", false);
  f("[!a]", "b", true);
  f("[!a]", "a", false);
  f("[!a]", "", false);
  f("[!a-c]x", "bx", false);
  f("[^a]", "^", true); // fnmatch negates with ! only
  f("[^a]", "b", false);
  f("[]a]", "]", true);
  f("[!]a]", "]", false);
  f("[a-]", "-", true);
  f("[*?]", "*", true);
  f("[*?]", "x", false);
  f("x[ab", "x[ab", true); // never closed: ordinary characters
  f("x[ab", "xa", false);
  f("x[a*", "x[anything", true);
  f("{a,b}", "a", true);
  f("{a,b}", "b", true);
  f("{a,b}", "c", false);
  f("{a,b}", "{a,b}", true);
  f("x{a,b}y.{c,d}", "xby.d", true);
  f("x{a,b}y.{c,d}", "xy.d", false);
  f("x{,b}", "x", true);
  f("{a*,b?}z", "aqqqz", true);
  f("{a*,b?}z", "bqz", true);
  f("{a*,b?}z", "bqqz", false);
  f("{a[12],b}", "a2", true);
  f("{[a,b],c}", "c", true);
  f("{x}", "x", true);
  f("a}b", "a}b", true);
  f("a,b", "a,b", true);
  f("{a,{b,c}}", "b", false); // no nesting: finds nothing, no error
  f("{a,{b,c}}", "{a,{b,c}}", true);
  f("{a.b,c.d}", "a.b", false); // braces don't span dots
  f("{a.b,c.d}", "{a.b,c.d}", true);
  f("{a", "{a", true);
  f("{a*", "{abc", false);
  f("", "", true);
  f("", "a", false);
  f("a..b", "a..b", true);
  f("a.*.b", "a..b", true);
  f("a\\*", "a\\b", true); // a backslash is an ordinary character
});

test("tagged names are found by their whole name, and by patterns that have tags", () => {
  f("disk.used;host=a.b", "disk.used;host=a.b", true);
  f("disk.used;host=*", "disk.used;host=*", true);
  f("disk.used;host=[a", "disk.used;host=[a", true);
  f("disk.used;host={a,{b", "disk.used;host={a,{b", true);
  f("disk.used;host=*", "disk.used;host=a.b.c", true);
  f("disk.*;host=a.?", "disk.used;host=a.b", true);
  f("disk.*;host=a.?", "disk.used;host=axb", false);
  f("disk.used;host={a.b,c}", "disk.used;host=a.b", true);
  f("*;*", "disk;host=a", true);
  f("*;*", "disk.used;host=a", false);
  f("disk.*", "disk.used;host=a", false);
  f("disk.used;host=*", "disk.used", false);
  f("disk.used", "disk.used;host=a", false);
});

test("the literal parts of a pattern are known", () => {
  parts("a.b", true, [["a"], ["b"]]);
  parts("a.b*", false, [["a"], "b"]);
  parts("web[1-3].x", false, ["web", ["x"]]);
  parts("{b,a}c", false, [["ac", "bc", "{b,a}c"]]);
  parts("{b*,a}c", false, [""]);
  parts("*", false, [""]);
  parts("{a", true, [["{a"]]);
  assert.equal(compilePattern("{web1,web2}").nodes[0]?.prefix, ""); // its own spelling begins with a brace
  assert.equal(compilePattern("x{1,2}").nodes[0]?.prefix, "x");
});

test("G1: hostile patterns cost no more than text times pattern", () => {
  // Backtracking would need 2^30 steps and more for each of these: the test would not end.
  const text = "a".repeat(1000);
  const hostile = (pattern: string, expected: boolean) =>
    assert.equal(compilePattern(pattern).matches(text), expected);
  hostile(`${"*a".repeat(200)}*b`, false);
  hostile(`${"{a,aa}".repeat(200)}b`, false);
  hostile(`${"{a,a,*}".repeat(100)}b`, false);
  hostile("{*,a*}".repeat(100), true);
  hostile("?".repeat(1000), true);
  hostile("{".repeat(60_000), false);
  hostile("{a,b}".repeat(12_000), false);
  hostile("{,}".repeat(20_000), false);
  hostile(`${"{a,b}".repeat(12)}${"c".repeat(60_000)}`, false); // 4,096 words of 60,000 characters
  hostile("*".repeat(patternCharsMax + 1), false);
  hostile("*".repeat(patternCharsMax), true);
  assert.ok(compilePattern("{,a,*}".repeat(10_000)).matches("")); // a way of 30,000 steps without a character
  const many = compilePattern(`{${Array.from({ length: 3000 }, (_, i) => `host${i}`).join(",")}}`);
  assert.equal(many.nodes[0]?.words?.length, 3001);
  assert.ok(many.matches("host2999"));
});

test("wildcards agree with a naive matcher on random texts", () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const pick = (from: string[]) => from[random.below(from.length)] ?? "";
  const naive = (pattern: string, text: string): boolean => {
    if (pattern === "") return text === "";
    if (pattern.startsWith("{")) {
      const end = pattern.indexOf("}");
      const rest = pattern.slice(end + 1);
      return pattern
        .slice(1, end)
        .split(",")
        .some((choice) => naive(choice + rest, text));
    }
    if (pattern.startsWith("*"))
      return naive(pattern.slice(1), text) || (text !== "" && naive(pattern, text.slice(1)));
    if (text === "") return false;
    if (pattern.startsWith("[ab]"))
      return (text[0] === "a" || text[0] === "b") && naive(pattern.slice(4), text.slice(1));
    return (pattern[0] === "?" || pattern[0] === text[0]) && naive(pattern.slice(1), text.slice(1));
  };
  let matched = 0;
  for (let i = 0; i < 3000; i++) {
    const pattern = Array.from({ length: 1 + random.below(6) }, () =>
      pick(["a", "b", "c", "*", "?", "[ab]", "{a,bc}", "{,*b}"]),
    ).join("");
    const text = Array.from({ length: random.below(7) }, () => pick(["a", "b", "c"])).join("");
    const expected = naive(pattern, text);
    if (expected) matched++;
    assert.equal(compilePattern(pattern).matches(text), expected, `seed ${seed}: ${pattern} on ${text}`);
  }
  assert.ok(matched > 300, `seed ${seed}: only ${matched} matched`);
});
