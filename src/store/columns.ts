// Columns of numbers as few bytes: what fragments (fragment.ts) consist of. Numbers are written into memory that is
// used again; nothing is allocated per row or per column.
//
// K1. Every number comes back bit for bit, -0, subnormals and infinities too.
// K2. Whole numbers lie as differences from their least one or from the one before, in as many bits as the greatest
//     difference has; rarely changing ones as the places where they change. Doubles that are decimals of up to six
//     places, or sums of such (off by a few units in the last place), become whole numbers first.
// K3. Reading checks each length against what there is before it reads or asks for memory: bytes that are no columns
//     of ours are the outage store-corrupt.
//
// Little-endian. Readers look up to `slackBytes` beyond a column: whoever writes pads the end.

export const slackBytes = 7;
/** Whole numbers are below this, their differences below 2^53. */
const wholeMost = 2 ** 51;
/** Adding and subtracting it rounds a double below 2^51 to a whole number. */
const roundBy = 2 ** 52 + 2 ** 51;
export const placesMost = 6;
export const powers = Float64Array.from({ length: placesMost + 1 }, (_, places) => 10 ** places);
/** How far, in units of the last place, a sum of decimals may be from its decimal. */
const ulpsMost = 15;

/** Bits of a plane: the widest field that a read of 32 bits at any bit offset holds. */
export const planeBits = 24;
export const planeUnit = 2 ** planeBits;

// First byte of whole numbers: mode in the high two bits, width in the others.
export const modeOffsets = 0;
export const modeDeltas = 1;
export const modeRuns = 2;
// First byte of doubles: 0 to 6 decimal places, flagged where a column of last places follows, or one of these.
export const kindUlps = 0x10;
export const kindRaw = 0x20;
export const kindXor = 0x21;
export const kindOne = 0x22;

/** Two doubles and their halves. */
const pair = new Float64Array(2);
const halves = new Uint32Array(pair.buffer);

function bitsOf(range: number): number {
  return range < 4_294_967_296 ? 32 - Math.clz32(range) : 64 - Math.clz32(range / 4_294_967_296);
}

export class ColumnWriter {
  #bytes = new Uint8Array(65_536);
  #view = new DataView(this.#bytes.buffer);
  at = 0;
  /** To be filled by whoever calls `planWhole`. */
  whole = new Float64Array(512);
  #ulps = new Float64Array(512);
  #copy = new Float64Array(512);
  #copyHalves = new Uint32Array(this.#copy.buffer);
  // What planWhole found.
  #mode = modeOffsets;
  #width = 0;
  #first = 0;
  #least = 0;
  #changes = 0;

  clear(): void {
    this.at = 0;
  }

  /** What was written, until the next call of anything. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.at);
  }

  /** Room for columns of `rows` rows each. */
  reserve(rows: number): void {
    if (rows <= this.whole.length) return;
    const capacity = 2 ** Math.ceil(Math.log2(rows));
    this.whole = new Float64Array(capacity);
    this.#ulps = new Float64Array(capacity);
    this.#copy = new Float64Array(capacity);
    this.#copyHalves = new Uint32Array(this.#copy.buffer);
  }

