// A shard whose kernel counted wrong, the job that rebuilds it, and a store beside it that has read the same record with
// a kernel that counts right: what the first one must hold in the end.
import assert from "node:assert/strict";
import { Backoff } from "../../src/base/backoff.ts";
import { Outage } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import type { Aggregator, Deltas } from "../../src/kernel/kernel.ts";
import { createPlainAggregator } from "../../src/kernel/plain-aggregator.ts";
import { encodeFrame, type FrameIdentity, type Section } from "../../src/metric/frame.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import type { Interval, Replay, ShardStore, StoreEngine } from "../../src/store/store.ts";
import { Batch } from "../../workers/batch.ts";
import type { ReplayEnded, ReplayProgress } from "../../workers/messages.ts";
import { ReplayJob, type ReplayJobOptions } from "../../workers/replay.ts";
import type { ShardActorOptions } from "../../workers/shard-actor.ts";
import { withFaults } from "../../workers/faults.ts";
import { rulesOf } from "../contract/store-life.ts";
import { replaced } from "../harness/replaced.ts";
import { World } from "./world.ts";

/** What the kernel adds to each sum while it counts wrong. */
const wrong = 1000;
const rules = rulesOf("10s:1d");

export interface SectionInput {
  tenant?: string;
  kind?: Section["kind"];
  lines: readonly string[];
}

export class ReplayWorld extends World {
  readonly fresh: StoreEngine = createMemoryEngine();
  readonly store: Promise<ShardStore> = this.engine.openShard(0);
  /** Epoch seconds of the world's beginning: a multiple of ten. */
  readonly t0 = Math.floor(this.clock.nowMs() / 10_000) * 10;

  static override async start(): Promise<ReplayWorld> {
    const world = new ReplayWorld();
    await world.ensure();
    return world;
  }

  /** Records a frame of these sections. */
  async sections(
    identity: FrameIdentity,
    sections: readonly SectionInput[],
    receivedAtMs?: number,
  ): Promise<number> {
    const frame = encodeFrame({
      identity,
      receivedAtMs: receivedAtMs ?? this.clock.nowMs(),
      sections: sections.map(({ tenant = "t1", kind = "plaintext", lines }) => ({
        tenant,
        door: "tcp",
        kind,
        lineCount: lines.length,
        lines: Buffer.from(lines.map((line) => `${line}\n`).join("")),
      })),
      refusals: [],
    });
    return await this.record(frame);
  }

  /** Lives until everything recorded is committed, with a kernel that counts wrong, or right, and dies of faults. */
  async live(kernel: "wrong" | "right"): Promise<void> {
    const newAggregator = () => withFaults(kernel === "wrong" ? countingWrong(plain()) : plain());
    await this.#through(this.engine, newAggregator);
  }

