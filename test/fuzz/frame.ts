// Frames: what is encoded is decoded; bytes that were changed are a frame or a reason, never a throw.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import {
  decodeFrame,
  doors,
  encodeFrame,
  kinds,
  type Frame,
  type FrameIdentity,
} from "../../src/metric/frame.ts";
import { reasons } from "../../src/metric/reason.ts";
import { pick, type Fuzzer } from "./fuzzer.ts";

export function randomFrame(random: Random): Frame {
  return {
    identity: randomIdentity(random),
    receivedAtMs: 1_790_000_000_000 + random.below(1e9),
    sections: Array.from({ length: random.below(4) }, () => ({
      tenant: `t${random.below(1000)}`,
      door: pick(random, doors),
      kind: pick(random, kinds),
      lineCount: random.below(100),
      lines: random.bytes(random.below(300)),
    })),
    refusals: Array.from({ length: random.below(4) }, () => ({
      tenant: `t${random.below(1000)}`,
      door: pick(random, doors),
      reason: "nan",
      count: random.below(1000),
      minute: 1_790_000_040,
    })),
  };
}

function randomIdentity(random: Random): FrameIdentity {
  const draw = random.below(3);
  if (draw === 0) return { kind: "boot", boot: random.bytes(16), n: random.below(2 ** 40) };
  if (draw === 1) return { kind: "keyed", id: random.bytes(16) };
  const letter = { sequence: random.below(2 ** 40), part: random.below(2 ** 20), lines: random.below(1000) };
  return { kind: "retry", letter: { ...letter, reason: pick(random, reasons) } };
}

/** Byte arrays as plain ones: a Buffer and a Uint8Array of the same bytes are the same here. */
export function comparable(frame: Frame): unknown {
  return JSON.parse(
    JSON.stringify(frame, (_, value: unknown) => {
      const isBuffer =
        typeof value === "object" && value !== null && "data" in value && Array.isArray(value.data);
      if (isBuffer) return value.data;
      return value instanceof Uint8Array ? [...value] : value;
    }),
  );
}

export const frameFuzzer: Fuzzer = {
  name: "frame",
  smokeRounds: 2000,
  round(random) {
    const frame = randomFrame(random);
    const bytes = encodeFrame(frame);
    const decoded = decodeFrame(bytes);
    assert.equal(decoded.kind, "frame");
    if (decoded.kind === "frame") assert.deepStrictEqual(comparable(decoded.frame), comparable(frame));
    const broken = Uint8Array.from(
      bytes.subarray(0, random.below(2) === 0 ? bytes.length : random.below(bytes.length)),
    );
    for (let i = random.below(4); i > 0; i--) broken[random.below(broken.length)] = random.below(256);
    assert.ok(["frame", "corrupt"].includes(decodeFrame(broken).kind));
    assert.equal(decodeFrame(random.bytes(random.below(50))).kind, "corrupt");
  },
};
