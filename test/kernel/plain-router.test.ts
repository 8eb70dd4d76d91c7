import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createPlainRouter, routedLinesMax, unconsumedBytesMax } from "../../src/kernel/plain-router.ts";
import { reasons } from "../../src/metric/reason.ts";
import { fromLatin1, latin1 } from "../fuzz/fuzzer.ts";
import { lineText } from "../fuzz/line-text.ts";
import { cutAtRandom, oracleRows, routePackets } from "../fuzz/router.ts";

interface Answer {
  rows: string[];
  consumed: number;
  skipping?: boolean;
}

const router = createPlainRouter();

/** One call; rows are written as `reason key|rest@seconds`. */
function f(text: string, options: { keyed?: boolean; last?: boolean; skipping?: boolean }, expected: Answer) {
  const bytes = fromLatin1(`##${text}##`);
  const { keyed = true, last = false, skipping = false } = options;
  router.route(bytes, 2, bytes.length - 2, { keyed, last, skipping });
  const { lines } = router;
  const rows = Array.from({ length: lines.count }, (_, row) => {
    const key = latin1(bytes.subarray(lines.keyFrom[row], lines.keyTo[row]));
    const rest = latin1(bytes.subarray(lines.from[row], lines.to[row]));
    const reason = reasons[lines.reason[row] ?? 0];
    return `${reason} ${key}|${rest}` + (reason === "ok" ? `@${lines.seconds[row]}` : "");
  });
  assert.deepStrictEqual(
    { rows, consumed: lines.consumed - 2, skipping: lines.skipping },
    { skipping: false, ...expected },
    JSON.stringify(text.slice(0, 100)),
  );
}

test("calls as rows", () => {
  f("", {}, { rows: [], consumed: 0 });
  f("K.a 1 2\n", {}, { rows: ["ok K|a 1 2@2"], consumed: 8 });
  f("K.a 1\r\n\n \nL.b 1 -1 \n", {}, { rows: ["ok K|a 1@NaN", "ok L|b 1 -1@NaN"], consumed: 20 });
  f("a 1 2\n", { keyed: false }, { rows: ["ok |a 1 2@2"], consumed: 6 });
  f("a 1 2\nK.b x 3\n", {}, { rows: ["no-key |a 1 2", "bad-value K|b x 3"], consumed: 14 });
  // what has no end stays with the caller, unless nothing follows
  f("K.a 1 2\nK.b 1", {}, { rows: ["ok K|a 1 2@2"], consumed: 8 });
  f("K.b 1", { last: true }, { rows: ["ok K|b 1@NaN"], consumed: 5 });
  f("\n\n  ", { last: true }, { rows: [], consumed: 4 });
});

test("a line that is too long is reported once and skipped", () => {
  const most = "K.".padEnd(unconsumedBytesMax, "x");
  const row = `line-too-long K|${most.slice(2)}`;
  f(most, {}, { rows: [], consumed: 0 });
  f(`${most}\n`, {}, { rows: [`malformed K|${most.slice(2)}`], consumed: most.length + 1 });
  f(`${most}x\nK.a 1 2\n`, {}, { rows: [row, "ok K|a 1 2@2"], consumed: most.length + 10 });
  // without its end: consumed at once, and the caller is told
  f(`${most}x`, {}, { rows: [row], consumed: most.length + 1, skipping: true });
  f(`K.a 1 2\n${most}x`, {}, { rows: ["ok K|a 1 2@2", row], consumed: most.length + 9, skipping: true });
  // its remainder
  f("xx", { skipping: true }, { rows: [], consumed: 2, skipping: true });
  f("", { skipping: true }, { rows: [], consumed: 0, skipping: true });
  f("xx\n", { skipping: true }, { rows: [], consumed: 3 });
  f("xx\nK.a 1 2\nK.", { skipping: true }, { rows: ["ok K|a 1 2@2"], consumed: 11 });
  f("xx", { skipping: true, last: true }, { rows: [], consumed: 2 });
  // the end of the whole input is the end of the line
  f(`${most}x`, { last: true }, { rows: [row], consumed: most.length + 1 });
});

test("full rows stop a call, and the next one goes on", () => {
  const text = "K.a 1 2\n\n".repeat(routedLinesMax + 3);
  const bytes = fromLatin1(text);
  router.route(bytes, 0, bytes.length, { keyed: true, last: false });
  assert.equal(router.lines.count, routedLinesMax);
  const at = router.lines.consumed;
  router.route(bytes, at, bytes.length, { keyed: true, last: false });
  assert.equal(router.lines.count, 3);
  assert.equal(router.lines.consumed, bytes.length);
});

test("R1: random lines give the same rows however they are cut", () => {
  const seed = 77;
  const random = seededRandom(seed);
  for (let round = 0; round < 60; round++) {
    const lines = Array.from({ length: random.below(60) }, () =>
      random.below(40) === 0
        ? "K.".padEnd(16_370 + random.below(30), "x ")
        : `K.${lineText(random, 1_790_000_000)}`,
    );
    const text = lines.join("\n") + (random.below(2) === 0 ? "\n" : "");
    const packets = cutAtRandom(random, fromLatin1(text));
    assert.deepStrictEqual(
      routePackets(router, packets, true),
      oracleRows(text, true),
      `seed ${seed}, round ${round}`,
    );
  }
});

test("2 MB without a line end cost one row and nothing kept", () => {
  const packets = Array.from({ length: 32 }, () => fromLatin1("a".repeat(65_536)));
  const rows = routePackets(router, [...packets, fromLatin1("\nK.a 1 2\n")], true);
  assert.deepEqual(
    rows.map((row) => row.reason),
    ["line-too-long", "ok"],
  );
});
