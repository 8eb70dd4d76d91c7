// One shard's whole way in one process: gateways, a record that fails, actors that die, and a store that remembers who
// committed what. Everything that happens follows from the seed.
import { Backoff } from "../../src/base/backoff.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import type { RecordedFrame } from "../../src/bus/bus.ts";
import { createMemoryBus, type MemoryBus, type PublishFault } from "../../src/bus/memory.ts";
import { Tally } from "../../src/gateway/tally.ts";
import { ShardBatcher } from "../../src/gateway/batch.ts";
import { RequestAcceptor } from "../../src/gateway/request.ts";
import { ShardSpool } from "../../src/gateway/spool.ts";
import { createKernelAggregator } from "../../src/kernel/kernel-aggregator.ts";
import type { Aggregator } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { type Ladder, longestSpan } from "../../src/metric/bucket.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import type { ShardStore, StoreEngine } from "../../src/store/store.ts";
import { ShardActor, type Ended } from "../../workers/shard-actor.ts";
import { MemoryDisk } from "../gateway/spool-disk.ts";
import { ManualClock } from "../harness/clock.ts";
import { silentLog } from "../harness/log.ts";
import { replaced } from "../harness/replaced.ts";
import { Mortal, type Faults } from "./mortal.ts";

export const ladder: Ladder = { rungs: [{ stepSeconds: 10, spanSeconds: 172_800 }] };

export const gatewayNames = ["red", "green", "blue"] as const;

/** Lines that begin with it kill who ingests them. */
export const poison = "poison ";

export interface Gateway {
  /** Of its spool. */
  name: string;
  mortal: Mortal;
  bus: MemoryBus;
  batcher: ShardBatcher;
  counters: Counters;
  acceptor: RequestAcceptor;
  /** Points (by their value) that went into its frames without a verdict of their own. */
  taken: number[];
}

export interface Life {
  mortal: Mortal;
  bus: MemoryBus;
  actor: ShardActor;
  ended: Ended | undefined;
}

/** A commit that the store took. */
export interface Accepted {
  life: string;
  epoch: number;
  /** The newest epoch that anybody had claimed by then. */
  claimed: number;
  from: number;
  to: number;
}

