// Numbers from bytes are what Number makes of the text.
import assert from "node:assert/strict";
import { numberCode, NumberSlot, readNumber } from "../../src/metric/number.ts";
import type { Fuzzer } from "./fuzzer.ts";
import { numberText } from "./number-text.ts";

const slot = new NumberSlot();

export const numberFuzzer: Fuzzer = {
  name: "number",
  smokeRounds: 20_000,
  round(random) {
    const text = numberText(random);
    const bytes = new TextEncoder().encode(text);
    const code = readNumber(bytes, 0, bytes.length, slot);
    const expected = Number(text);
    assert.equal(code === numberCode.finite, Number.isFinite(expected), text);
    if (code === numberCode.finite) assert.ok(Object.is(slot.value, expected), `${text}: ${slot.value}`);
  },
};
