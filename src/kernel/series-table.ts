// Which series a raw name is: (tenant, bytes) to a local number, by open addressing in typed arrays.
//
//   slots      [hash, spelling + 1] ...    found by the hash's top bits, then linearly; at most half are used
//   spellings  [tenant, name, length, series] ...    a way somebody writes a name
//   series     its canonical spelling
//
// T1. A hash only narrows; tenant and bytes decide.
// T2. All spellings of one canonical name are one series. The canonical form is made when a spelling is new.
// T3. At most `seriesMax` series: then new ones are refused, known ones flow. At most twice as many spellings: what
//     comes after these is made canonical each time, which is slower and gives the same answer.
// T4. What is new here, or was forgotten, becomes a series only if `admit` says so; a no leaves no trace.
// T5. The seed is secret and the hash keyed: nobody can aim at slots, so probing needs no limit.
import { canonicalName } from "../metric/name.ts";
import { assert } from "../base/assert.ts";
import { hashName, type HashSeed } from "./hash.ts";
import type { Admit } from "./kernel.ts";
import { NameArena } from "./name-arena.ts";

const spellingFields = 4;
const firstSlotBits = 11;
/** What `intern` answers for a new series beyond the bound. */
export const noSeries = -1;

/** What names are looked up in from outside of the hot loop. */
export interface SeriesNames {
  /** The series of bytes[from, to), a new one if there may be one; noSeries if not. `view` is over the same bytes. */
  intern(tenant: number, bytes: Uint8Array, view: DataView, from: number, to: number): number;
}

export class SeriesTable implements SeriesNames {
  readonly #seed: HashSeed;
  readonly #seriesMax: number;
  readonly #arena = new NameArena();
  #slotBits = firstSlotBits;
  #slots = new Int32Array(2 << firstSlotBits);
  #spellings = new Int32Array(spellingFields << (firstSlotBits - 1));
  #spellingCount = 0;
  #series = new Int32Array(1 << (firstSlotBits - 1));
  #seriesCount = 0;
  /** By series: 1 where it was forgotten. */
  #forgotten = new Uint8Array(0);
  #forgottenCount = 0;
  #admit: Admit = () => true;

  constructor(seed: HashSeed, seriesMax: number) {
    assert(
      seriesMax > 0 && seriesMax <= 1 << 27,
      "seriesMax lies in (0, 2^27]: slots are counted in an int32",
    );
    this.#seed = seed;
    this.#seriesMax = seriesMax;
  }

  get count(): number {
    return this.#seriesCount;
  }

  /** Ways of writing names that are remembered. */
  get spellingCount(): number {
    return this.#spellingCount;
  }

  tenant(series: number): number {
    return this.#spellings[this.#canonicalOf(series)] as number;
  }

  name(series: number): Uint8Array {
    const at = this.#canonicalOf(series);
    return this.#arena.name(this.#spellings[at + 1] as number, this.#spellings[at + 2] as number);
  }