  #room(more: number): void {
    const needed = this.at + more + slackBytes + 1;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.at++] = value;
  }

  setByte(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  zeros(count: number): void {
    this.#room(count);
    this.#bytes.fill(0, this.at, this.at + count);
    this.at += count;
  }

  /** A whole number from 0 to 2^53. */
  count(value: number): void {
    this.#room(8);
    let left = value;
    while (left > 127) {
      this.#bytes[this.at++] = (left % 128) + 128;
      left = Math.floor(left / 128);
    }
    this.#bytes[this.at++] = left;
  }

  /** A whole number from -2^52 to 2^52. */
  #signed(value: number): void {
    this.count(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Bits of 0 and 1 for the bytes of `bits`. */
  bitmap(bits: Uint8Array, count: number): void {
    this.#room((count >>> 3) + 1);
    const bytes = this.#bytes;
    let { at } = this;
    for (let i = 0; i < count; i += 8) {
      let byte = 0;
      for (let j = Math.min(8, count - i) - 1; j >= 0; j--) byte = byte * 2 + (bits[i + j] as number);
      bytes[at++] = byte;
    }
    this.at = at;
  }

  /** Looks at the first `count` of `whole`; answers the bytes that `writeWhole` will take, some for its head aside. */
  planWhole(count: number): number {
    const values = this.whole;
    const first = values[0] as number;
    let before = first;
    let min = first;
    let max = first;
    let leastDelta = count > 1 ? (values[1] as number) - first : 0;
    let greatestDelta = leastDelta;
    let changes = 0;
    for (let i = 1; i < count; i++) {
      const value = values[i] as number;
      const delta = value - before;
      if (value < min) min = value;
      if (value > max) max = value;
      if (delta < leastDelta) leastDelta = delta;
      if (delta > greatestDelta) greatestDelta = delta;
      if (delta !== 0) changes++;
      before = value;
    }
    const offsetBits = bitsOf(max - min);
    const deltaBits = bitsOf(greatestDelta - leastDelta);
    this.#first = first;
    this.#changes = changes;
    this.#mode = modeOffsets;
    this.#width = offsetBits;
    this.#least = min;
    let bytes = Math.ceil((offsetBits * count) / 8);
    const deltaBytes = Math.ceil((deltaBits * (count - 1)) / 8);
    // Offsets are the quickest to read: the others must be worth it.
    if (deltaBytes + 2 < bytes) {
      bytes = deltaBytes;
      this.#mode = modeDeltas;
      this.#width = deltaBits;
      this.#least = leastDelta;
    }
    const runBytes = Math.ceil(count / 8) + Math.ceil((offsetBits * (changes + 1)) / 8);
    if (runBytes + 2 < bytes) {
      bytes = runBytes;
      this.#mode = modeRuns;
      this.#width = offsetBits;
      this.#least = min;
    }
    return bytes;
  }

  /** As planned; what `whole` holds is used up. */
  writeWhole(count: number): void {
    const values = this.whole;
    const least = this.#least;
    this.byte((this.#mode << 6) | this.#width);
    this.#signed(least);
    if (this.#mode === modeOffsets) {
      this.#pack(values, 0, count, least);
      return;
    }
    if (this.#mode === modeDeltas) {
      this.#signed(this.#first);
      for (let i = count - 1; i > 0; i--) values[i] = (values[i] as number) - (values[i - 1] as number);
      this.#pack(values, 1, count, least);
      return;
    }
    this.#packRuns(count, least);
  }

  /** A bit for each row: whether it differs from the one before; then the values of those that do. */
  #packRuns(count: number, least: number): void {
    const values = this.whole;
    this.count(this.#changes);
    this.#room((count >>> 3) + 1);
    const bytes = this.#bytes;
    const start = this.at;
    bytes.fill(0, start, start + Math.ceil(count / 8));
    let kept = 1;
    let before = values[0] as number;
    for (let i = 1; i < count; i++) {
      const value = values[i] as number;
      if (value === before) continue;
      before = value;
      values[kept++] = value;
      const at = start + (i >>> 3);
      bytes[at] = (bytes[at] as number) | (1 << (i & 7));
    }
    this.at = start + Math.ceil(count / 8);
    this.#pack(values, 0, kept, least);
  }

  #pack(values: Float64Array, from: number, to: number, least: number): void {
    let left = this.#width;
    for (let plane = 0; left > 0; plane++) {
      this.#packPlane(values, from, to, least, planeUnit ** plane, Math.min(left, planeBits));
      left -= planeBits;
    }
  }

  #packPlane(
    values: Float64Array,
    from: number,
    to: number,
    least: number,
    unit: number,
    width: number,
  ): void {
    this.#room(Math.ceil(((to - from) * width) / 8));
    const bytes = this.#bytes;
    const mask = (1 << width) - 1;
    let { at } = this;
    let bits = 0;
    let filled = 0;
    for (let i = from; i < to; i++) {
      const over = (values[i] as number) - least;
      const field = (unit === 1 ? over | 0 : Math.floor(over / unit) | 0) & mask;
      bits |= field << filled;
      filled += width;
      while (filled >= 8) {
        bytes[at++] = bits;
        bits >>>= 8;
        filled -= 8;
      }
    }
    if (filled > 0) bytes[at++] = bits;
    this.at = at;
  }

  doubles(values: Float64Array, count: number): void {
    const places = this.#placesOf(values, count);
    if (places >= 0) {
      const ulps = this.#planUlps;
      if (this.planWhole(count) + (ulps ? count / 2 : 0) < 8 * count) {
        this.byte(ulps ? places | kindUlps : places);
        this.writeWhole(count);
        if (!ulps) return;
        const { whole } = this;
        this.whole = this.#ulps;
        this.planWhole(count);
        this.writeWhole(count);
        this.whole = whole;
        return;
      }
    }
    const copy = this.#copy;
    for (let i = 0; i < count; i++) copy[i] = values[i] as number;
    this.#exact(count);
  }

  #planUlps = false;

  /** Decimal places that make all of them whole (in `whole`, with `ulps` beside them); -1 if none do. */
  #placesOf(values: Float64Array, count: number): number {
    const { whole } = this;
    const ulps = this.#ulps;
    let places = 0;
    let power = 1;
    let anyUlps = false;
    for (let i = 0; i < count; ) {
      const value = values[i] as number;
      const scaled = value * power + roundBy - roundBy;
      const decimal = scaled / power;
      const fits = scaled < wholeMost && scaled > -wholeMost;
      if (decimal === value && fits && (scaled !== 0 || 1 / value > 0)) {
        whole[i] = scaled;
        ulps[i++] = 0;
        continue;
      }
      if (fits) {
        pair[0] = decimal;
        pair[1] = value;
        const carried = (halves[3] as number) - (halves[1] as number);
        const apart = carried * 2 ** 32 + (halves[2] as number) - (halves[0] as number);
        if (apart >= -ulpsMost && apart <= ulpsMost) {
          whole[i] = scaled;
          ulps[i++] = apart;
          anyUlps = true;
          continue;
        }
      }
      if (++places > placesMost) return -1;
      power = powers[places] as number;
      anyUlps = false;
      i = 0;
    }
    this.#planUlps = anyUlps;
    return places;
  }

  /** Of what is in `copy`: one value, exclusive-or with the one before, or as they are. */
  #exact(count: number): void {
    const parts = this.#copyHalves;
    let changed = false;
    let xorBytes = 0;
    for (let i = 0, low = 0, high = 0; i < count; i++) {
      const lowBits = (parts[2 * i] as number) ^ low;
      const highBits = (parts[2 * i + 1] as number) ^ high;
      low = parts[2 * i] as number;
      high = parts[2 * i + 1] as number;
      if (i > 0 && (lowBits | highBits) !== 0) changed = true;
      xorBytes += 1 + 8 - leadingBytes(lowBits, highBits) - trailingBytes(lowBits, highBits);
    }
    this.#room(1 + 9 * count);
    if (changed && xorBytes < 8 * count) {
      this.byte(kindXor);
      this.#xor(count);
      return;
    }
    this.byte(changed ? kindRaw : kindOne);
    const view = this.#view;
    const until = changed ? 2 * count : 2;
    let { at } = this;
    for (let i = 0; i < until; i++, at += 4) view.setUint32(at, parts[i] as number, true);
    this.at = at;
  }

  /** Each: a byte that says how many bytes come and how many zero bytes are below them, then these bytes. */
  #xor(count: number): void {
    const parts = this.#copyHalves;
    const view = this.#view;
    let { at } = this;
    for (let i = 0, low = 0, high = 0; i < count; i++) {
      const lowBits = (parts[2 * i] as number) ^ low;
      const highBits = (parts[2 * i + 1] as number) ^ high;
      low = parts[2 * i] as number;
      high = parts[2 * i + 1] as number;
      if ((lowBits | highBits) === 0) {
        view.setUint8(at++, 0);
        continue;
      }
      const below = trailingBytes(lowBits, highBits);
      const length = 8 - leadingBytes(lowBits, highBits) - below;
      view.setUint8(at, (below << 4) | length);
      const shift = (below & 3) * 8;
      const upper = below >= 4 ? 0 : highBits;
      const lower = below >= 4 ? highBits : lowBits;
      view.setUint32(at + 1, shift === 0 ? lower : (lower >>> shift) | (upper << (32 - shift)), true);
      view.setUint32(at + 5, upper >>> shift, true);
      at += 1 + length;
    }
    this.at = at;
  }
}

/** Zero bytes at the top of (high, low); of zero: 8. */
function leadingBytes(low: number, high: number): number {
  return high === 0 ? 4 + (Math.clz32(low) >>> 3) : Math.clz32(high) >>> 3;
}

/** Zero bytes at the bottom; of zero: 0, so that all its bytes are leading ones. */
function trailingBytes(low: number, high: number): number {
  if (low !== 0) return (31 - Math.clz32(low & -low)) >>> 3;
  return high === 0 ? 0 : 4 + ((31 - Math.clz32(high & -high)) >>> 3);
}
