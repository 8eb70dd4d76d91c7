import assert from "node:assert/strict";
import { test } from "node:test";
import { pack } from "msgpackr";
import { decodeFrame, encodeFrame, hex, messageId, type Frame } from "../../src/metric/frame.ts";
import { comparable } from "../fuzz/frame.ts";

const boot = Uint8Array.from({ length: 16 }, (_, i) => i);
const lines = new TextEncoder().encode("a 1 2\n");
const frame: Frame = {
  identity: { kind: "boot", boot, n: 7 },
  receivedAtMs: 1_790_000_000_000,
  sections: [{ tenant: "t1", door: "tcp", kind: "plaintext", lineCount: 1, lines }],
  refusals: [{ tenant: "t2", door: "http", reason: "nan", count: 3, minute: 1_790_000_040 }],
};

const letter = { sequence: 2 ** 33, part: 70_000, reason: "poison", lines: 300 };

function roundTrip(sent: Frame) {
  const decoded = decodeFrame(encodeFrame(sent));
  assert.equal(decoded.kind, "frame");
  if (decoded.kind === "frame") assert.deepEqual(comparable(decoded.frame), comparable(sent));
}

test("a frame comes back as it went", () => {
  roundTrip(frame);
  roundTrip({ ...frame, identity: { kind: "keyed", id: boot } });
  roundTrip({ ...frame, identity: { kind: "retry", letter } });
  roundTrip({ ...frame, sections: [], refusals: [] });
  roundTrip({ ...frame, identity: { kind: "boot", boot, n: 2 ** 40 } });
});

test("F2: the same identity is the same message id", () => {
  assert.equal(messageId(3, frame.identity), "000102030405060708090a0b0c0d0e0f.3.7");
  assert.equal(messageId(3, { kind: "keyed", id: boot }), "k.000102030405060708090a0b0c0d0e0f.3");
  assert.equal(messageId(3, { kind: "retry", letter }), "r.8589934592.70000.3");
  assert.equal(hex(Uint8Array.of(0, 255)), "00ff");
});

function f(value: unknown, why: RegExp) {
  const decoded = decodeFrame(pack(value));
  assert.match(decoded.kind === "corrupt" ? decoded.why : "a frame", why);
}

test("F3: what is no frame is a reason", () => {
  const good = [1, boot, 7, 1000, [["t", "tcp", "plaintext", 1, lines]], [], null];
  const but = (index: number, value: unknown) => good.with(index, value as never);
  f(good, /a frame/);
  assert.match(JSON.stringify(decodeFrame(new Uint8Array())), /not msgpack/);
  assert.match(JSON.stringify(decodeFrame(encodeFrame(frame).subarray(0, 40))), /not msgpack/);
  f(5, /array of seven/);
  f(good.slice(1), /array of seven/);
  f(but(0, 2), /version 2/);
  f(but(1, null), /neither boot id/);
  f(but(1, boot.subarray(1)), /neither boot id/);
  f(but(2, -1), /neither boot id/);
  f(but(6, boot), /neither boot id/);
  const retry = (slot: unknown) => good.with(1, null).with(6, slot as never);
  f(retry(["retry", 1, "nan", 2]), /a frame/);
  f(retry(["again", 1, "nan", 2]), /neither boot id/);
  f(retry(["retry", -1, "nan", 2]), /neither boot id/);
  f(retry(["retry", 1, 3, 2]), /neither boot id/);
  f(retry(["retry", 1, "nan"]), /neither boot id/);
  f(but(6, ["retry", 1, "nan", 2]), /neither boot id/);
  f(but(3, "now"), /receivedAtMs/);
  f(but(3, Number.NaN), /receivedAtMs/);
  f(but(4, {}), /sections or refusals/);
  f(but(4, [["t", "tcp", "plaintext", 1]]), /section is malformed/);
  f(but(4, [["", "tcp", "plaintext", 1, lines]]), /section is malformed/);
  f(but(4, [["t", "fax", "plaintext", 1, lines]]), /section is malformed/);
  f(but(4, [["t", "tcp", "xml", 1, lines]]), /section is malformed/);
  f(but(4, [["t", "tcp", "plaintext", 1, "a 1 2"]]), /section is malformed/);
  f(but(5, [["t", "tcp", "nan", -1, 60]]), /refusal is malformed/);
  f(but(5, [["t", "tcp", "x".repeat(65), 1, 60]]), /refusal is malformed/);
});
