// Lines are judged as the oracle judges them, wherever they lie and whatever lies around them.
import assert from "node:assert/strict";
import { Line, readLine } from "../../src/metric/line.ts";
import { reasons } from "../../src/metric/reason.ts";
import { fromLatin1, latin1, pick, type Fuzzer } from "./fuzzer.ts";
import { judgeLine, type JudgedLine } from "./line-oracle.ts";
import { lineText } from "./line-text.ts";

const line = new Line();
const now = 1_790_000_000;

/** What `readLine` says of a line without its end; undefined when it is blank. */
export function readText(text: string, keyed: boolean, before = "", after = "\n"): JudgedLine | undefined {
  const bytes = fromLatin1(before + text + after);
  const from = before.length;
  readLine(bytes, from, bytes.length, keyed, line);
  assert.equal(line.finished, after.startsWith("\n"));
  assert.equal(line.end, from + text.length);
  if (line.blank) return undefined;
  const reason = reasons[line.reason] ?? "ok";
  const known = reason === "ok" || reason === "bad-timestamp";
  return {
    reason,
    key: latin1(bytes.subarray(line.keyFrom, line.keyTo)),
    rest: latin1(bytes.subarray(line.from, line.to)),
    name: reason === "line-too-long" ? "" : latin1(bytes.subarray(line.from, line.nameTo)),
    value: known ? line.value : Number.NaN,
    seconds: reason === "ok" ? line.seconds : Number.NaN,
  };
}

export const lineFuzzer: Fuzzer = {
  name: "line",
  smokeRounds: 10_000,
  round(random) {
    const text = lineText(random, now);
    const keyed = random.below(2) === 0;
    const expected = judgeLine(text, keyed);
    if (expected?.reason === "line-too-long") expected.name = "";
    const after = pick(random, ["\n", "\nb 1 2\n", "\n\n", ""]);
    const got = readText(text, keyed, pick(random, ["", "a 1 2\n", "."]), after);
    assert.deepStrictEqual(got, expected, JSON.stringify(text.slice(0, 200)));
    // What a door passes on, an actor takes: the same line without its key.
    if (keyed && got?.reason === "ok") {
      const stripped = readText(got.rest, false);
      assert.deepStrictEqual(stripped, { ...got, key: "" }, JSON.stringify(text));
    }
  },
};
