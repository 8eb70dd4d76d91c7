// Freshness (P8): the watermark, up to which a shard's store has everything that was recorded, and what is missing beside
// it: frames that were set aside to be filled in later.
//
// W1. A shard whose offset has reached the stream's end as we last saw it is complete up to that look.
// W2. Any other is complete up to the broker's time of the frame at its offset. So a dead actor's watermark stands
//     still while its stream grows, whatever the actor says of itself.
// W3. Frames of the gaps came between the broker's times of the first and the last of them. Times are asked for once the
//     gaps were seen, and until they are known only the count is said. A gap that has shrunk keeps its earlier beginning.
import type { Clock } from "../base/clock.ts";
import { isOutage } from "../base/errors.ts";
import type { Bus } from "../bus/bus.ts";
import type { ShardState } from "../store/store.ts";

const lookEveryMs = 500;

/** What of a shard an answer rests on. */
export type Home = Pick<ShardState, "offset" | "incarnation" | "frameTimeMs" | "gaps"> & { shard: number };

/** Frames of a shard, of all its tenants, that were set aside and are not in the store yet. */
export interface Aside {
  frames: number;
  /** When they came, epoch seconds, from the first to the last; undefined where it is not known yet. */
  from: number | undefined;
  until: number | undefined;
}

interface Look {
  atMs: number;
  lastSequence: number;
  incarnation: string;
}

/** The first and the last frame of a shard's gaps, and the broker's time of each, once asked. */
interface Edges {
  incarnation: string;
  first: number;
  last: number;
  firstMs: number | undefined;
  lastMs: number | undefined;
}

export class Watermarks {
  readonly #bus: Pick<Bus, "streamState" | "frameAt">;
  readonly #clock: Clock;
  readonly #shards: number;
  readonly #looks = new Map<number, Look>();
  readonly #edges = new Map<number, Edges>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(bus: Pick<Bus, "streamState" | "frameAt">, shards: number, clock: Clock) {
    this.#bus = bus;
    this.#shards = shards;
    this.#clock = clock;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Epoch seconds. */
  of(home: Omit<Home, "gaps">): number {
    const look = this.#looks.get(home.shard);
    const complete =
      look !== undefined &&
      home.offset >= look.lastSequence &&
      // A shard that never committed has no incarnation yet: it is complete as long as nothing was recorded. One that
      // did is not complete because its stream was wiped.
      (home.incarnation === look.incarnation || (home.incarnation === "" && look.lastSequence === 0));
    return Math.floor((complete ? Math.max(look.atMs, home.frameTimeMs) : home.frameTimeMs) / 1000);
  }

  /** W3. undefined: nothing is set aside. */
  aside({ shard, gaps, incarnation }: Omit<Home, "offset" | "frameTimeMs">): Aside | undefined {
    const first = gaps[0]?.[0];
    const last = gaps.at(-1)?.[1];
    if (first === undefined || last === undefined) {
      this.#edges.delete(shard);
      return undefined;
    }
    const edges = this.#edgesOf(shard, { incarnation, first, last });
    return {
      frames: gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0),
      from: edges.firstMs === undefined ? undefined : Math.floor(edges.firstMs / 1000),
      until: edges.lastMs === undefined ? undefined : Math.ceil(edges.lastMs / 1000),
    };
  }

  #edgesOf(shard: number, seen: Pick<Edges, "incarnation" | "first" | "last">): Edges {
    const known = this.#edges.get(shard);
    const isSame = known?.incarnation === seen.incarnation;
    if (isSame && known.first <= seen.first && known.last === seen.last) return known;
    const edges: Edges = {
      ...seen,
      firstMs: isSame && known.first <= seen.first ? known.firstMs : undefined,
      lastMs: isSame && known.last === seen.last ? known.lastMs : undefined,
    };
    this.#edges.set(shard, edges);
    return edges;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (let shard = 0; shard < this.#shards && !this.#stop.signal.aborted; shard++)
        await this.#look(shard);
      await this.#clock.sleep(lookEveryMs, this.#stop.signal);
    }
  }

  async #look(shard: number): Promise<void> {
    // The time before the question: what was recorded while it was under way may be missing in the answer.
    const atMs = this.#clock.nowMs();
    try {
      const { lastSequence, incarnation } = await this.#bus.streamState(shard);
      this.#looks.set(shard, { atMs, lastSequence, incarnation });
      const edges = this.#edges.get(shard);
      if (edges?.incarnation !== incarnation) return;
      edges.firstMs ??= (await this.#bus.frameAt(shard, edges.first))?.timeMs;
      edges.lastMs ??= (await this.#bus.frameAt(shard, edges.last))?.timeMs;
    } catch (error) {
      // Without the record the last look stands: it grows older, and so does the watermark.
      if (!isOutage(error)) throw error;
    }
  }
}
