// Whether a tenant may have one more series in this shard: asked for each name that the aggregator does not know.
//
// R1. A series that the store has is never refused, whatever the limit and whatever the cache has forgotten.
// R2. With what this batch makes there are never more living series than the limit, but for those there were already
//     when it was lowered.
// R3. While a tenant is surely below its limit nothing is asked: what is stored and what this batch makes, which may
//     be stored already, are added up. Beyond that names wait until the store has said which of them it has.
// R4. Refusing costs little: a name that was refused a moment ago is not asked for again (refused-names.ts).
import { assert } from "../src/base/assert.ts";
import type { ShardStore } from "../src/store/store.ts";
import type { RefusedNames } from "./refused-names.ts";
import type { SeriesLimits } from "./series-limits.ts";

/** Names asked for in one go. */
const askMost = 4096;

interface Held {
  tenant: string;
  limit: number;
  /** Living series in the store: at most so many; Infinity: not asked yet. */
  stored: number;
  /** And not fewer. */
  isExact: boolean;
  /** Series of this batch of which the store said that it has them not. */
  fresh: number;
  /** Local numbers of those of which nobody has asked: some may be stored already (R3). */
  trusted: number[];
}

/** A name that waits for the store's word. */
interface Asked {
  number: number;
  held: Held;
  name: Uint8Array;
  key: string;
}

type Verdict = "refused" | "stored" | "fresh" | "trusted";

export class SeriesRoom {
  readonly #limits: SeriesLimits;
  readonly #store: Pick<ShardStore, "tenantSeries" | "named">;
  readonly #refused: RefusedNames;
  #version: number;
  /** By the aggregator's number of the tenant. */
  #held: Held[] = [];
  readonly #changed = new Set<Held>();
  #asked: Asked[] = [];
  #indices = new Map<string, number>();
  #verdicts: Verdict[] = [];
  #decided = new Map<string, Verdict>();
  #last = -1;

  constructor(
    limits: SeriesLimits,
    store: Pick<ShardStore, "tenantSeries" | "named">,
    refused: RefusedNames,
  ) {
    this.#limits = limits;
    this.#store = store;
    this.#refused = refused;
    this.#version = limits.version;
    refused.clear();
  }

  /** The next tenant number is this tenant's. */
  number(tenant: string): void {
    const limit = this.#limits.of(tenant);
    const stored = Number.POSITIVE_INFINITY;
    this.#held.push({ tenant, limit, stored, isExact: false, fresh: 0, trusted: [] });
  }

  /** Before a frame: other limits may have been told. */
  look(): void {
    if (this.#version === this.#limits.version) return;
    this.#version = this.#limits.version;
    for (const held of this.#held) {
      const limit = this.#limits.of(held.tenant);
      if (limit === held.limit) continue;
      held.limit = limit;
      // While there was none nobody counted.
      held.stored = Number.POSITIVE_INFINITY;
      held.isExact = false;
    }
    this.#refused.clear();
  }

  /** The aggregator asks (src/kernel/kernel.ts). */
  readonly admit = (tenant: number, name: Uint8Array, series: number): boolean => {
    this.#last = -1;
    const held = this.#held[tenant];
    assert(held !== undefined, "a tenant that has sent something is numbered");
    if (held.limit === Infinity) return true;
    if (this.#decided.size > 0) {
      const verdict = this.#decided.get(keyOf(tenant, name));
      if (verdict === "trusted") held.trusted.push(series);
      if (verdict !== undefined) return verdict !== "refused";
    }
    if (held.stored + held.fresh + held.trusted.length < held.limit) {
      held.trusted.push(series); // R3
      this.#changed.add(held);
      return true;
    }
    if (this.#refused.has(tenant, name)) return false;
    const key = keyOf(tenant, name);
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.#asked.push({ number: tenant, held, name, key }) - 1;
      this.#indices.set(key, index);
    }
    this.#last = index;
    return false;
  };

  /** The name that the line refused just now waits for; -1: it waits for none, it is refused for good. */
  takeAsked(): number {
    const last = this.#last;
    this.#last = -1;
    return last;
  }

  /** Asks the store about all names that wait. `nameOf`: of a local number. */
  async decide(nameOf: (series: number) => Uint8Array): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    this.#indices = new Map();
    this.#verdicts = [];
    this.#decided = new Map();
    const byTenant = new Map<Held, number[]>();
    asked.forEach(({ held }, index) => {
      const indices = byTenant.get(held);
      if (indices === undefined) byTenant.set(held, [index]);
      else indices.push(index);
    });
    for (const [held, indices] of byTenant) {
      const verdicts = await this.#judge(
        held,
        indices.map((index) => asked[index] as Asked),
        nameOf,
      );
      indices.forEach((index, i) => {
        this.#verdicts[index] = verdicts[i] as Verdict;
      });
      this.#changed.add(held);
    }
    asked.forEach(({ number, name, key }, index) => {
      const verdict = this.#verdicts[index] as Verdict;
      this.#decided.set(key, verdict);
      if (verdict === "refused") this.#refused.add(number, name);
    });
  }

  /** After `decide`: whether a line with this answer of takeAsked is refused. */
  refuses(index: number): boolean {
    return this.#verdicts[index] === "refused";
  }

  /** The lines that waited were gone through: what comes now is asked for anew. */
  settled(): void {
    this.#decided = new Map();
  }

  /** What this batch made is in the store. */
  committed(): void {
    for (const held of this.#changed) {
      const made = held.fresh + held.trusted.length;
      if (made === 0) continue;
      held.stored += made;
      held.isExact = false;
      held.fresh = 0;
      held.trusted = [];
    }
    this.#changed.clear();
  }

  /** Series went: there is room again. */
  dropped(): void {
    for (const held of this.#held) held.isExact = false;
    this.#refused.clear();
  }

  /** Tenants are numbered anew. */
  renewed(): void {
    this.#held = [];
    this.#changed.clear();
    this.#refused.clear();
  }

  async #judge(held: Held, asked: Asked[], nameOf: (series: number) => Uint8Array): Promise<Verdict[]> {
    if (!held.isExact) {
      const stored = await this.#store.tenantSeries(held.tenant);
      if (stored < held.stored) this.#refused.clear(); // there was more room than we thought
      held.stored = stored;
      held.isExact = true;
    }
    const count = held.stored + held.fresh + held.trusted.length;
    if (count + asked.length <= held.limit) return asked.map(() => "trusted");
    // R1, R2: exactly, now that it matters.
    if (held.trusted.length > 0) {
      const there = await this.#named(held.tenant, held.trusted.map(nameOf));
      held.fresh += there.filter((is) => !is).length;
      held.trusted = [];
    }
    const there = await this.#named(
      held.tenant,
      asked.map(({ name }) => name),
    );
    return there.map((is) => {
      if (is) return "stored";
      if (held.stored + held.fresh >= held.limit) return "refused";
      held.fresh++;
      return "fresh";
    });
  }

  async #named(tenant: string, names: Uint8Array[]): Promise<boolean[]> {
    const there: boolean[] = [];
    for (let at = 0; at < names.length; at += askMost)
      there.push(...(await this.#store.named(tenant, names.slice(at, at + askMost))));
    return there;
  }
}

/** One character per byte: exact for any bytes. */
function keyOf(tenant: number, name: Uint8Array): string {
  return `${tenant} ${Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1")}`;
}