  /** The series of a tenant's name bytes[from, to), made if it is new; noSeries when it is one too many. */
  intern(tenant: number, bytes: Uint8Array, view: DataView, from: number, to: number): number {
    const hash = hashName(this.#seed, tenant, bytes, view, from, to);
    const slot = this.#find(hash, tenant, bytes, view, from, to);
    const spelling = this.#slots[slot + 1] as number;
    if (spelling !== 0) {
      const series = this.#spellings[(spelling - 1) * spellingFields + 3] as number;
      return this.#forgottenCount === 0 ? series : this.#remembered(tenant, series);
    }
    return this.#addSpelling(hash, tenant, bytes, from, to);
  }

  admitBy(admit: Admit): void {
    this.#admit = admit;
  }

  forget(series: number): void {
    assert(series >= 0 && series < this.#seriesCount, `series ${series} is one of ${this.#seriesCount}`);
    if (series >= this.#forgotten.length) {
      const larger = new Uint8Array(this.#series.length);
      larger.set(this.#forgotten);
      this.#forgotten = larger;
    }
    if (this.#forgotten[series] === 0) this.#forgottenCount++;
    this.#forgotten[series] = 1;
  }

  /** T4. */
  #remembered(tenant: number, series: number): number {
    if (series >= this.#forgotten.length || this.#forgotten[series] === 0) return series;
    if (!this.#admit(tenant, this.name(series), series)) return noSeries;
    this.#forgotten[series] = 0;
    this.#forgottenCount--;
    return series;
  }

  /** Index of the slot that holds the name, or of the empty one where it belongs. */
  #find(hash: number, tenant: number, bytes: Uint8Array, view: DataView, from: number, to: number): number {
    const slots = this.#slots;
    const spellings = this.#spellings;
    const mask = slots.length - 1;
    let slot = (hash >>> (32 - this.#slotBits)) << 1;
    for (;;) {
      const spelling = slots[slot + 1] as number;
      if (spelling === 0) return slot;
      if (slots[slot] === hash) {
        const at = (spelling - 1) * spellingFields;
        if (
          spellings[at] === tenant &&
          spellings[at + 2] === to - from &&
          this.#arena.equals(spellings[at + 1] as number, to - from, bytes, view, from)
        )
          return slot;
      }
      slot = (slot + 2) & mask;
    }
  }

  #addSpelling(hash: number, tenant: number, bytes: Uint8Array, from: number, to: number): number {
    const canonical = canonicalName(bytes, from, to);
    const isCanonical = sameBytes(canonical, bytes, from, to);
    const series = isCanonical
      ? this.#addSeries(tenant, hash, canonical)
      : this.#canonicalSeries(tenant, canonical);
    if (!isCanonical && series !== noSeries && this.#spellingCount < 2 * this.#seriesMax)
      this.#insert(hash, tenant, bytes, from, to, series);
    return series;
  }

  #canonicalSeries(tenant: number, name: Uint8Array): number {
    const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
    const hash = hashName(this.#seed, tenant, name, view, 0, name.length);
    const spelling = this.#slots[this.#find(hash, tenant, name, view, 0, name.length) + 1] as number;
    if (spelling !== 0)
      return this.#remembered(tenant, this.#spellings[(spelling - 1) * spellingFields + 3] as number);
    return this.#addSeries(tenant, hash, name);
  }

  #addSeries(tenant: number, hash: number, name: Uint8Array): number {
    if (this.#seriesCount >= this.#seriesMax || !this.#admit(tenant, name, this.#seriesCount))
      return noSeries;
    const series = this.#seriesCount++;
    if (series === this.#series.length) this.#series = grown(this.#series);
    this.#series[series] = this.#spellingCount;
    this.#insert(hash, tenant, name, 0, name.length, series);
    return series;
  }

  #insert(hash: number, tenant: number, bytes: Uint8Array, from: number, to: number, series: number): void {
    if ((this.#spellingCount + 1) * 4 > this.#slots.length) this.#growSlots();
    const at = this.#spellingCount * spellingFields;
    if (at === this.#spellings.length) this.#spellings = grown(this.#spellings);
    this.#spellings[at] = tenant;
    this.#spellings[at + 1] = this.#arena.add(bytes, from, to);
    this.#spellings[at + 2] = to - from;
    this.#spellings[at + 3] = series;
    this.#spellingCount++;
    this.#place(hash, this.#spellingCount);
  }

  /** Into the first empty slot from the hash on. */
  #place(hash: number, spelling: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash >>> (32 - this.#slotBits)) << 1;
    while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
    slots[slot] = hash;
    slots[slot + 1] = spelling;
  }

  /** Top bits keep their order when the table doubles, so this streams through memory: about 5 ms a million. */
  #growSlots(): void {
    const old = this.#slots;
    this.#slotBits++;
    this.#slots = new Int32Array(2 << this.#slotBits);
    for (let slot = 0; slot < old.length; slot += 2) {
      const spelling = old[slot + 1] as number;
      if (spelling !== 0) this.#place(old[slot] as number, spelling);
    }
  }

  #canonicalOf(series: number): number {
    assert(series >= 0 && series < this.#seriesCount, `series ${series} is one of ${this.#seriesCount}`);
    return (this.#series[series] as number) * spellingFields;
  }
}

function grown(column: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(column.length * 2);
  larger.set(column);
  return larger;
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}
