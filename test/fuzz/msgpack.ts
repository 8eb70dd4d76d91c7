// msgpack of strangers: what a library packs reads back as the same lines; anything else never throws.
import assert from "node:assert/strict";
import { pack } from "msgpackr";
import type { Random } from "../../src/base/random.ts";
import { pointsOfMsgpack } from "../../src/gateway/msgpack.ts";
import { PointLines } from "../../src/gateway/points.ts";
import type { Fuzzer } from "./fuzzer.ts";

export const msgpackFuzzer: Fuzzer = {
  name: "msgpack",
  smokeRounds: 5000,
  round(random) {
    const points = Array.from({ length: random.below(20) }, () => pointOf(random));
    const bytes = pack(points);
    const expected = new PointLines();
    for (const point of points) expected.add(point, () => JSON.stringify(point));
    const read = linesOf(bytes);
    const wanted = expected.take();
    assert.equal(read.lines.toString(), wanted.lines.toString());
    assert.deepEqual(
      read.bad.map(({ line, reason }) => [line, reason]),
      wanted.bad.map(({ line, reason }) => [line, reason]),
    );
    const broken = Buffer.from(bytes);
    for (let n = random.below(4); n >= 0 && broken.length > 0; n--)
      broken[random.below(broken.length)] = random.below(256);
    const some = linesOf(broken.subarray(0, random.below(broken.length + 1)));
    // What is taken is bounded by the bytes there are.
    assert.ok(some.bad.length <= broken.length + 1);
  },
};

function linesOf(bytes: Buffer) {
  const points = new PointLines();
  pointsOfMsgpack(bytes, points);
  return points.take();
}

const values = [
  0,

  1,
  -1,
  127,
  128,
  -33,
  255,
  256,
  65_536,
  -70_000,
  2 ** 31,
  2 ** 53,
  0.1,
  1e300,
  "x",
  null,
  true,
];

function pointOf(random: Random): unknown {
  const name = `n.${"x".repeat(random.below(40))}${random.below(9)}`;
  const value = random.below(3) === 0 ? random.next() * 1e6 : values[random.below(values.length)];
  const time = random.below(2) === 0 ? 1_700_000_000 + random.below(1e8) : undefined;
  if (random.below(2) === 0) return time === undefined ? [name, value] : [name, value, time];
  const tags = random.below(2) === 0 ? { a: "b", c: random.below(100) } : undefined;
  return { name, value, ...(time !== undefined && { time }), ...(tags !== undefined && { tags }) };
}