export class SimWorld {
  readonly random: Random;
  readonly clock = new ManualClock();
  readonly faults: Faults;
  readonly engine: StoreEngine = createMemoryEngine();
  /** The gateways' spools. */
  readonly disk = new MemoryDisk();
  /** The broker as it is, without faults. */
  readonly broker: MemoryBus;
  /** Everything that was ever recorded, whatever became of it later. */
  readonly record: RecordedFrame[] = [];
  readonly lost = new Set<number>();
  readonly accepted: Accepted[] = [];
  /** Lines of frames that were committed in part, whatever became of the rest. */
  readonly parts = new Map<number, number>();
  readonly gateways: Gateway[] = [];
  readonly lives: Life[] = [];
  /** What went wrong in the middle: a bug that was thrown, a shard that failed. */
  readonly complaints: string[] = [];
  /** Chance of a line to be poison. */
  readonly poison: number;
  /** Lines that were buried for deaths that came by chance: found by the checkers. */
  innocent = 0;
  /** Lives that poison ended. */
  poisoned = 0;
  readonly #publishFaults: [PublishFault, number][];
  #names = 0;
  #mapVersion = 0;
  #claimed = 0;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.random = random;
    const rarely = () => (random.next() < 0.5 ? 0 : random.next() * 0.1);
    this.faults = {
      on: true,
      dies: random.next() < 0.5 ? 0 : 0.01,
      busFails: rarely(),
      answerLost: rarely(),
      commitLost: rarely(),
      commitLate: rarely(),
      diskFails: rarely() / 3,
      delayMsMost: 1 + random.below(60),
    };
    this.poison = random.next() < 0.5 ? 0 : random.next() * 0.02;
    this.#publishFaults = [
      ["lose-ack", rarely() * 2],
      ["lose-frame", rarely() * 2],
      ["stream-full", rarely() / 2],
      ["bus-unavailable", rarely() / 2],
    ];
    this.broker = createMemoryBus({ clock: this.clock, random });
  }

  async start(): Promise<void> {
    const duplicateWindowMs = [0, 60, 1000][this.random.below(3)] ?? 0;
    await this.broker.ensureStream(0, { bytesMax: 1e9, duplicateWindowMs });
    await this.broker.read(0, 1, {
      onFrame: (frame) => this.record.push(frame),
      onEnd: (error) => this.complaints.push(`the broker's own reader ended: ${error.message}`),
    });
  }

  /** With the spool of the one that had the name before; by default it takes a name that nobody alive has. */
  async addGateway(name?: string): Promise<Gateway> {
    const mortal = this.#mortal("gateway");
    const taken = new Set(this.living(this.gateways).map((one) => one.name));
    const own = name ?? gatewayNames.find((one) => !taken.has(one)) ?? mortal.name;
    const faults = { onPublish: () => this.#publishFault() };
    const bus = this.broker.another(faults);
    const counters = new Counters();
    const { clock } = mortal;
    const common = { shard: 0, clock, counters, log: silentLog };
    // The disk answers at once until the gateway is there: time passes only between two steps.
    const { files, born } = mortal.files(this.disk);
    const spool = await ShardSpool.open({
      ...common,
      folder: `spool/${own}`,
      bytesMax: 4096 << this.random.below(10),
      files,
      random: this.random,
    });
    born();
    const boot = this.random.bytes(16);
    const batcher = new ShardBatcher({ ...common, boot, bus: mortal.bus(bus), spool });
    const acceptor = new RequestAcceptor({
      door: "http",
      router: createKernelRouter(),
      bus: mortal.bus(bus),
      clock,
      reachOf: () => [{ fromSeconds: 0, spanSeconds: longestSpan(ladder) }],
      tally: new Tally(counters, "http"),
    });
    const gateway = { name: own, mortal, bus, batcher, counters, acceptor, taken: [] };
    this.gateways.push(gateway);
    return gateway;
  }

  /** A new owner of the shard; the present one is not told. */
  addLife(): Life {
    const mortal = this.#mortal("actor");
    const bus = this.broker.another();
    const { clock } = mortal;
    const random = this.random;
    const actor = new ShardActor({
      shard: 0,
      owner: { node: mortal.name, mapVersion: ++this.#mapVersion, instance: "i" },
      bus: mortal.bus(bus),
      openStore: () =>
        mortal.call(async () => mortal.store(this.#watched(await this.engine.openShard(0), mortal.name))),
      openReader: () => this.engine.openReader(0),
      newAggregator: () =>
        this.poison === 0
          ? createKernelAggregator({ stepSeconds: 1, seed: random.bytes(8), seriesMax: 10_000 })
          : this.#killable(mortal, createPlainAggregator({ stepSeconds: 1, seed: random.bytes(8) })),
      clock,
      backoff: new Backoff({ firstMs: 20, mostMs: 300, healthyMs: 5000 }, clock, random),
      log: silentLog,
      commitMs: 20 + random.below(400),
      replayWindowMs: random.below(2) * random.below(20_000),
      onProgress: () => {},
      onReady: () => {},
    });
    const life: Life = { mortal, bus, actor, ended: undefined };
    this.lives.push(life);
    actor.run().then(
      (ended) => {
        life.ended = ended;
        if (ended.kind === "failed")
          this.complaints.push(`${mortal.name} failed: ${ended.code} ${ended.why}`);
      },
      (error: unknown) => {
        if (error instanceof Poison) this.#died(mortal);
        else this.complaints.push(`${mortal.name} threw ${String(error)}`);
      },
    );
    return life;
  }

  /** As a supervisor does. */
  #died(mortal: Mortal): void {
    if (mortal.dead) return;
    mortal.kill();
    this.poisoned++;
    this.clock.after(this.random.below(300), () => void this.addLife());
  }

  /** Poison throws, or ends the life as a crash would. */
  #killable(mortal: Mortal, aggregator: Aggregator): Aggregator {
    return replaced(aggregator, {
      ingest: (tenant, lines, receivedAtMs, refuse) => {
        if (!isPoison(lines)) return aggregator.ingest(tenant, lines, receivedAtMs, refuse);
        if (this.random.below(2) === 0) this.#died(mortal);
        throw new Poison("killed by a line");
      },
    });
  }

  living<T extends Gateway | Life>(all: readonly T[]): T[] {
    return all.filter((one) => !one.mortal.dead && !("ended" in one && one.ended !== undefined));
  }

  /** The broker loses a frame that it had recorded. */
  async loseFrame(): Promise<void> {
    const { firstSequence, lastSequence, messages } = await this.broker.streamState(0);
    if (messages === 0) return;
    const sequence = firstSequence + this.random.below(lastSequence - firstSequence + 1);
    this.broker.loseFrames(0, [sequence]);
    this.lost.add(sequence);
  }

  #mortal(kind: string): Mortal {
    return new Mortal(`${kind}-${++this.#names}`, this.clock, this.random, this.faults);
  }

  #publishFault(): PublishFault {
    if (!this.faults.on) return "none";
    for (const [fault, chance] of this.#publishFaults) if (this.random.next() < chance) return fault;
    return "none";
  }

  /** Below all faults: what the store really took. */
  #watched(store: ShardStore, life: string): ShardStore {
    return replaced(store, {
      claim: async (owner) => {
        const result = await store.claim(owner);
        if (result.kind === "claimed") this.#claimed = result.state.epoch;
        return result;
      },
      commit: async (commit) => {
        const { epoch, from, to } = commit;
        const result = await store.commit(commit);
        if (result.kind === "ok") {
          this.accepted.push({ life, epoch, claimed: this.#claimed, from, to });
          this.parts.set(to + 1, commit.partLines ?? 0);
        }
        return result;
      },
    });
  }
}

class Poison extends Error {}

function isPoison(lines: Uint8Array): boolean {
  const text = Buffer.from(lines).toString();
  return text.startsWith(poison) || text.includes(`\n${poison}`);
}
