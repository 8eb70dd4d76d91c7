// Numbers are the same for the kernel, its twin and Number, bit for bit, whatever lies around them.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import { numberCode, NumberSlot, readNumber } from "../../src/metric/number.ts";
import { fromLatin1, pick, type Fuzzer } from "./fuzzer.ts";
import { hardNumberText } from "./hard-number-text.ts";
import { probeNumber } from "./kernel-probe.ts";
import { numberText } from "./number-text.ts";

const slot = new NumberSlot();
const grammar = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function compareNumber(text: string, random: Random): void {
  const bytes = fromLatin1(text);
  const { code, value } = probeNumber(bytes, random);
  const shown = JSON.stringify(text);
  const known = grammar.test(text) ? Number(text) : Number.NaN;
  const expected = Number.isFinite(known)
    ? numberCode.finite
    : known === Infinity || known === -Infinity
      ? numberCode.infinite
      : /^[+-]?nan$/i.test(text)
        ? numberCode.nan
        : numberCode.invalid;
  assert.equal(code, expected, `${shown}: the kernel's code`);
  assert.equal(readNumber(bytes, 0, bytes.length, slot), expected, `${shown}: the twin's code`);
  if (code !== numberCode.finite) return;
  assert.ok(Object.is(value, known), `${shown}: ${value} in the kernel, not ${known}`);
  assert.ok(Object.is(slot.value, known), `${shown}: ${slot.value} in the twin, not ${known}`);
}

/** No number, or nearly one: a number with a byte changed, added or taken out. */
function changed(random: Random): string {
  const text =
    random.below(2) === 0
      ? numberText(random).slice(0, 20)
      : pick(random, ["nan", "-nan", "inf", "1e5", "-", ""]);
  const at = random.below(text.length + 1);
  const byte = pick(random, [
    ".",
    "-",
    "+",
    "e",
    "E",
    "n",
    "N",
    "0",
    "9",
    "/",
    ":",
    "_",
    "x",
    "\xff",
    "\0",
    "",
  ]);
  return text.slice(0, at) + byte + text.slice(at + random.below(2));
}

export const kernelNumberFuzzer: Fuzzer = {
  name: "kernel-number",
  smokeRounds: 20_000,
  round(random) {
    const kind = random.below(8);
    const text = kind === 0 ? changed(random) : kind <= 3 ? numberText(random) : hardNumberText(random);
    compareNumber(text, random);
  },
};
