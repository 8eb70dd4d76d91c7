// Names in a kernel's memory (kernel/names.ts), and what becomes of one that is not there: TypeScript makes it canonical,
// asks whether there may be one more series, and adds it. The promises are those of series-table.ts, its twin: T1 to T5.
import { assert } from "../base/assert.ts";
import { canonicalName, isPlain } from "../metric/name.ts";
import type { KernelExports } from "./instance.ts";
import type { Admit } from "./kernel.ts";
import type { Layout, Region } from "./layout.ts";
import { noSeries, type SeriesNames } from "./series-table.ts";

const headBytes = 16;
const slotBytes = 8;
const placeBytes = 4;
const wordBytes = 4;
const lengthMask = 0xffff;
/** Room for names and their heads, for each series there may be. */
const entryBytesPerSeries = 112;
const entryBytesLeast = 1 << 20;
const crowdedShare = 0.75;
/** The longest name of any kind, and the longest that the kernel's secret covers. */
export const scratchBytes = 1088;

export interface NameRegions {
  readonly seriesMax: number;
  readonly evenSlots: Region;
  readonly oddSlots: Region;
  readonly places: Region;
  readonly entries: Region;
  readonly scratch: Region;
}

export function layNames(layout: Layout, seriesMax: number): NameRegions {
  assert(seriesMax > 0 && seriesMax <= 1 << 24, "seriesMax lies in (0, 2^24]");
  // As many aliases as series, and at most half of the slots are used.
  const slotBits = Math.max(11, Math.ceil(Math.log2(4 * seriesMax)));
  return {
    seriesMax,
    evenSlots: layout.add(slotBytes << (slotBits - (slotBits % 2))),
    oddSlots: layout.add(slotBytes << (slotBits % 2 === 1 ? slotBits : slotBits - 1)),
    places: layout.add(placeBytes * seriesMax),
    entries: layout.add(Math.max(entryBytesLeast, entryBytesPerSeries * seriesMax)),
    scratch: layout.add(scratchBytes),
  };
}

export class KernelNames implements SeriesNames {
  readonly #exports: KernelExports;
  readonly #regions: NameRegions;
  readonly #bytes: Uint8Array;
  /** By series: the word where its entry begins. */
  readonly #places: Uint32Array;
  /** [tenant, length and flags, series, first cell][name ...] */
  readonly #entries: Int32Array;
  #admit: Admit = () => true;

  constructor(exports: KernelExports, buffer: ArrayBuffer, regions: NameRegions) {
    this.#exports = exports;
    this.#regions = regions;
    this.#bytes = new Uint8Array(buffer);
    const { seriesMax, places, evenSlots, oddSlots, entries } = regions;
    this.#places = new Uint32Array(buffer, places.at, seriesMax);
    this.#entries = new Int32Array(buffer, entries.at, Math.floor(entries.bytes / wordBytes));
    exports.configureNames(evenSlots.at, oddSlots.at, places.at, seriesMax, entries.at, entries.bytes);
  }

  get count(): number {
    return this.#exports.seriesCount();
  }

  /** Most of the room for names is taken. */
  get isCrowded(): boolean {
    return this.#exports.entryBytesUsed() >>> 0 > crowdedShare * this.#regions.entries.bytes;
  }

  tenant(series: number): number {
    return this.#entries[this.#place(series)] as number;
  }

  /** A view; nobody writes there again. */
  name(series: number): Uint8Array {
    const place = this.#place(series);
    const at = this.#regions.entries.at + place * wordBytes + headBytes;
    return this.#bytes.subarray(at, at + ((this.#entries[place + 1] as number) & lengthMask));
  }

  admitBy(admit: Admit): void {
    this.#admit = admit;
  }

  forget(series: number): void {
    this.#place(series);
    this.#exports.setForgotten(series, 1);
  }

  intern(tenant: number, bytes: Uint8Array, _view: DataView, from: number, to: number): number {
    const { scratch } = this.#regions;
    assert(to - from <= scratch.bytes, "a name fits the scratch");
    for (let at = from; at < to; at++) this.#bytes[scratch.at + at - from] = bytes[at] as number;
    const known = this.#exports.findSeries(tenant, scratch.at, to - from);
    if (known >= 0 && this.#exports.wasForgotten(known) === 0) return known;
    return this.newName(tenant, scratch.at, to - from);
  }

  /** The same for a name in the kernel's memory that is no living series under these bytes. */
  newName(tenant: number, at: number, length: number): number {
    const { scratch } = this.#regions;
    const known = this.#exports.findSeries(tenant, at, length);
    if (known >= 0) return this.#remembered(tenant, known);
    if (isPlain(this.#bytes, at, at + length)) return this.#add(tenant, at, length);
    // Its own bytes: they may lie where the canonical ones go to.
    const written = this.#bytes.slice(at, at + length);
    const canonical = canonicalName(written, 0, length);
    this.#bytes.set(canonical, scratch.at);
    const same = this.#exports.findSeries(tenant, scratch.at, canonical.length);
    const series =
      same >= 0 ? this.#remembered(tenant, same) : this.#add(tenant, scratch.at, canonical.length);
    if (series === noSeries || areSame(canonical, written)) return series;
    this.#bytes.set(written, scratch.at);
    this.#exports.addAlias(tenant, scratch.at, length, series);
    return series;
  }

  /** T4. */
  #remembered(tenant: number, series: number): number {
    if (this.#exports.wasForgotten(series) === 0) return series;
    if (!this.#admit(tenant, this.name(series), series)) return noSeries;
    this.#exports.setForgotten(series, 0);
    return series;
  }

  /** Canonical bytes. */
  #add(tenant: number, at: number, length: number): number {
    if (this.#exports.hasRoomFor(length) === 0) return noSeries; // T3
    if (!this.#admit(tenant, this.#bytes.slice(at, at + length), this.count)) return noSeries;
    const series = this.#exports.addSeries(tenant, at, length);
    assert(series >= 0, "there was room for the series");
    return series;
  }

  #place(series: number): number {
    assert(series >= 0 && series < this.count, `series ${series} is one of ${this.count}`);
    return this.#places[series] as number;
  }
}

function areSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
