// Number texts that are hard to round: exact ties between two doubles and their neighbours, and products of 19 digits and
// a power of ten that come as near to a tie as any can. Spelled in every way that means the same.
import type { Random } from "../../src/base/random.ts";
import { pick } from "./fuzzer.ts";

const bits = new DataView(new ArrayBuffer(8));

export function hardNumberText(random: Random): string {
  const sign = pick(random, ["", "", "-", "+"]);
  const { digits, power } = random.below(3) === 0 ? nearTie(random) : tie(random);
  return sign + spell(random, digits, power);
}

interface Decimal {
  digits: string;
  power: number;
}

/** Half-way between a double and the next one; often cut, or off by a little. */
function tie(random: Random): Decimal {
  const { fraction, exponent } = oddDouble(random);
  // (2 * fraction + 1) * 2^(exponent - 1)
  const odd = 2n * fraction + 1n;
  const down = 1 - exponent;
  let digits = String(down > 0 ? odd * 5n ** BigInt(down) : odd << BigInt(-down));
  let power = down > 0 ? -down : 0;
  if (random.below(2) === 0) {
    // Cut in the neighbourhood of what the kernel takes at once.
    const kept = Math.min(digits.length, pick(random, [15, 16, 17, 18, 19, 20, 21, 25]));
    power += digits.length - kept;
    digits = digits.slice(0, kept);
  }
  const change = random.below(4);
  if (change === 0) digits = String(BigInt(digits) + 1n);
  else if (change === 1) digits = String(BigInt(digits) - 1n);
  if (random.below(4) === 0) {
    const more = pick(random, ["0", "1", "000000000000000000001", "0".repeat(300), `${"0".repeat(300)}1`]);
    digits += more;
    power -= more.length;
  }
  return { digits, power };
}

/** A double as fraction * 2^exponent, from the places where rounding changes its ways. */
function oddDouble(random: Random): { fraction: bigint; exponent: number } {
  const wide = () => (BigInt(random.below(2 ** 21)) << 32n) | BigInt(random.below(2 ** 32));
  switch (random.below(6)) {
    case 0:
      return { fraction: wide(), exponent: -1074 }; // denormal, up to the least normal one
    case 1:
      return { fraction: BigInt(random.below(4)), exponent: -1074 };
    case 2:
      return { fraction: (1n << 53n) - 1n - BigInt(random.below(3)), exponent: 971 - random.below(3) };
    case 3:
      return { fraction: (1n << 52n) + wide() / 2n, exponent: random.below(5) - 2 }; // around 2^53
    case 4:
      return { fraction: (1n << 53n) - BigInt(random.below(2)), exponent: random.below(2045) - 1074 };
    default:
      return { fraction: (1n << 52n) + wide() / 2n, exponent: random.below(2045) - 1074 };
  }
}

/**
 * w * 10^power, w below 10^19, nearer to a tie than about one w in 2^50: found as the first w of those from some place
 * on for which (w * a) mod m falls into a small range beside half of m.
 */
function nearTie(random: Random): Decimal {
  for (;;) {
    const power = random.below(651) - 342;
    const start = 10n ** 18n + BigInt(random.below(2 ** 53)) * 900n;
    bits.setFloat64(0, Number(`${start}e${power}`));
    const biased = (bits.getUint32(0) >>> 20) & 0x7ff;
    if (biased === 0x7ff) continue;
    // The value of the last bit is 2^unit.
    const unit = Math.max(biased, 1) - 1075;
    const up = BigInt(Math.max(power - unit, 0));
    const down = BigInt(Math.max(unit - power, 0));
    const five = 5n ** BigInt(Math.abs(power));
    const a = (power >= 0 ? five : 1n) << up;
    const m = (power >= 0 ? 1n : five) << down;
    const radius = m >> BigInt(50 + random.below(13));
    if (radius === 0n) continue;
    const half = m / 2n;
    const [low, high] = random.below(2) === 0 ? [half - radius, half] : [half, half + radius];
    const shift = (a * start) % m;
    const found = firstIn(a % m, m, modulo(low - shift, m), modulo(high - shift, m));
    if (found !== undefined && start + found < 10n ** 19n) return { digits: String(start + found), power };
  }
}

/** The least x >= 0 for which low <= a * x mod m <= high; a range that wraps around holds 0. */
function firstIn(a: bigint, m: bigint, low: bigint, high: bigint): bigint | undefined {
  if (low === 0n || low > high) return 0n;
  if (a === 0n) return undefined;
  if (2n * a > m) return firstIn(m - a, m, m - high, m - low);
  const first = (low + a - 1n) / a;
  if (first * a <= high) return first;
  const around = firstIn(m % a, a, modulo(-high, a), modulo(-low, a));
  return around === undefined ? undefined : (low + m * around + a - 1n) / a;
}

function modulo(a: bigint, m: bigint): bigint {
  return ((a % m) + m) % m;
}

/** With the dot anywhere, zeros in front and behind, and the exponent that makes up for it. */
function spell(random: Random, digits: string, power: number): string {
  let text = digits;
  let exponent = power;
  if (random.below(4) === 0) text = "0".repeat(random.below(25)) + text;
  const form = random.below(4);
  if (form < 2) {
    const dot = random.below(Math.min(text.length, 30) + 1);
    exponent += text.length - dot;
    text = `${text.slice(0, dot)}.${text.slice(dot)}`;
  } else if (power < 0 && power > -400 && form === 2) {
    text = text.padStart(-power + 1, "0");
    text = `${text.slice(0, power)}.${text.slice(power)}`;
    exponent = 0;
  }
  if (exponent === 0 && random.below(2) === 0) return text;
  return `${text}${pick(random, ["e", "E"])}${exponent > 0 ? pick(random, ["", "+", "+0"]) : ""}${exponent}`;
}
