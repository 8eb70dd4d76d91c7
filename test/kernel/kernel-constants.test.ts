import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findRoot } from "../../bin/setup/root.mjs";
import { paddingBytes, rowsBytes, rowsMost, rowViews } from "../../src/kernel/layout.ts";
import { leastPower, mostPower } from "../../src/kernel/powers.ts";
import { lineBytesMax, nameBytesMax } from "../../src/metric/line.ts";
import { numberCode } from "../../src/metric/number.ts";
import { reasons } from "../../src/metric/reason.ts";

const root = findRoot(import.meta.url) ?? "";

/** Numbers that a file calls constants, by name; products are worked out. */
function constantsOf(path: string): Map<string, number> {
  const text = readFileSync(join(root, path), "utf8");
  const found = /^(?:export )?const (\w+)(?:: \w+)? = (-?\d+)(?: \* (\d+))?;/gm;
  return new Map(
    [...text.matchAll(found)].map(([, name = "", a, b]) => [name, Number(a) * Number(b ?? 1)] as const),
  );
}

test("reasons of kernel/ are those of src/metric", () => {
  const words: Record<string, string> = { notANumber: "nan" };
  const kernel = constantsOf("kernel/reason.ts");
  assert.ok(kernel.size >= 12);
  for (const [name, code] of kernel)
    assert.equal(
      reasons[code],
      words[name] ?? name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
    );
});

test("columns of rows lie where src/kernel/layout.ts looks for them, and don't overlap", () => {
  const kernel = constantsOf("kernel/rows.ts");
  assert.equal(kernel.get("rowsMost"), rowsMost);
  const views = rowViews(new ArrayBuffer(paddingBytes + rowsBytes), { at: paddingBytes, bytes: rowsBytes });
  const taken = new Uint8Array(rowsBytes);
  for (const [name, view] of Object.entries(views)) {
    const at = view.byteOffset - paddingBytes;
    assert.equal(kernel.get(name), at, name);
    assert.equal(view.length, rowsMost);
    assert.ok(taken.subarray(at, at + view.byteLength).every((byte) => byte === 0));
    taken.fill(1, at, at + view.byteLength);
  }
});

test("bounds and codes are the same on both sides", () => {
  const line = constantsOf("kernel/line.ts");
  assert.deepEqual([line.get("lineBytesMost"), line.get("nameBytesMost")], [lineBytesMax, nameBytesMax]);
  const number = constantsOf("kernel/number.ts");
  for (const [name, code] of Object.entries(numberCode)) assert.equal(number.get(name), code, name);
  assert.deepEqual([number.get("leastPower"), number.get("mostPower")], [leastPower, mostPower]);
  const secret = constantsOf("src/kernel/kernel-aggregator.ts").get("secretBytes");
  assert.equal(constantsOf("kernel/hash.ts").get("secretBytes"), secret);
});
