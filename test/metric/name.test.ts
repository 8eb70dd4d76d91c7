import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalName, canonicalText, isPlain, parseTagged } from "../../src/metric/name.ts";

function f(text: string, expected: string) {
  assert.equal(canonicalText(text), expected);
  assert.equal(canonicalText(expected), expected, "canonical once is canonical for good");
  const bytes = new TextEncoder().encode(text);
  const name = canonicalName(bytes, 0, bytes.length);
  assert.equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(name), expected);
  assert.notEqual(name.buffer, bytes.buffer, "bytes of its own");
}

test("canonical names as rows", () => {
  // nodes
  f("a", "a");
  f("a.b.c", "a.b.c");
  f("a..b", "a.b");
  f("a....b...c", "a.b.c");
  f(".a", "a");
  f("..a.b.", "a.b");
  f("a/b", "a/b");
  f("a/../b", "a/./b");
  f("\ufeffa", "\ufeffa");
  // tags
  f("a;x=1", "a;x=1");
  f("a;y=2;x=1", "a;x=1;y=2");
  f("a;x=1;x=2", "a;x=2");
  f("a;x=2;y=1;x=1", "a;x=1;y=1");
  f("a..b;x=c..d.", "a.b;x=c..d.");
  f("a;x=b=c", "a;x=b=c");
  f("a;host=1;host2=2", "a;host2=2;host=1"); // as carbon sorts: 2 is before =
  f("a;B=1;a=2;b=3", "a;B=1;a=2;b=3");
  f("a;\u{1f600}=1;\uffee=2;é=3", "a;é=3;\uffee=2;\u{1f600}=1");
  f("a;name=b;x=1", "a;x=1");
  f("a;name=b", "a");
  f("~a;x=1", "a;x=1");
  f("~.~a", "a");
  f("a;x=1~", "a;x=1~");
  // OpenMetrics
  f('a{x="1"}', "a;x=1");
  f('a{y="2",x="1"}', "a;x=1;y=2");
  f('a..b{x="1"}', "a.b;x=1");
  f('a{x="\\"q\\\\"}', 'a;x="q\\');
  f('a{x="1"}.', "a;x=1");
  // invalid parts: the whole text is the name
  f("a;x", "a;x");
  f("a;x=1;", "a;x=1;");
  f("a;x=", "a;x=");
  f("a;=1", "a;=1");
  f("a;y=1;x!=1", "a;y=1;x!=1");
  f("a;x^=1", "a;x^=1");
  f("a;y=1;x=~1", "a;y=1;x=~1");
  f(";x=1", ";x=1");
  f("..;x=1", ";x=1");
  f("~;x=1", "~;x=1");
  f("~", "~");
  f("a..b;x=", "a.b;x=");
  f('a{x=""}', 'a{x=""}');
  f('a{x="1",}', 'a{x="1",}');
  f('a{x="1"y="2"}', 'a{x="1"y="2"}');
  f('a{x="{"}', 'a{x="{"}');
  f('a{x="~1"}', 'a{x="~1"}');
  f('a{x="1;2"}', 'a{x="1;2"}');
  f('{x="1"}', '{x="1"}');
  f('a;y=1{x="1"}', 'a;y=1{x="1"}');
  f("a{}", "a{}");
});

test("tags of a name", () => {
  assert.deepEqual(parseTagged("a;x=1;y=2"), {
    name: "a",
    tags: new Map([
      ["x", "1"],
      ["y", "2"],
    ]),
  });
  assert.deepEqual(parseTagged("a.b"), { name: "a.b", tags: new Map() });
  assert.equal(parseTagged("a;x"), undefined);
});

function plain(text: string, expected: boolean) {
  const bytes = new TextEncoder().encode(`.${text}.`);
  assert.equal(isPlain(bytes, 1, bytes.length - 1), expected, text);
}

test("plain names need no second look", () => {
  plain("a.b.c", true);
  plain("café", true);
  for (const text of [".a", "a.", "a..b", "a;x=1", 'a{x="1"}', "~a"]) plain(text, false);
});
