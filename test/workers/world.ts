// An actor's surroundings without the real things: a memory bus, the memory engine, a clock that stands until moved.
import assert from "node:assert/strict";
import { Backoff } from "../../src/base/backoff.ts";
import { seededRandom } from "../../src/base/random.ts";
import { booksOf as balanceOf } from "../../src/store/books.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { createMemoryBus, type MemoryBus } from "../../src/bus/memory.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import {
  encodeFrame,
  type Door,
  type FrameIdentity,
  type Kind,
  type Refusal,
} from "../../src/metric/frame.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import type { LedgerRow, ShardState, ShardStore, Snapshot, StoreEngine } from "../../src/store/store.ts";
import { ShardActor, type Ended, type ShardActorOptions } from "../../workers/shard-actor.ts";
import type { ShardProgress } from "../../workers/messages.ts";
import { ManualClock, settle } from "../harness/clock.ts";
import { hearLog } from "../harness/log.ts";
import { replaced } from "../harness/replaced.ts";

export const hourMs = 3_600_000;
export const bootA = Uint8Array.from({ length: 16 }, () => 0xaa);
export const bootB = Uint8Array.from({ length: 16 }, () => 0xbb);

export interface FrameInput {
  /** Default: bootA with `n`. */
  boot?: Uint8Array;
  n?: number;
  /** Wins over boot and n: a keyed frame, its id filled with this byte. */
  keyed?: number;
  tenant?: string;
  door?: Door;
  kind?: Kind;
  refusals?: Refusal[];
  receivedAtMs?: number;
}

/** What runs an actor in a test, and what it said. */
export interface Running {
  actor: ShardActor;
  ended: Promise<Ended>;
  /** Undefined while it runs. */
  result(): Ended | undefined;
  progress(): ShardProgress;
  /** Everything it said it was doing, without repetitions. */
  doings: string[];
}

export class World {
  readonly clock = new ManualClock();
  readonly random = seededRandom(7);
  readonly bus: MemoryBus = createMemoryBus({ clock: this.clock, random: this.random });
  engine: StoreEngine = createMemoryEngine();
  readonly heard = hearLog();
  #ids = 0;

  static async start(caps: { bytesMax?: number; duplicateWindowMs?: number } = {}): Promise<World> {
    const world = new World();
    await world.ensure(caps);
    return world;
  }

  async ensure(caps: { bytesMax?: number; duplicateWindowMs?: number } = {}): Promise<void> {
    await this.bus.ensureStream(0, { bytesMax: 1e9, duplicateWindowMs: 1000, ...caps });
  }

  /** Lines, each without its line end, as a frame. */
  frame(lines: readonly string[], input: FrameInput = {}): Buffer {
    const identity: FrameIdentity =
      input.keyed === undefined
        ? { kind: "boot", boot: input.boot ?? bootA, n: input.n ?? 0 }
        : { kind: "keyed", id: new Uint8Array(16).fill(input.keyed) };
    const section = {
      tenant: input.tenant ?? "t1",
      door: input.door ?? ("tcp" as const),
      kind: input.kind ?? ("plaintext" as const),
      lineCount: lines.length,
      lines: Buffer.from(lines.map((line) => `${line}\n`).join("")),
    };
    return encodeFrame({
      identity,
      receivedAtMs: input.receivedAtMs ?? this.clock.nowMs(),
      sections: lines.length === 0 ? [] : [section],
      refusals: input.refusals ?? [],
    });
  }

  /** Records a frame whatever its identity: as a broker does that has forgotten the message id. */
  async record(data: Uint8Array): Promise<number> {
    return (await this.bus.publish(0, `id-${this.#ids++}`, data)).sequence;
  }

  /** Frames n, n + 1, ... of one boot, each with the line `a 1`. */
  async recordMany(count: number, from = 0): Promise<void> {
    for (let n = from; n < from + count; n++) await this.record(this.frame(["a 1"], { n }));
  }

