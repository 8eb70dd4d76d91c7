// Blobs that were read lately, decoded: nearly every read looks into all there are, and getting one out of the store is
// a copy of the whole, of which a read may want a few rows.
//
// G1. A blob's key names it for good (keys.ts, BlobPlace), so what is kept is true in every snapshot of its shard.
// G2. What is kept has one bound in bytes for all readers of an engine, however many shards there are.
// G3. A read that looks into more than fits keeps the first ones only: else each would throw out what the next wants.
import { LRUCache } from "lru-cache";
import { assert } from "../base/assert.ts";
import { decodeBlob, type Blob } from "./blob.ts";
import type { View } from "./environment.ts";

const keptBytesMost = 64 * 2 ** 20;
/** What a kept blob takes beside its bytes: nine columns, an entry. */
const entryBytes = 4096;

export interface ReadBlob {
  blob: Blob;
  /** With what it takes to keep it. */
  bytes: number;
}

/** Of all readers of an engine. */
export class KeptBlobs {
  readonly #bytesMost: number;
  readonly #blobs: LRUCache<string, ReadBlob>;
  #readers = 0;

  constructor(bytesMost = keptBytesMost) {
    this.#bytesMost = bytesMost;
    this.#blobs = new LRUCache({ maxSize: bytesMost, sizeCalculation: ({ bytes }) => bytes });
  }

  /** Of one open environment: opened anew, it may be another store. */
  ofReader(): BlobsOfReader {
    return new BlobsOfReader(this.#blobs, this.#bytesMost, `${this.#readers++} `);
  }
}

export class BlobsOfReader {
  readonly #blobs: LRUCache<string, ReadBlob>;
  readonly #bytesMost: number;
  readonly #prefix: string;

  constructor(blobs: LRUCache<string, ReadBlob>, bytesMost: number, prefix: string) {
    this.#blobs = blobs;
    this.#bytesMost = bytesMost;
    this.#prefix = prefix;
  }

  /**
   * Valid until the next call of anything that reads from the store. `readBytes`: of the blobs that the same read
   * looked into before (G3).
   */
  get(view: View, key: Buffer, readBytes: number): ReadBlob & { kept: boolean } {
    const at = this.#prefix + key.toString("latin1");
    const kept = this.#blobs.get(at);
    if (kept !== undefined) return { ...kept, kept: true };
    const stored = view.peek(key);
    assert(stored !== undefined, "a blob whose key is there");
    const bytes = stored.length + entryBytes;
    if (readBytes + bytes > this.#bytesMost) return { blob: decodeBlob(stored), bytes, kept: false };
    // Its length is a property of its own: behind it lies all of lmdb-js's buffer, which must not be copied along.
    const copy = new Uint8Array(stored.buffer, stored.byteOffset, stored.length).slice();
    const blob = decodeBlob(copy);
    this.#blobs.set(at, { blob, bytes });
    return { blob, bytes, kept: false };
  }

  /** Forgets this reader's. */
  close(): void {
    const own = [...this.#blobs.keys()].filter((key) => key.startsWith(this.#prefix));
    for (const key of own) this.#blobs.delete(key);
  }
}
