// What an operator reads of a dead letter.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LetterWhole } from "../../bin/admin/dead-verbs.ts";
import { showLines } from "../../bin/dead.ts";

const letter: LetterWhole = {
  id: "3/1042/7",
  shard: 3,
  sequence: 1042,
  part: 7,
  tenant: "acme",
  door: "tcp",
  reason: "poison",
  detail: "heap out of memory",
  receivedAtMs: Date.UTC(2026, 10, 30, 7, 5, 59),
  kind: "plaintext",
  lines: 1,
  bytes: 4,
  text: "a 1\n",
  place: { stream: "MR_IN_3", frame: 1042, line: 8, record: "held" },
};

test("a letter is shown with its line, reason, place, door and time", () => {
  const f = (change: Partial<LetterWhole>, expected: string[]) =>
    assert.deepEqual(showLines({ ...letter, ...change }), expected);
  const first = "dead letter 3/1042/7: poison (heap out of memory)";
  const whose = "of acme, door tcp, plaintext, received 2026-11-30T07:05:59.000Z";
  const at = "line 8 of frame 1042 of MR_IN_3, shard 3";
  f({}, [first, whose, `1 line, 4 bytes; ${at}, which the record holds`, "a 1"]);
  const { place } = letter;
  const trimmed = { ...place, record: "trimmed" } as const;
  f({ place: trimmed }, [first, whose, `1 line, 4 bytes; ${at}, which the record holds no more`, "a 1"]);
  f({ place: { ...place, record: "earlier" }, lines: 2, bytes: 9, text: "a 1\nb\u001b 2" }, [
    first,
    whose,
    `2 lines, 9 bytes; ${at}, of the record before it was adopted`,
    "a 1",
    "b\\u001b 2",
    "(and more: only the beginning is shown)",
  ]);
  f({ tenant: "", door: "", detail: "" }, [
    "dead letter 3/1042/7: poison",
    "of nobody, door -, plaintext, received 2026-11-30T07:05:59.000Z",
    "1 line, 4 bytes; frame 1042 of MR_IN_3, shard 3, which the record holds",
    "a 1",
  ]);
});
