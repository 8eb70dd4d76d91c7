import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createStatsdRouter } from "../../src/kernel/statsd-router.ts";
import { fromLatin1 } from "../fuzz/fuzzer.ts";
import { cutAtRandom, routePackets } from "../fuzz/router.ts";
import { judgeStatsd } from "../fuzz/statsd-oracle.ts";
import { statsdText } from "../fuzz/statsd.ts";

const router = createStatsdRouter();

test("a packet of several lines", () => {
  const text = "KEY.a:1|c\n\nKEY.b:x|c\r\nb:1|c\nKEY.c:1|ms";
  assert.deepEqual(routePackets(router, [fromLatin1(text)], true), [
    { reason: "ok", key: "KEY", rest: "a:1|c", seconds: Number.NaN },
    { reason: "bad-value", key: "KEY", rest: "b:x|c", seconds: Number.NaN },
    { reason: "no-key", key: "", rest: "b:1|c", seconds: Number.NaN },
    { reason: "ok", key: "KEY", rest: "c:1|ms", seconds: Number.NaN },
  ]);
});

test("rows are the oracle's, however the bytes are cut", () => {
  const seed = 3;
  for (let round = 0; round < 40; round++) {
    const random = seededRandom(seed + round);
    const keyed = random.below(2) === 0;
    const lines = Array.from({ length: random.below(round === 0 ? 3000 : 60) }, () => statsdText(random));
    if (random.below(3) === 0) lines.push("x".repeat(40_000), statsdText(random));
    const bytes = fromLatin1(lines.join("\n"));
    const expected = lines.flatMap((line) => {
      const judged = judgeStatsd(line, keyed);
      if (judged === undefined) return [];
      const { reason, key, rest } = judged;
      return [{ reason, key, rest, seconds: Number.NaN }];
    });
    assert.deepEqual(routePackets(router, [bytes], keyed), expected);
    assert.deepEqual(routePackets(router, cutAtRandom(random, bytes), keyed), expected);
  }
});
