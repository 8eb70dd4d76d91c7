// Names that were refused for the limit a moment ago, so that the store is not asked about each of their lines: by two
// keyed hashes of 32 bits, in a table of fixed size where a new name takes the place of an old one.
//
// A name that is here is no series and there is no room for it. Both only change in ways that its owner sees: it clears
// the table then.
import { hashName, hashSeed, seedBytes, type HashSeed } from "../src/kernel/hash.ts";

const slotBits = 16;
const fields = 2;

export class RefusedNames {
  readonly #slotSeed: HashSeed;
  readonly #checkSeed: HashSeed;
  readonly #slots = new Int32Array(fields << slotBits);
  #count = 0;

  /** `seed`: 16 random bytes, secret. */
  constructor(seed: Uint8Array) {
    this.#slotSeed = hashSeed(seed);
    this.#checkSeed = hashSeed(seed.subarray(seedBytes));
  }

  has(tenant: number, name: Uint8Array): boolean {
    if (this.#count === 0) return false;
    const { at, hash, check } = this.#find(tenant, name);
    return this.#slots[at] === hash && this.#slots[at + 1] === check;
  }

  add(tenant: number, name: Uint8Array): void {
    const { at, hash, check } = this.#find(tenant, name);
    this.#slots[at] = hash;
    this.#slots[at + 1] = check;
    this.#count++;
  }

  clear(): void {
    if (this.#count > 0) this.#slots.fill(0);
    this.#count = 0;
  }

  #find(tenant: number, name: Uint8Array): { at: number; hash: number; check: number } {
    const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
    const hash = hashName(this.#slotSeed, tenant, name, view, 0, name.length);
    // Odd, so never that of an empty slot.
    const check = hashName(this.#checkSeed, tenant, name, view, 0, name.length) | 1;
    return { at: (hash >>> (32 - slotBits)) * fields, hash, check };
  }
}
