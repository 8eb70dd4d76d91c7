import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeHead, encodeHead, freshHead } from "../../src/store/head.ts";
import { freshLane } from "../../src/store/lanes.ts";
import { pack } from "../../src/store/rows.ts";

test("a head comes back as it was written", () => {
  const head = {
    ...freshHead(),
    epoch: 7,
    offset: 2 ** 40,
    gaps: [[3, 9]] as [number, number][],
    parts: [{ sequence: 3, lines: 5 }],
    poison: { sinceMs: 12, lines: 1 },
    lanes: {
      live: {
        starts: 2,
        lastInstance: "p",
        trial: { sequence: 10, from: 0, to: 4, deaths: 1, isUnderWay: true },
      },
      fill: freshLane(),
    },
    owner: { node: "n1", mapVersion: 4, instance: "p" },
    nextBlock: 5,
    nextNode: 6,
    blobs: 99,
  };
  // Who claimed last is in the lane; the owner's instance is not asked for again.
  assert.deepEqual(decodeHead(encodeHead(head)), { ...head, owner: { ...head.owner, instance: "" } });
});

test("a head of the version before is read: its blobs had offsets for numbers", () => {
  const before = pack([7, 2, 41, "i1", 5.5, 6, [[3, 9]], [[1, 1]], "n1", 4, 5, 6]);
  assert.deepEqual(decodeHead(before), {
    ...freshHead(),
    epoch: 7,
    offset: 41,
    incarnation: "i1",
    frameTimeMs: 5.5,
    receivedAtMs: 6,
    gaps: [[3, 9]],
    holes: [[1, 1]],
    lanes: { live: { ...freshLane(), starts: 2 }, fill: freshLane() },
    owner: { node: "n1", mapVersion: 4, instance: "" },
    nextBlock: 5,
    nextNode: 6,
    blobs: 41,
  });
});