  async #through(engine: StoreEngine, newAggregator: () => Aggregator): Promise<void> {
    const options: Partial<ShardActorOptions> = {
      newAggregator,
      openStore: () => engine.openShard(0),
      openReader: () => engine.openReader(0),
    };
    const { lastSequence } = await this.bus.streamState(0);
    for (let lives = 0; lives < 100; lives++) {
      await this.runThrough(options).catch(() => {});
      const reader = await engine.openReader(0);
      const snapshot = await reader.snapshot();
      const { offset } = await snapshot.state();
      snapshot.close();
      if (offset >= lastSequence) return;
    }
    assert.fail("live comes to the record's end");
  }

  /** Sets what is recorded but not committed aside. */
  async skip(): Promise<Interval> {
    const { epoch, offset, receivedAtMs } = await this.state();
    const { lastSequence, incarnation } = await this.bus.streamState(0);
    const last = await this.bus.frameAt(0, lastSequence);
    assert(last !== undefined);
    const at = { incarnation, frameTimeMs: last.timeMs, receivedAtMs };
    assert.equal(await (await this.store).skip(epoch, lastSequence, at), "ok");
    return [offset + 1, lastSequence];
  }

  /** Commits a gap, in one piece. */
  async fill([from, to]: Interval): Promise<void> {
    const store = await this.store;
    const state = await this.state();
    const batch = new Batch({ aggregator: plain(), state, lane: "fill", from: from - 1 });
    for (let sequence = from; sequence <= to; sequence++) {
      const recorded = await this.bus.frameAt(0, sequence);
      assert(recorded !== undefined);
      const decoded = batch.decode(recorded);
      const question = batch.questionOf(decoded);
      const applied =
        question?.kind === "keyed" && (await store.keyedApplied([question.id], recorded.timeMs))[0] === true;
      batch.apply(recorded, decoded, applied);
    }
    const result = await store.commit(batch.commit(state.epoch, from - 1, state.incarnation));
    assert.equal(result.kind, "ok");
  }

  async begin(from: number, until: number, tenant = "t1"): Promise<Replay> {
    const { epoch } = await this.state();
    const { firstSequence } = await this.bus.streamState(0);
    const begun = await (await this.store).beginReplay(epoch, { tenant, from, until, first: firstSequence });
    assert(begun.kind === "begun", JSON.stringify(begun));
    return begun.replay;
  }

  /** Upkeep until it has nothing to do. */
  async upkeep(): Promise<void> {
    const upkeep = await this.engine.openUpkeep(0);
    const task = { nowSeconds: Math.floor(this.clock.nowMs() / 1000), ladders: rules, all: true };
    for (let steps = 0; (await upkeep.step(task)).kind === "worked"; steps++) assert.ok(steps < 1000);
    await upkeep.close();
  }

  async job(options: Partial<ReplayJobOptions> = {}): Promise<RunningJob> {
    const { epoch } = await this.state();
    const said: ReplayProgress[] = [];
    const job = new ReplayJob({
      shard: 0,
      epoch,
      rate: "full",
      bus: this.bus,
      openStore: () => this.engine.openShard(0),
      openReader: () => this.engine.openReader(0),
      newAggregator: plain,
      clock: this.clock,
      backoff: new Backoff({ firstMs: 100, mostMs: 1000, healthyMs: 30_000 }, this.clock, this.random),
      log: this.heard.log,
      onProgress: (progress) => said.push(progress),
      ...options,
    });
    const running: RunningJob = { job, said, ended: undefined, thrown: undefined };
    job.run().then(
      (ended) => (running.ended = ended),
      (error: unknown) => (running.thrown = error),
    );
    return running;
  }

  /** One job after the other, with upkeep between, until one says that it is over. */
  async replay(options: () => Partial<ReplayJobOptions> = () => ({})): Promise<ReplayEnded> {
    for (let jobs = 0; jobs < 500; jobs++) {
      const running = await this.job(options());
      for (
        let turns = 0;
        turns < 50 && running.ended === undefined && running.thrown === undefined;
        turns++
      ) {
        await this.clock.pass(1000);
        await this.upkeep();
      }
      running.job.stop();
      await this.clock.pass(1000);
      if (running.ended !== undefined && running.ended.kind !== "stopped") return running.ended;
    }
    throw new Error("the replay does not come to its end");
  }

  /** `name second points sum` of ten seconds each, of all that is in [from, until). */
  async cells(engine: StoreEngine, from: number, until: number, tenant = "t1"): Promise<string[]> {
    const reader = await engine.openReader(0);
    const snapshot = await reader.snapshot();
    const patterns = ["*", "*.*", "*.*.*", "*.*.*.*"];
    const found = (
      await Promise.all(patterns.map((pattern) => snapshot.findSeries(tenant, pattern, 10_000)))
    ).flat();
    // One of its outputs stands for a series that has several.
    const series = [...new Map(found.map((each) => [each.id, each])).values()];
    const width = (until - from) / 10;
    const range = { start: from, stepSeconds: 10, width };
    const cells = await snapshot.fetch(
      series.map(({ id }) => id),
      range,
    );
    snapshot.close();
    return series.flatMap(({ name }, s) =>
      Array.from({ length: width }, (_, i) => ({ at: s * width + i, seconds: from + i * 10 }))
        .filter(({ at }) => (cells.points[at] ?? 0) > 0)
        .map(({ at, seconds }) => `${name} ${seconds - this.t0} ${cells.points[at]} ${cells.sum[at]}`),
    );
  }

  /** What a store holds that reads this record for the first time. */
  async readFresh(): Promise<void> {
    await this.#through(this.fresh, plain);
  }

  /** A store that fails now and then, before or behind what was asked. `dies`: as a thread does, not as an outage. */
  failing(random: Random, chance: number, dies: boolean): () => Promise<ShardStore> {
    const failure = () =>
      dies ? new Error("the thread ends here") : new Outage("store-unavailable", "gone");
    return async () => {
      const store = await this.engine.openShard(0);
      const fails = async <T>(work: () => Promise<T>): Promise<T> => {
        if (random.next() < chance) throw failure();
        const answer = await work();
        if (random.next() < chance) throw failure();
        return answer;
      };
      return replaced(store, {
        stage: (epoch, id, part) => fails(() => store.stage(epoch, id, part)),
        swap: (epoch, id) => fails(() => store.swap(epoch, id)),
      });
    };
  }
}

export interface RunningJob {
  job: ReplayJob;
  said: ReplayProgress[];
  ended: ReplayEnded | undefined;
  thrown: unknown;
}

export function plain(): Aggregator {
  return createPlainAggregator({ stepSeconds: 1, seed: new Uint8Array(8) });
}

function countingWrong(aggregator: Aggregator): Aggregator {
  return replaced(aggregator, {
    commit: (): Deltas => {
      const deltas = aggregator.commit();
      return { ...deltas, sum: deltas.sum.map((sum) => sum + wrong) };
    },
  });
}
