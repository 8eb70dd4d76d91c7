// Stored ids by the aggregator's local numbers: which are known, which the next commit asks for, which were taken away.
import type { Aggregator } from "../src/kernel/kernel.ts";
import { newSeriesFlag, type SeriesKey } from "../src/store/store.ts";

/** In the place of an id: the series lost the one it had, and is named anew when a point comes. */
const dropped = 0xffff_ffff;

export class SeriesIds {
  readonly #aggregator: Aggregator;
  readonly #tenantNumbers = new Map<string, number>();
  readonly #tenants: string[] = [];
  /** By local number; 0: not known yet; or `dropped`. Filled only after ok. */
  #ids = new Uint32Array(1024);
  /** Local numbers, in the order of the commit's new series. */
  #awaiting: number[] = [];
  #known = 0;
  #dropped = 0;

  constructor(aggregator: Aggregator) {
    this.#aggregator = aggregator;
  }

  /** Series whose ids the next commit will ask for. */
  get unnamed(): number {
    return this.#aggregator.seriesCount - this.#known - this.#dropped;
  }

  /** Series whose id was taken away, and which got no other since. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The aggregator's number of a tenant. */
  tenantNumber(tenant: string, onNew: () => void): number {
    let number = this.#tenantNumbers.get(tenant);
    if (number === undefined) {
      number = this.#tenants.push(tenant) - 1;
      this.#tenantNumbers.set(tenant, number);
      onNew();
    }
    return number;
  }

  /** What a commit says for local numbers, and the names that it asks ids for. */
  forCommit(): { newSeries: SeriesKey[]; idOf: (local: number) => number } {
    this.#grow(this.#aggregator.seriesCount);
    const newSeries: SeriesKey[] = [];
    const pending = new Map<number, number>();
    this.#awaiting = [];
    const idOf = (local: number): number => {
      const id = this.#ids[local] as number;
      if (id !== 0 && id !== dropped) return id;
      let index = pending.get(local);
      if (index === undefined) {
        index = newSeries.push(this.#keyOf(local)) - 1;
        pending.set(local, index);
        this.#awaiting.push(local);
      }
      return newSeriesFlag + index;
    };
    return { newSeries, idOf };
  }

  committed(ids: Uint32Array): void {
    this.#awaiting.forEach((local, index) => {
      if (this.#ids[local] === dropped) this.#dropped--;
      this.#ids[local] = ids[index] as number;
    });
    this.#known += this.#awaiting.length;
    this.#awaiting = [];
  }

  /** These ids are no names any more. */
  drop(ids: Uint32Array): void {
    // The cache may hold millions: a look at one bit decides for nearly all.
    const bits = new Uint8Array(8192);
    for (const id of ids) bits[(id & 0xffff) >> 3] = (bits[(id & 0xffff) >> 3] as number) | (1 << (id & 7));
    const gone = new Set(ids);
    const known = Math.min(this.#ids.length, this.#aggregator.seriesCount);
    for (let local = 0; local < known; local++) {
      const id = this.#ids[local] as number;
      if (((bits[(id & 0xffff) >> 3] as number) & (1 << (id & 7))) === 0 || !gone.has(id)) continue;
      this.#ids[local] = dropped;
      this.#aggregator.forget(local);
      this.#known--;
      this.#dropped++;
    }
  }

  #keyOf(local: number): SeriesKey {
    // Each series belongs to a tenant that was numbered here.
    const tenant = this.#tenants[this.#aggregator.seriesTenant(local)] as string;
    return { tenant, name: this.#aggregator.seriesName(local) };
  }

  #grow(least: number): void {
    if (least <= this.#ids.length) return;
    const grown = new Uint32Array(Math.max(least, this.#ids.length * 2));
    grown.set(this.#ids);
    this.#ids = grown;
  }
}
