import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "../fuzz/line.ts";
import { utf8 } from "../fuzz/fuzzer.ts";
import { lineBytesMax, nameBytesMax } from "../../src/metric/line.ts";
import type { Reason } from "../../src/metric/reason.ts";

const now = Number.NaN;

/** A good line: name, value, seconds. */
function f(text: string, name: string, value: number, seconds: number) {
  const read = readText(utf8(text), false);
  assert.deepStrictEqual(
    read && { reason: read.reason, name: read.name, value: read.value, seconds: read.seconds },
    { reason: "ok", name: utf8(name), value, seconds },
    JSON.stringify(text),
  );
}

function refused(text: string, reason: Reason) {
  assert.equal(readText(text, false)?.reason, reason, JSON.stringify(text.slice(0, 100)));
}

test("lines that count, as rows", () => {
  f("a.b 1 2", "a.b", 1, 2);
  f("a.b 1", "a.b", 1, now);
  f("a 1 -1", "a", 1, now);
  f("a 1 -1.0", "a", 1, now);
  f("a 1 -1.9", "a", 1, now);
  f("a 1 -1e0", "a", 1, now);
  f("a 1 -0.9", "a", 1, 0);
  f("a 1 1700000000.999", "a", 1, 1700000000);
  f("a 1 1.7e9", "a", 1, 1700000000);
  f("a 1 1700000000000", "a", 1, 1700000000000); // the year 55,840: its reader refuses it
  f("a -0 2", "a", -0, 2);
  f("a 5. 2", "a", 5, 2);
  f("\t a\t\t1 \v\f2\r", "a", 1, 2);
  f("a\x1c1\x1d2\x1e\x1f", "a", 1, 2);
  f("a 1\r", "a", 1, now);
  f("caf\u00e9.😀 1 2", "caf\u00e9.😀", 1, 2);
  f("\ufeffa 1 2", "\ufeffa", 1, 2);
  f("a\u00a0b 1 2", "a\u00a0b", 1, 2); // white space beyond ASCII does not split
  f("a;b=c;d=e 1 2", "a;b=c;d=e", 1, 2);
  f('a{b="c"} 1 2', 'a{b="c"}', 1, 2);
  f("a..b 1 2", "a..b", 1, 2);
  f(".a 1 2", ".a", 1, 2);
  f("#a 1 2", "#a", 1, 2);
  f(`${"x".repeat(nameBytesMax)} 1 2`, "x".repeat(nameBytesMax), 1, 2);
  f(`${"é".repeat(nameBytesMax / 2)} 1 2`, "é".repeat(nameBytesMax / 2), 1, 2);
  f(`a 1 2${" ".repeat(lineBytesMax - 5)}`, "a", 1, 2);
});

test("lines that are refused, as rows", () => {
  refused("a", "malformed");
  refused("a 1 2 3", "malformed");
  refused("a 1 2\rb 1 2", "malformed"); // a bare CR is a blank: six words
  refused("put a 1 2 host=b", "malformed");
  refused(". 1 2", "bad-name");
  refused("... 1 2", "bad-name");
  refused("a\0b 1 2", "bad-name");
  refused("a\x7f 1 2", "bad-name");
  refused("\x01 1 2", "bad-name");
  refused("a\xc2\x85 1 2", "bad-name"); // U+0085, a control character
  refused("a\xc2\xa0 1 2", "ok");
  refused("x".repeat(nameBytesMax + 1) + " 1 2", "name-too-long");
  refused("a\xff 1 2", "not-utf8");
  refused("a\x80 1 2", "not-utf8");
  refused("a\0\xff 1 2", "not-utf8");
  refused("a\xc3 1 2", "not-utf8"); // cut short
  refused("a\xc0\xaf 1 2", "not-utf8"); // a slash, written too long
  refused("a\xe0\x9f\xbf 1 2", "not-utf8");
  refused("a\xed\xa0\x80 1 2", "not-utf8"); // a surrogate
  refused("a\xf0\x8f\xbf\xbf 1 2", "not-utf8");
  refused("a\xf4\x90\x80\x80 1 2", "not-utf8"); // beyond U+10FFFF
  refused("a\xf5\x80\x80\x80 1 2", "not-utf8");
  refused("a x 2", "bad-value");
  refused("a 0x10 2", "bad-value");
  refused("a 1_000 2", "bad-value");
  refused("a inf 2", "bad-value");
  refused("a -Infinity 2", "bad-value");
  refused(`a ${"1".repeat(400)} 2`, "bad-value");
  refused("a \xff 2", "bad-value");
  refused("a nan 2", "nan");
  refused("a -NaN 2", "nan");
  refused("a 1 nan", "bad-timestamp");
  refused("a 1 inf", "bad-timestamp");
  refused("a 1 1e999", "bad-timestamp");
  refused("a 1 -2", "bad-timestamp");
  refused("a 1 0x5f", "bad-timestamp");
  refused("a 1 17s", "bad-timestamp");
  refused("a 1 \0", "bad-timestamp");
  refused(`a 1 2${" ".repeat(lineBytesMax - 4)}`, "line-too-long");
  refused(" ".repeat(lineBytesMax + 1), "line-too-long");
});

test("blank lines are no lines", () => {
  for (const text of ["", " ", "\r", " \t\r", " ".repeat(lineBytesMax)]) {
    assert.equal(readText(text, false), undefined);
    assert.equal(readText(text, true), undefined);
  }
});

function k(text: string, reason: Reason, key: string, rest: string) {
  const read = readText(text, true);
  assert.deepStrictEqual([read?.reason, read?.key, read?.rest], [reason, key, rest], text);
}

test("keys, as rows", () => {
  k("KEY.a.b 1 2", "ok", "KEY", "a.b 1 2");
  k("  KEY.a.b 1 2 \r", "ok", "KEY", "a.b 1 2");
  k("KEY..a 1", "ok", "KEY", ".a 1");
  k("K\xffY.a 1", "ok", "K\xffY", "a 1"); // a key is looked up, not judged
  k("KEY. 1 2", "bad-name", "KEY", " 1 2");
  k("KEY.. 1 2", "bad-name", "KEY", ". 1 2");
  k("KEY.a x", "bad-value", "KEY", "a x");
  k("KEY.a", "malformed", "KEY", "a");
  k("KEY.a 1 2 3 4 ", "malformed", "KEY", "a 1 2 3 4");
  k("KEY 1 2", "no-key", "", "KEY 1 2");
  k(".a 1 2", "no-key", "", ".a 1 2");
  k("GET / HTTP/1.1", "no-key", "", "GET / HTTP/1.1");
  k("KEY a.b 1", "no-key", "", "KEY a.b 1");
  const long = "x".repeat(lineBytesMax);
  k(`KEY.${long}`, "line-too-long", "KEY", long.slice(4));
  k(` ${long}.a`, "line-too-long", "", long.slice(1));
});
