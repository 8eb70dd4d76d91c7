import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../fuzz/fuzzer.ts";
import { judgeStatsd } from "../fuzz/statsd-oracle.ts";
import { readStatsdText } from "../fuzz/statsd.ts";

const letters = { counter: "c", gauge: "g", timer: "ms", set: "s" } as const;

/** A judged line as `name value type rate ...`, or its reason. */
function f(text: string, expected: string | undefined, keyed = false): void {
  const judged = readStatsdText(text, keyed);
  const said =
    judged === undefined || judged.reason !== "ok"
      ? judged?.reason
      : [
          judged.name,
          ...judged.values.map(
            ({ type, value, rate, signed }) =>
              `${signed ? "±" : ""}${value}${letters[type]}${rate === 1 ? "" : `@${rate}`}`,
          ),
        ].join(" ");
  assert.equal(said, expected, text.slice(0, 200));
  assert.deepEqual(judged, judgeStatsd(text, keyed), text.slice(0, 200));
}

test("types, values, rates", () => {
  f("a:1|c", "a 1c");
  f("a.b:320|ms|@0.1", "a.b 320ms@0.1");
  f("a:320|h", "a 320ms");
  f("a:320|d|@0.5", "a 320ms@0.5");
  f("a:-3.5|ms", "a -3.5ms");
  f("a:5|g", "a 5g");
  f("a:+5|g", "a ±5g");
  f("a:-5|g", "a ±-5g");
  f("a:-5|c", "a -5c");
  f("a:765|s", "a 765s");
  f("a:2001:db8::1|s", "a 2001:db8::1s");
  f("a:x y|s|@0.5", "a x ys@0.5");
  f("a:1|c|@1", "a 1c");
  f(" a:1|c \r", "a 1c");
  f("a: 1 | c | @0.5", "a 1c"); // a field that begins with a blank is none that is known
});

test("several values", () => {
  f("a:1:2:3|ms", "a 1ms 2ms 3ms");
  f("a:1:2|ms|@0.5|#k:v", "a;k=v 1ms@0.5 2ms@0.5");
  f("a:1|c:320|ms|@0.1:7|g", "a 1c 320ms@0.1 7g");
  f("a:1|c|@0.1:2|c", "a 1c@0.1 2c");
  f("a:1|c:", "malformed");
  f("a:1|c:2", "malformed");
  f("a:1:|ms", "bad-value");
  f("a:1:x|ms", "bad-value");
  f("a:1|c:x|c", "bad-value");
});

test("tags", () => {
  f("a:1|c|#env:prod,dc:b", "a;env=prod;dc=b 1c");
  f("a:1|c|@0.5|#env:prod|c:ci-1|T1700000000", "a;env=prod 1c@0.5");
  f("a:1|c|#env:prod|@0.5", "a;env=prod 1c@0.5");
  f("a:1|c|#alone,b:,c:1", "a;alone=true;b=true;c=1 1c");
  f("a:1|c|#", "a 1c");
  f("a:1|c|#,:x,b:1", "a;b=1 1c");
  f("a:1|c|#url:http://x:80/y", "a;url=http:--x:80-y 1c");
  f("a:1|c|#k=v", "a;k=v 1c");
  f("a;env=prod:1|c|#b:2", "a;env=prod;b=2 1c");
  f("a;flag:1|c", "a;flag=true 1c");
  f("a:1|c|#my tag: some  value ,x/y:z", "a;my_tag=_some_value;x-y=z 1c");
  f(utf8("a:1|c|#city:Zürich"), "a;city=Zrich 1c");
});

test("names are cleaned", () => {
  f("a  b/c:1|c", "a_b-c 1c");
  f("a!@#$%^&*()b:1|c", "ab 1c");
  f(utf8("größe:1|c"), "gre 1c");
  f("a\x00b:1|c", "ab 1c");
  f(":1|c", "bad-name");
  f("...:1|c", "bad-name");
  f("!!:1|c", "bad-name");
  f(";a=1:1|c", "bad-name");
  f(`${"n".repeat(982)}:1|c`, `${"n".repeat(982)} 1c`);
  f(`${"n".repeat(983)}:1|c`, "name-too-long");
  f(`${"!".repeat(983)}n:1|c`, "n 1c");
  f(`a:1|c|#k:${"v".repeat(978)}`, `a;k=${"v".repeat(978)} 1c`);
  f(`a:1|c|#k:${"v".repeat(979)}`, "name-too-long");
  f(`a:1|c|#${"t,".repeat(500)}`, "name-too-long");
});

test("what is refused", () => {
  f("", undefined);
  f(" \t\r", undefined);
  f("a", "malformed");
  f("a 1", "malformed");
  f("a:1", "malformed");
  f("a:", "malformed");
  f("a|c", "malformed");
  f("a|c:1", "malformed");
  f("a:|c", "bad-value");
  f("a:x|c", "bad-value");
  f("a:0x10|c", "bad-value");
  f("a:inf|ms", "bad-value");
  f("a:nan|ms", "nan");
  f("a:|s", "bad-value");
  f("a:1|", "bad-type");
  f("a:1|x", "bad-type");
  f("a:1|C", "bad-type");
  f("a:1|toString", "bad-type");
  f("a:1|c|@0", "bad-value");
  f("a:1|c|@1.1", "bad-value");
  f("a:1|c|@-0.5", "bad-value");
  f("a:1|c|@", "bad-value");
  f("a:1|c|@1e-10", "bad-value");
  f("a:1e308|c|@0.1", "bad-value");
  f("a:1e308|ms|@0.1", "a 1e+308ms@0.1");
  f("_e{5,4}:title|text", "bad-type");
  f("_sc|name|0", "bad-type");
  f("_sc:1|c", "_sc 1c");
  f("x".repeat(16_385), "line-too-long");
  f(`a:${"1:".repeat(8189)}1|c`, `a${" 1c".repeat(8190)}`);
});

test("keys", () => {
  f("KEY.a:1|c", "a 1c", true);
  f("KEY.a.b:1|c", "a.b 1c", true);
  f("a:1|c", "no-key", true);
  f("a:1.5|c", "no-key", true);
  f(".a:1|c", "no-key", true);
  f("K Y.a:1|c", "no-key", true);
  f("KEY.:1|c", "bad-name", true);
  f("KEY._e{1,1}:a|b", "bad-type", true);
  f("_e{1,1}:a|b", "no-key", true);
  const judged = readStatsdText(" KEY.a:1|c ", true);
  assert.equal(`${judged?.key} ${judged?.rest}`, "KEY a:1|c");
});
