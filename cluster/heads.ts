// What the stores say of a node's shards just now: how far they are, who died where, what is set aside. A reader each,
// opened when it is first asked for, and anew after it failed.
import type { ShardReader, ShardState, Snapshot } from "../src/store/store.ts";

export class Heads {
  readonly #open: (shard: number) => Promise<ShardReader>;
  readonly #readers = new Map<number, Promise<ShardReader>>();

  constructor(open: (shard: number) => Promise<ShardReader>) {
    this.#open = open;
  }

  /** Rejects while the shard's store does not exist, or can't be read. */
  read(shard: number): Promise<ShardState> {
    return this.look(shard, (snapshot) => snapshot.state());
  }

  /** The same. */
  async look<T>(shard: number, use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const opened = this.#readers.get(shard) ?? this.#open(shard);
    this.#readers.set(shard, opened);
    try {
      const snapshot = await (await opened).snapshot();
      try {
        return await use(snapshot);
      } finally {
        snapshot.close();
      }
    } catch (error) {
      if (this.#readers.get(shard) === opened) await this.#forget(shard);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const shard of this.#readers.keys()) await this.#forget(shard);
  }

  async #forget(shard: number): Promise<void> {
    const opened = this.#readers.get(shard);
    this.#readers.delete(shard);
    await (await opened?.catch(() => undefined))?.close();
  }
}
