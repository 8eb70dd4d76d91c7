// Orders: of rows by (series, bucket), and of texts as their UTF-8 bytes.

/**
 * The permutation that sorts rows by (series, bucket), equal ones in their given order. A radix sort by bytes: linear,
 * and a byte in which all rows agree costs one pass of counting only.
 */
export function sortRows(series: Uint32Array, bucket: Uint32Array, count: number): Uint32Array {
  let order: Uint32Array = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  let spare: Uint32Array = new Uint32Array(count);
  const starts = new Uint32Array(257);
  for (const column of [bucket, series]) {
    for (let shift = 0; shift < 32; shift += 8) {
      starts.fill(0);
      for (let i = 0; i < count; i++) {
        const slot = (((column[i] ?? 0) >>> shift) & 255) + 1;
        starts[slot] = (starts[slot] ?? 0) + 1;
      }
      if (starts.includes(count)) continue;
      for (let i = 1; i < 257; i++) starts[i] = (starts[i] ?? 0) + (starts[i - 1] ?? 0);
      for (let i = 0; i < count; i++) {
        const row = order[i] ?? 0;
        const slot = ((column[row] ?? 0) >>> shift) & 255;
        const to = starts[slot] ?? 0;
        spare[to] = row;
        starts[slot] = to + 1;
      }
      [order, spare] = [spare, order];
    }
  }
  return order;
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
