// What an upkeep thread does with a job: a slice is as many steps of one shard's upkeep as fit its time. Upkeeps are
// opened at a shard's first slice and stay open.
//
// S1. An outage is an answer, and costs what is open of that shard only: the next slice opens it anew.
// S2. A bug is thrown to whoever asked, after the same: nothing is used again that it may have left half done.
import type { Clock } from "../src/base/clock.ts";
import { isOutage } from "../src/base/errors.ts";
import { compileLadderRules, type LadderRules } from "../src/metric/ladder-rules.ts";
import type { ShardUpkeep, StoreEngine } from "../src/store/store.ts";
import type { UpkeepAnswer, UpkeepDone, UpkeepJob, UpkeepRules, UpkeepWork } from "./messages.ts";

type SliceJob = Extract<UpkeepJob, { kind: "slice" }>;
type Done = Partial<Record<UpkeepWork, UpkeepDone>>;

export class Slices {
  readonly #engine: StoreEngine;
  readonly #clock: Clock;
  readonly #open = new Map<number, ShardUpkeep>();
  #rules: LadderRules | undefined;

  constructor(engine: StoreEngine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  async answer(job: UpkeepJob): Promise<UpkeepAnswer> {
    switch (job.kind) {
      case "slice":
        return await this.#slice(job);
      case "close":
        await this.#close(job.shard);
        return { kind: "closed" };
      case "close-all":
        for (const shard of this.#open.keys()) await this.#close(shard);
        return { kind: "closed" };
      default:
        return job satisfies never;
    }
  }

  async #slice(job: SliceJob): Promise<UpkeepAnswer> {
    if (job.rules !== undefined) this.#rules = compiled(job.rules);
    const ladders = this.#rules;
    if (ladders?.version !== job.rulesVersion) return { kind: "rules-wanted" };
    const done: Done = {};
    try {
      return await this.#steps(job, ladders, done);
    } catch (error) {
      await this.#close(job.shard);
      if (!isOutage(error)) throw error; // S2
      return { kind: "outage", code: error.code, why: error.message, done }; // S1
    }
  }

  async #steps(job: SliceJob, ladders: LadderRules, done: Done): Promise<UpkeepAnswer> {
    const untilMs = this.#clock.monotonicMs() + job.sliceMs;
    const upkeep = this.#open.get(job.shard) ?? (await this.#engine.openUpkeep(job.shard));
    this.#open.set(job.shard, upkeep);
    let backlogBytes: number;
    do {
      const step = await upkeep.step({ nowSeconds: job.nowSeconds, ladders, all: false });
      backlogBytes = step.backlogBytes;
      if (step.kind !== "worked") return { kind: "sliced", done, end: step.kind, backlogBytes };
      const sum = (done[step.work] ??= { steps: 0, rows: 0, bytes: 0 });
      sum.steps += 1;
      sum.rows += step.rows;
      sum.bytes += step.bytes;
    } while (this.#clock.monotonicMs() < untilMs);
    return { kind: "sliced", done, end: "more", backlogBytes };
  }

  async #close(shard: number): Promise<void> {
    const upkeep = this.#open.get(shard);
    this.#open.delete(shard);
    try {
      await upkeep?.close();
    } catch (error) {
      // What could not be used may not be closable either.
      if (!isOutage(error)) throw error;
    }
  }
}

function compiled({ version, standard, tenants }: UpkeepRules): LadderRules {
  return compileLadderRules(version, standard, new Map(tenants));
}
