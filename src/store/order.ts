// Orders: of rows by (series, bucket), and of texts as their UTF-8 bytes.

const digitBits = 11;
const digits = 1 << digitBits;

/**
 * The permutation that sorts rows by (series, bucket), equal ones in their given order. A radix sort: linear. Rows of one
 * commit have few buckets, so series and bucket mostly fit one number of 32 bits, and less than three digits of it.
 */
export function sortRows(series: Uint32Array, bucket: Uint32Array, count: number): Uint32Array {
  const ofSeries = rangeOf(series, count);
  const ofBucket = rangeOf(bucket, count);
  const keys = new Uint32Array(count);
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  const buckets = ofBucket.max - ofBucket.min + 1;
  if ((ofSeries.max - ofSeries.min + 1) * buckets <= 2 ** 32) {
    for (let i = 0; i < count; i++)
      keys[i] = ((series[i] as number) - ofSeries.min) * buckets + ((bucket[i] as number) - ofBucket.min);
    return sortByKeys(keys, order, (ofSeries.max - ofSeries.min) * buckets + buckets - 1);
  }
  for (let i = 0; i < count; i++) keys[i] = (bucket[i] as number) - ofBucket.min;
  const byBucket = sortByKeys(keys, order, buckets - 1);
  const bySeries = new Uint32Array(count);
  for (let i = 0; i < count; i++) bySeries[i] = (series[byBucket[i] as number] as number) - ofSeries.min;
  return sortByKeys(bySeries, byBucket, ofSeries.max - ofSeries.min);
}

function rangeOf(values: Uint32Array, count: number): { min: number; max: number } {
  let min = 0xffff_ffff;
  let max = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return count === 0 ? { min: 0, max: 0 } : { min, max };
}

/** Sorts both by the keys, which are at most `max`. Keys travel with their rows, so memory is read in its order. */
function sortByKeys(keys: Uint32Array, order: Uint32Array, max: number): Uint32Array {
  let [fromKeys, fromOrder] = [keys, order];
  let toKeys: Uint32Array = new Uint32Array(keys.length);
  let toOrder: Uint32Array = new Uint32Array(order.length);
  const starts = new Uint32Array(digits + 1);
  for (let shift = 0; shift < 32 && max >>> shift > 0; shift += digitBits) {
    starts.fill(0);
    for (let i = 0; i < fromKeys.length; i++) {
      const slot = (((fromKeys[i] as number) >>> shift) & (digits - 1)) + 1;
      starts[slot] = (starts[slot] as number) + 1;
    }
    for (let i = 1; i < digits; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    for (let i = 0; i < fromKeys.length; i++) {
      const key = fromKeys[i] as number;
      const slot = (key >>> shift) & (digits - 1);
      const to = starts[slot] as number;
      starts[slot] = to + 1;
      toKeys[to] = key;
      toOrder[to] = fromOrder[i] as number;
    }
    [fromKeys, toKeys] = [toKeys, fromKeys];
    [fromOrder, toOrder] = [toOrder, fromOrder];
  }
  return fromOrder;
}

/** As the UTF-8 bytes of the texts compare (JavaScript's own order differs for characters beyond U+FFFF). */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Halves of characters beyond U+FFFF come after everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
