import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { numberCode, NumberSlot, readNumber } from "../../src/metric/number.ts";
import { numberText } from "../fuzz/number-text.ts";

const slot = new NumberSlot();

/** What `readNumber` says of a text that lies in the middle of other bytes. */
function read(text: string): number | "nan" | "invalid" | "infinite" {
  const bytes = new TextEncoder().encode(`9.${text}e9`);
  const code = readNumber(bytes, 2, bytes.length - 2, slot);
  if (code === numberCode.finite) return slot.value;
  return code === numberCode.nan ? "nan" : code === numberCode.infinite ? "infinite" : "invalid";
}

function f(text: string, expected: number | "nan" | "invalid" | "infinite") {
  assert.ok(Object.is(read(text), expected), `${text}: expected ${expected}, got ${read(text)}`);
}

test("numbers as rows", () => {
  f("0", 0);
  f("-0", -0);
  f("+0", 0);
  f("-0.0e5", -0);
  f("1", 1);
  f("+1", 1);
  f("007", 7);
  f("5.", 5);
  f(".5", 0.5);
  f("-.5", -0.5);
  f("5.e1", 50);
  f("1e3", 1000);
  f("1E+3", 1000);
  f("1e-3", 0.001);
  f("1e0000000000000000000000003", 1000);
  f("0.1", 0.1);
  f("0.3", 0.3);
  f("123456789012345", 123456789012345);
  f("1234567890123456", 1234567890123456);
  f("9007199254740993", 9007199254740992); // 2^53 + 1: halfway, to even
  f("9007199254740995", 9007199254740996);
  f("9223372036854775807", 2 ** 63);
  f("18446744073709551615", 2 ** 64);
  f("0.12345678901234567", Number("0.12345678901234567"));
  f("0.1234567890123456789", 0.12345678901234568);
  f("1.7976931348623157e308", Number.MAX_VALUE);
  f("1.7976931348623159e308", "infinite");
  f("4.9e-324", 5e-324);
  f("2.2250738585072011e-308", 2.225073858507201e-308);
  f("1e-400", 0);
  f("-1e-400", -0);
  f("0e999999999", 0);
  f("1e400", "infinite");
  f("-1e400", "infinite");
  f("1".repeat(300), Number("1".repeat(300)));
  f("1".repeat(400), "infinite");
  f(`0.${"0".repeat(400)}1e401`, 1);
  f("nan", "nan");
  f("NaN", "nan");
  f("-nan", "nan");
  f("+NAN", "nan");
  const invalid =
    ". - + -. e e5 .e5 1e 1e+ 1e- 1e5.0 1.2.3 --1 +-1 1- 0x10 1_000 1,5 1f 1\0 ٣ " +
    'inf -inf Infinity nano na nan0 true U "1"';
  for (const text of ["", "1 ", ...invalid.split(" ")]) f(text, "invalid");
});

test("200,000 random numbers are what Number says, bit for bit", () => {
  const seed = 20_261;
  const random = seededRandom(seed);
  for (let i = 0; i < 200_000; i++) {
    const text = numberText(random);
    const value = Number(text);
    const expected = Number.isFinite(value) ? value : "infinite";
    assert.ok(Object.is(read(text), expected), `seed ${seed}, ${text}: ${read(text)}`);
  }
});

test("decimals next to halfway between two doubles are rounded like Number rounds them", () => {
  const seed = 20_262;
  const random = seededRandom(seed);
  const bits = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < 20_000; i++) {
    // A double of everyday size, and the exact decimal of the middle to its neighbour, cut after 16 to 19 digits.
    bits.setUint32(0, ((1023 + random.below(50) - 5) << 20) | random.below(1 << 20));
    bits.setUint32(4, random.below(2 ** 32));
    const value = bits.getFloat64(0);
    const ulp = 2 ** (Math.floor(Math.log2(value)) - 52);
    const scaled = BigInt(value / ulp) * 2n + 1n; // in halves of an ulp: a whole number
    const shift = Math.log2(ulp) - 1;
    const digits = 25;
    const decimal =
      shift < 0
        ? (scaled * 10n ** BigInt(digits)) / 2n ** BigInt(-shift)
        : scaled * 2n ** BigInt(shift) * 10n ** BigInt(digits);
    const text = decimal.toString().padStart(digits + 1, "0");
    const point = text.length - digits;
    const cut = 16 + random.below(4);
    const fraction = text.slice(point, Math.max(point, cut));
    const shown = `${text.slice(0, point)}.${fraction}`;
    assert.ok(Object.is(read(shown), Number(shown)), `seed ${seed}, ${shown}`);
  }
});