  run(options: Partial<ShardActorOptions> = {}): Running {
    let last: ShardProgress | undefined;
    let result: Ended | undefined;
    const doings: string[] = [];
    const actor = new ShardActor({
      shard: 0,
      owner: { node: "n1", mapVersion: 1, instance: "i" },
      bus: this.bus,
      openStore: () => this.engine.openShard(0),
      openReader: () => this.engine.openReader(0),
      newAggregator: () =>
        createKernelAggregator({ stepSeconds: 1, seed: this.random.bytes(8), seriesMax: 200_000 }),
      clock: this.clock,
      backoff: new Backoff({ firstMs: 100, mostMs: 1000, healthyMs: 30_000 }, this.clock, this.random),
      log: this.heard.log,
      commitMs: 250,
      replayWindowMs: 7 * 24 * hourMs,
      onProgress: (progress) => {
        last = progress;
        if (doings.at(-1) !== progress.doing) doings.push(progress.doing);
      },
      onReady: () => {},
      ...options,
    });
    const ended = actor.run().then((end) => (result = end));
    // Who expects an error awaits `ended`.
    ended.catch(() => {});
    return {
      actor,
      ended,
      doings,
      result: () => result,
      progress: () => {
        assert(last !== undefined, "the actor has said something");
        return last;
      },
    };
  }

  /** Runs an actor until it has committed everything that there is, and stops it. */
  async runThrough(options: Partial<ShardActorOptions> = {}): Promise<Ended> {
    const running = this.run(options);
    await this.clock.pass(2000);
    running.actor.stop();
    return running.ended;
  }

  /** The engine with some answers of its shard stores replaced. */
  storeWith(change: (store: ShardStore) => Partial<ShardStore>): () => Promise<ShardStore> {
    return async () => {
      const store = await this.engine.openShard(0);
      return replaced(store, change(store));
    };
  }

  /** The bus with some of its calls replaced. */
  busWith(change: Partial<Bus>): Bus {
    return replaced<Bus>(this.bus, change);
  }

  async snapshot<T>(use: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const reader = await this.engine.openReader(0);
    const snapshot = await reader.snapshot();
    try {
      return await use(snapshot);
    } finally {
      snapshot.close();
      await reader.close();
    }
  }

  state(): Promise<ShardState> {
    return this.snapshot((snapshot) => snapshot.state());
  }

  /** `name count sum` of each series of a tenant, sorted. */
  sums(tenant = "t1"): Promise<string[]> {
    return this.snapshot((snapshot) => sumsOf(snapshot, tenant));
  }

  /** `door fate reason count` of a tenant, its minutes added, without what was received. */
  async books(tenant = "t1"): Promise<string[]> {
    const rows = await this.snapshot((snapshot) => snapshot.ledger(tenant, 0, Number.MAX_SAFE_INTEGER));
    return booksOf(rows);
  }

  /** `sequence reason text` of each dead letter. */
  letters(): Promise<string[]> {
    return this.snapshot(async (snapshot) =>
      (await snapshot.dead(1000)).map((l) => `${l.sequence} ${l.reason} ${Buffer.from(l.bytes).toString()}`),
    );
  }
}

export async function sumsOf(snapshot: Snapshot, tenant: string): Promise<string[]> {
  const series = await snapshot.findSeries(tenant, "*", 10_000);
  const cells = await snapshot.fetch(
    series.map(({ id }) => id),
    { start: 0, stepSeconds: 2 ** 32, width: 1 },
  );
  return series.map(({ name }, i) => `${name} ${cells.points[i]} ${cells.sum[i]}`);
}

/** What became of what was received; that it is as much as was received is asserted. */
export function booksOf(rows: readonly LedgerRow[]): string[] {
  const sums = new Map<string, number>();
  for (const { door, from, missing } of balanceOf(rows, [], "minute"))
    assert.equal(missing, 0, `${door}, minute ${from}: received = stored + refused + dead`);
  for (const row of rows) {
    if (row.fate === "received") continue;
    const key = [row.door, row.fate, row.reason].filter((word) => word !== "").join(" ");
    sums.set(key, (sums.get(key) ?? 0) + row.count);
  }
  return [...sums].map(([key, count]) => `${key} ${count}`).sort();
}

export { settle };

/** The names that went. */
export async function deleteSeries(
  actor: ShardActor,
  asked: { tenant: string; pattern: string; most: number },
): Promise<string[]> {
  const done = await actor.chore({ kind: "delete-series", ...asked });
  assert(done.kind === "series-deleted");
  return done.names;
}
