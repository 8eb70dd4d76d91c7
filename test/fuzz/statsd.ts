// StatsD lines are judged as the oracle judges them, wherever they lie and whatever lies around them.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { reasons } from "../../src/metric/reason.ts";
import { readStatsd, StatsdLine } from "../../src/metric/statsd.ts";
import { fromLatin1, latin1, pick, utf8, type Fuzzer } from "./fuzzer.ts";
import { judgeStatsd, type JudgedStatsd, type StatsdValue } from "./statsd-oracle.ts";

const line = new StatsdLine();
const types = ["counter", "gauge", "timer", "set"] as const;

/** What `readStatsd` says of a line without its end; undefined when it is blank. */
export function readStatsdText(
  text: string,
  keyed: boolean,
  before = "",
  after = "\n",
): JudgedStatsd | undefined {
  const bytes = fromLatin1(before + text + after);
  const from = before.length;
  readStatsd(bytes, from, bytes.length, keyed, line);
  assert.equal(line.finished, after.startsWith("\n"));
  assert.equal(line.end, from + text.length);
  if (line.blank) return undefined;
  const reason = reasons[line.reason] ?? "ok";
  const values: StatsdValue[] = [];
  for (let i = 0; i < line.count && reason === "ok"; i++) {
    const type = types[line.types[i] ?? 0] ?? "counter";
    const value =
      type === "set" ? latin1(bytes.subarray(line.valueFrom[i], line.valueTo[i])) : (line.values[i] ?? 0);
    values.push({ type, value, rate: line.rates[i] ?? 0, signed: line.signed[i] === 1 });
  }
  return {
    reason,
    key: latin1(bytes.subarray(line.keyFrom, line.keyTo)),
    rest: latin1(bytes.subarray(line.from, line.to)),
    name: reason === "ok" ? latin1(line.clean.subarray(0, line.cleanLength)) : "",
    values,
  };
}

/** Lines from good to odd; mostly good in most of their parts. */
export function statsdText(random: Random): string {
  const odd = () => random.below(12) === 0;
  const name = odd()
    ? pick(random, [
        "",
        ".",
        "..",
        ";",
        "a;b",
        ";x=1",
        "_e{5,4}",
        "_sc",
        "_sc|x",
        "é",
        "~",
        utf8("zürich.a"),
        "n".repeat(1000),
      ])
    : pick(random, ["a", "web.cpu", "a b/c", "x;env=prod", "x;b=2;a=1", "..a..b.", "KEY", "n".repeat(978)]);
  let text = `${odd() ? pick(random, ["", " ", ".", "KEY"]) : "KEY."}${name}`;
  const pieces = odd() ? random.below(4) : 1;
  for (let piece = 0; piece < pieces; piece++) {
    const count = 1 + (random.below(4) === 0 ? random.below(3) : 0);
    text += `:${Array.from({ length: count }, () => valueText(random)).join(":")}`;
    if (!odd())
      text += `|${odd() ? pick(random, ["", "x", "msx", "cc", "G", " c "]) : pick(random, ["c", "g", "ms", "h", "d", "s"])}`;
    if (random.below(3) === 0)
      text += `|@${pick(random, ["0.1", "1", ".5", "0.25", "1e-9", "0", "2", "-1", "", "x", "1e-10", " 0.5 ", "nan"])}`;
  }
  while (random.below(3) === 0)
    text += pick(random, [
      "|#env:prod,b:2",
      "|#a,b:,:c,d:e:f,g=h",
      "|#",
      "|#,, x : y z ,",
      `|#k:${"v".repeat(950)}`,
      `|#${"a,".repeat(200)}`,
      "|T1700000000",
      "|c:ci-123",
      "|",
      "|#é:~",
    ]);
  if (odd()) text += pick(random, [" ", "\r", "\t\r", "\x01", ":", "|", "::|", "\x00"]);
  if (random.below(20) === 0) text = text.slice(0, random.below(text.length + 1));
  if (random.below(20) === 0) {
    const at = random.below(text.length + 1);
    text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at);
  }
  if (random.below(300) === 0) text += pick(random, [" ", "x", ":1|c"]).repeat(16_384);
  return text.replaceAll("\n", "");
}

function valueText(random: Random): string {
  return pick(random, [
    "1",
    "320",
    "-5",
    "+7",
    "0.5",
    "1e3",
    "-0",
    "1e308",
    "",
    "nan",
    "inf",
    "x",
    "0x10",
    "2:3",
    " 4 ",
    "u@e",
  ]);
}

export const statsdFuzzer: Fuzzer = {
  name: "statsd",
  smokeRounds: 10_000,
  round(random) {
    const text = statsdText(random);
    const keyed = random.below(2) === 0;
    const after = pick(random, ["\n", "\nb:1|c\n", "\n\n", ""]);
    const got = readStatsdText(text, keyed, pick(random, ["", "a:1|c\n", "."]), after);
    assert.deepStrictEqual(got, judgeStatsd(text, keyed), JSON.stringify(text.slice(0, 300)));
    // What a door passes on, an actor takes: the same line without its key.
    if (keyed && got?.reason === "ok") {
      assert.deepStrictEqual(readStatsdText(got.rest, false), { ...got, key: "" }, JSON.stringify(text));
    }
  },
};
