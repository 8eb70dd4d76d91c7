// Versions are compared as numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isAtLeast, readVersion } from "../../bin/setup/version.mjs";

test("a version is found in what a program says", () => {
  const f = (text: string, expected: number[] | undefined) =>
    assert.deepEqual(readVersion(text), expected, text);
  f("nats-server: v2.10.27", [2, 10, 27]);
  f("nats-server version 2.9.10\n", [2, 9, 10]);
  f("v2.11.0-RC.1", [2, 11, 0]);
  f("20.19.0", [20, 19, 0]);
  f("2.10", undefined);
  f("", undefined);
});

test("versions grow", () => {
  const growing = ["0.0.1", "1.99.99", "2.9.10", "2.10.0", "2.10.9", "2.10.27", "2.15.1", "10.0.0"];
  for (const [i, a] of growing.entries()) {
    for (const [j, b] of growing.entries()) {
      assert.equal(isAtLeast(readVersion(a), readVersion(b)), i >= j, `${a} >= ${b}`);
    }
  }
  assert.equal(isAtLeast(undefined, [2, 10, 0]), false);
  assert.equal(isAtLeast([2, 10, 0], undefined), false);
});
