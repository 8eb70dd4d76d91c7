// Random number texts of every shape that the grammar takes: what senders write, and what only a test would write.
import type { Random } from "../../src/base/random.ts";

const bits = new DataView(new ArrayBuffer(8));

export function numberText(random: Random): string {
  const sign = ["", "", "", "-", "+"][random.below(5)] ?? "";
  return sign + shapes[random.below(shapes.length)]?.(random);
}

const shapes: ((random: Random) => string)[] = [
  (random) => String(random.below(1000)),
  (random) => String(random.below(2 ** 31)),
  (random) => (random.next() * 1000).toFixed(random.below(8)),
  (random) => String(random.next()),
  (random) => String(random.next() * 10 ** (random.below(40) - 20)),
  (random) => random.next().toExponential(random.below(18)),
  (random) => digits(random, 1 + random.below(25)),
  (random) => `${digits(random, 1 + random.below(20))}.${digits(random, random.below(20))}`,
  (random) => `.${digits(random, 1 + random.below(25))}`,
  (random) => `${digits(random, 1 + random.below(3))}.e${random.below(30)}`,
  (random) => `${digits(random, 1 + random.below(20))}E${exponent(random, 330)}`,
  (random) => `${digits(random, 15)}.${digits(random, 1 + random.below(4))}e${exponent(random, 25)}`,
  (random) => `0.${"0".repeat(random.below(30))}${digits(random, 1 + random.below(20))}`,
  (random) => `${"0".repeat(random.below(5))}${digits(random, 18)}`,
  (random) => `${random.next()}e-${300 + random.below(30)}`, // denormals among them
  (random) => digits(random, 400),
  anyDouble,
];

function digits(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.below(10)).join("");
}

function exponent(random: Random, most: number): string {
  return (["", "+", "-"][random.below(3)] ?? "") + random.below(most);
}

/** Any positive finite double, as Python's repr would print it. */
function anyDouble(random: Random): string {
  bits.setUint32(0, random.below(0x7ff00000));
  bits.setUint32(4, random.below(2 ** 32));
  return String(bits.getFloat64(0));
}
