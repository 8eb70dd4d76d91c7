// The powers of five that kernel/number.ts multiplies with: their first 128 bits, cut for 5^0 and above, rounded up
// below (Lemire, Number Parsing at a Gigabyte per Second, 2021).

export const leastPower = -342;
export const mostPower = 308;
export const powersBytes = (mostPower - leastPower + 1) * 16;

const bits = 128n;

let table: Uint8Array | undefined;

/** Each as two uint64, the higher one first, from the least power on. Made once a thread. */
export function powersOfFive(): Uint8Array {
  if (table !== undefined) return table;
  table = new Uint8Array(powersBytes);
  const view = new DataView(table.buffer);
  for (let power = leastPower; power <= mostPower; power++) {
    const at = (power - leastPower) * 16;
    const first128 = leadingBits(power);
    view.setBigUint64(at, first128 >> 64n, true);
    view.setBigUint64(at + 8, first128 & 0xffff_ffff_ffff_ffffn, true);
  }
  return table;
}

function leadingBits(power: number): bigint {
  const five = 5n ** BigInt(Math.abs(power));
  const length = BigInt(five.toString(2).length);
  if (power >= 0) return length > bits ? five >> (length - bits) : five << (bits - length);
  // 1 / 5 has its first bit one place lower than 1 / 2^length, unless five is a power of two, which it never is.
  return (1n << (length + bits - 1n)) / five + 1n;
}
