// The last answers for keys as they stand in lines, found by their bytes: no string and no hash of it per line.
//
// Direct-mapped and of fixed size: keys that fall on one slot push each other out and cost a look-up, never memory.
import type { Route, Routes } from "./routes.ts";

const slots = 4096;
const keyBytesMax = 200;

export class KeyCache {
  readonly #routes: Routes;
  readonly #keys: (Buffer | undefined)[] = Array.from({ length: slots });
  readonly #answers: Route[] = [];
  #generation = -1;

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  /** Whose lines come from this address without a key; undefined: they need one. */
  ofAddress(peer: string): Route | undefined {
    return this.#routes.ofAddress(peer);
  }

  /** Whose key bytes[from, to) is. "unavailable" is never kept. */
  of(bytes: Buffer, from: number, to: number): Route {
    if (this.#generation !== this.#routes.generation) {
      this.#keys.fill(undefined);
      this.#generation = this.#routes.generation;
    }
    // FNV-1a: good enough to spread keys, which are random; a collision costs a look-up.
    let hash = 0x811c9dc5;
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (slots - 1);
    const key = this.#keys[slot];
    if (key !== undefined && key.length === to - from && same(key, bytes, from))
      return this.#answers[slot] as Route;
    const route = this.#routes.of(bytes.toString("latin1", from, to));
    if (route.kind !== "unavailable" && to - from <= keyBytesMax) {
      this.#keys[slot] = Buffer.from(bytes.subarray(from, to));
      this.#answers[slot] = route;
    }
    return route;
  }
}

function same(key: Buffer, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[from + i]) return false;
  return true;
}
