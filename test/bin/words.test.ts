// Numbers in sentences.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countDoing, countText, shardsText } from "../../bin/words.ts";

test("one is one, and others are many", () => {
  const f = (count: number, what: string, expected: string) => assert.equal(countText(count, what), expected);
  f(0, "letter", "0 letters");
  f(1, "letter", "1 letter");
  f(0.6, "point", "1 point");
  f(12_345, "line", "12,345 lines");
  f(1, "series", "1 series");
  f(2, "series", "2 series");
  f(2, "canary", "2 canaries");
  f(2, "key", "2 keys");
  f(3, "dead letter", "3 dead letters");
  const does = (count: number) => countDoing(count, "letter", "stays as it is", "stay as they are");
  assert.deepEqual([0, 1, 2].map(does), [
    "0 letters stay as they are",
    "1 letter stays as it is",
    "2 letters stay as they are",
  ]);
  assert.deepEqual([[3], [3, 4]].map(shardsText), ["shard 3", "shards 3, 4"]);
});
