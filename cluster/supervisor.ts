// A node's supervisor: a table of children, one for each shard that the map gives this node.
//
// V1. A child's death is its own (child.ts): its siblings never notice.
// V2. A stop asks each child to commit and end; what has not ended in time is ended. Nothing is lost by that: the record
//     has it.
import type { FirstDeed, SeriesLimitsTold } from "../workers/messages.ts";
import { Child } from "./child.ts";
import type { ChildParts, DeedResult, ShardStatus } from "./child-parts.ts";
import { startProcess } from "./hosted-process.ts";
import { SpareThread } from "./spare-thread.ts";
import type { Question, Requested } from "./requests.ts";
import { decodeWish, type ShardWish } from "./shard-wish.ts";

export type { ShardStatus } from "./child-parts.ts";

export interface SupervisorOptions extends Omit<ChildParts, "limits" | "hosts"> {
  /** Default: threads, and processes where they are called for. */
  hosts?: ChildParts["hosts"];
}

const stopMsMax = 2000;

export class Supervisor {
  readonly #parts: ChildParts;
  readonly #children = new Map<number, Child>();
  readonly #wishes = new Map<number, ShardWish>();
  #mapVersion = 0;
  readonly #spare: SpareThread;
  #stopping = false;
  /** Nobody is refused before the directory is known. */
  #limits: SeriesLimitsTold = { standard: "off", tenants: [] };

  constructor(options: SupervisorOptions) {
    const spare = new SpareThread(options);
    this.#spare = spare;
    const hosts = options.hosts ?? { thread: spare.start, process: startProcess };
    this.#parts = { ...options, hosts, limits: () => this.#limits };
  }

  /** Tells all actors, those to come included, how many series their tenants may have. */
  limit(limits: SeriesLimitsTold): void {
    this.#limits = limits;
    for (const child of this.#children.values()) child.limit(limits);
  }

  /** Runs exactly these shards. A newer map lets fenced ones try again. */
  assign(mapVersion: number, shards: readonly number[]): void {
    if (this.#stopping || mapVersion < this.#mapVersion) return;
    const newer = mapVersion > this.#mapVersion;
    this.#mapVersion = mapVersion;
    for (const [shard, child] of this.#children) {
      if (shards.includes(shard)) continue;
      this.#children.delete(shard);
      void child.stop(stopMsMax);
    }
    for (const shard of shards) {
      const child = this.#children.get(shard);
      if (child === undefined)
        this.#children.set(shard, new Child(shard, mapVersion, this.#wishes.get(shard), this.#parts));
      else if (newer) child.newMap(mapVersion);
    }
  }

  /** What operators wish of a shard, whether or not it runs here. */
  wish(shard: number, wish: ShardWish): void {
    this.#wishes.set(shard, wish);
    this.#children.get(shard)?.wish(wish);
  }

  wishOf(shard: number): ShardWish {
    return this.#wishes.get(shard) ?? decodeWish(undefined);
  }

  get limits(): SeriesLimitsTold {
    return this.#limits;
  }

  /** Shards whose actor runs, and in which epoch. */
  running(): { shard: number; epoch: number }[] {
    return this.status().flatMap(({ shard, state, progress }) =>
      state === "running" && progress !== undefined ? [{ shard, epoch: progress.epoch }] : [],
    );
  }

  status(): ShardStatus[] {
    return [...this.#children.values()].map((child) => child.status()).toSorted((a, b) => a.shard - b.shard);
  }

  /** Shards that are this node's: upkeep looks after them, whether or not their actor is just well. */
  owned(): number[] {
    return [...this.#children].filter(([, child]) => child.owns()).map(([shard]) => shard);
  }

  /** Those that this node answers for. */
  shards(): number[] {
    return [...this.#children.keys()].filter((shard) => this.runs(shard)).toSorted((a, b) => a - b);
  }

  /** The shard is this node's to answer for. */
  runs(shard: number): boolean {
    const state = this.#children.get(shard)?.state;
    return state !== undefined && state !== "fenced";
  }

  /**
   * Asks a shard's actor. Always ends: with the answer, or with why there is none, at the latest after `withinMs`. What
   * was asked may have happened all the same.
   */
  request(shard: number, question: Question, withinMs: number): Promise<Requested> {
    return this.#children.get(shard)?.request(question, withinMs) ?? Promise.resolve(notHere);
  }

  /** Starts the shard's actor anew, one that failed as well. False when it is not this node's. */
  restart(shard: number): boolean {
    const child = this.#children.get(shard);
    child?.restart();
    return child !== undefined;
  }

  /** Ends the shard's actor, which may hang, and has the next one do this first. Always answers. */
  deed(shard: number, first: FirstDeed): Promise<DeedResult> {
    return this.#children.get(shard)?.deed(first) ?? Promise.resolve(notHere);
  }

  /** Ends one actor at once, as a crash would: it starts again by itself. False when there was none. */
  async kill(shard: number): Promise<boolean> {
    return (await this.#children.get(shard)?.kill()) ?? false;
  }

  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map((child) => child.stop(withinMs)));
    await this.#spare.close();
  }
}

const notHere = { kind: "none", why: "this node does not run it" } as const;
