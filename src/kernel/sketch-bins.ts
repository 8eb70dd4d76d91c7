// Open sketches: counts by (cell, key) since the last commit, one open-addressed table for all series, so that adding
// a value allocates nothing. A cell is a row of the commit to come (cells.ts).
//
// B1. What a commit says depends on what was added, not on its order nor on the seed: a sketch lists its keys in order.
import { encodeSketch, type SketchKind } from "../metric/sketch.ts";
import { hashPair, type HashSeed } from "./hash.ts";

const firstBits = 8;
/** Commits that use less than a part in this many give the memory back. */
const shrinkPart = 16;
/** Keys as they lie in the table: quantile keys may be negative, those of sets say so by a bit. */
const keyBits = 15;
const keyZero = 1 << 13;
const setFlag = 1 << 14;

export class SketchBins {
  readonly #seed: HashSeed;
  #bits = firstBits;
  /** [cell + 1, key] ...; at most half are used. */
  #slots = new Int32Array(2 << firstBits);
  #counts = new Float64Array(1 << firstBits);
  #count = 0;

  constructor(seed: HashSeed) {
    this.#seed = seed;
  }

  /** What `addQuantile` adds: a double that is passed is a double that is allocated. */
  readonly weight = new Float64Array(1);

  /** Bins open now. */
  get count(): number {
    return this.#count;
  }

  /** weight[0] more values in a bin of the cell's quantile sketch. Nothing where it is 0. */
  addQuantile(cell: number, key: number): void {
    if (this.weight[0] === 0) return;
    const slot = this.#slot(cell, key + keyZero);
    this.#counts[slot] = (this.#counts[slot] as number) + (this.weight[0] as number);
  }

  /** A register of the cell's set sketch is at least `rank`. */
  raise(cell: number, register: number, rank: number): void {
    const slot = this.#slot(cell, register | setFlag);
    if (rank > (this.#counts[slot] as number)) this.#counts[slot] = rank;
  }

  /** Sketches by cell, and none from now on. */
  take(): Map<number, Uint8Array> {
    const sketches = new Map<number, Uint8Array>();
    const { order, counts } = this.#sorted();
    for (let from = 0; from < order.length; ) {
      const cell = cellOf(order[from] as number);
      let to = from + 1;
      while (to < order.length && cellOf(order[to] as number) === cell) to++;
      const kind: SketchKind = ((order[from] as number) & setFlag) === 0 ? "quantile" : "set";
      const keys = Int32Array.from(order.subarray(from, to), (place) =>
        kind === "set" ? (place % 2 ** keyBits) - setFlag : (place % 2 ** keyBits) - keyZero,
      );
      sketches.set(cell, encodeSketch({ kind, keys, counts: counts.slice(from, to) }));
      from = to;
    }
    this.#startAfresh();
    return sketches;
  }

  /** B1: (cell, key) as one number each, ascending, and their counts. */
  #sorted(): { order: Float64Array; counts: Float64Array } {
    const order = new Float64Array(this.#count);
    let at = 0;
    for (let slot = 0; slot < this.#slots.length; slot += 2) {
      const cell = this.#slots[slot] as number;
      if (cell !== 0) order[at++] = (cell - 1) * 2 ** keyBits + (this.#slots[slot + 1] as number);
    }
    order.sort();
    const counts = order.map(
      (place) => this.#counts[this.#slot(cellOf(place), place % 2 ** keyBits)] as number,
    );
    return { order, counts };
  }

  /** Index into #counts, made with 0 if it is new. */
  #slot(cell: number, key: number): number {
    const mask = this.#counts.length - 1;
    let slot = hashPair(this.#seed, cell, key) >>> (32 - this.#bits);
    for (;;) {
      const there = this.#slots[slot * 2] as number;
      if (there === 0) break;
      if (there === cell + 1 && this.#slots[slot * 2 + 1] === key) return slot;
      slot = (slot + 1) & mask;
    }
    if ((this.#count + 1) * 2 > this.#counts.length) {
      this.#grow();
      return this.#slot(cell, key);
    }
    this.#count++;
    this.#slots[slot * 2] = cell + 1;
    this.#slots[slot * 2 + 1] = key;
    this.#counts[slot] = 0;
    return slot;
  }

  #grow(): void {
    const slots = this.#slots;
    const counts = this.#counts;
    this.#resize(this.#bits + 1);
    for (let slot = 0; slot < counts.length; slot++) {
      const cell = slots[slot * 2] as number;
      if (cell !== 0)
        this.#counts[this.#slot(cell - 1, slots[slot * 2 + 1] as number)] = counts[slot] as number;
    }
  }

  #startAfresh(): void {
    const isLarge = this.#count * shrinkPart < this.#counts.length && this.#bits > firstBits;
    if (isLarge) this.#resize(this.#bits - 1);
    else if (this.#count > 0) this.#slots.fill(0);
    this.#count = 0;
  }

  #resize(bits: number): void {
    this.#bits = bits;
    this.#slots = new Int32Array(2 << bits);
    this.#counts = new Float64Array(1 << bits);
    this.#count = 0;
  }
}

function cellOf(place: number): number {
  return Math.floor(place / 2 ** keyBits);
}
