// One upkeep thread's day: whose turn it is, how long the thread rests, what a shard that fails costs. upkeep.ts says
// what is promised.
import { Backoff } from "../src/base/backoff.ts";
import { assert } from "../src/base/assert.ts";
import { messageOf, outageCodes } from "../src/base/errors.ts";
import type { UpkeepAnswer } from "../workers/messages.ts";
import type { UpkeepCounters } from "./upkeep-counters.ts";
import type { UpkeepPool } from "./upkeep-pool.ts";
import type { ShardUpkeepStatus, UpkeepOptions } from "./upkeep.ts";

/** Short enough that siblings wait little and a stop is quick; long enough that the way to the thread costs nothing. */
const sliceMs = 200;
/** A shard with nothing to do is asked again after this time. */
const idleMs = 1000;
/** Rests shorter than this are saved up: a timer is no finer. */
const restMsLeast = 20;
/** A slice that is still not over after this time never will be: a step waits for the disk for a minute at most. */
const stuckMs = 120_000;
const retry = { firstMs: 1000, mostMs: 60_000, healthyMs: 60_000 };

interface Turn {
  shard: number;
  /** From when on it may be served, monotonic ms. */
  dueMs: number;
  backlogBytes: number;
  /** More than it should wait for: served without rest. */
  hurries: boolean;
  backoff: Backoff;
  /** What was said of it: "" while all is well. */
  failing: string;
  why: string;
}

export class Lane {
  readonly #options: UpkeepOptions;
  readonly #counters: UpkeepCounters;
  readonly #index: number;
  readonly #stop: AbortSignal;
  readonly #turns = new Map<number, Turn>();
  /** When everything done so far, at its share of the time, will have been paid; monotonic ms. */
  #paidMs = 0;
  #waitsForRules = false;

  constructor(options: UpkeepOptions, counters: UpkeepCounters, index: number, stop: AbortSignal) {
    this.#options = options;
    this.#counters = counters;
    this.#index = index;
    this.#stop = stop;
  }

  status(): ShardUpkeepStatus[] {
    return Array.from(this.#turns.values(), ({ shard, backlogBytes, failing, why }) => ({
      shard,
      backlogBytes,
      failing: failing === "" ? "" : `${failing}: ${why}`,
    }));
  }

  /** Until the stop, and until the thread has closed what it had open. */
  async run(): Promise<void> {
    const { clock } = this.#options;
    const pool = this.#options.newPool();
    while (!this.#stop.aborted) {
      await this.#follow(pool);
      const turn = this.#rulesAreThere() ? this.#next() : undefined;
      if (turn === undefined) await clock.sleep(this.#waitMs(), this.#stop);
      else await this.#serve(pool, turn);
    }
    await pool.close();
  }

  /** Takes up shards that came, and lets go of those that went. */
  async #follow(pool: UpkeepPool): Promise<void> {
    const { clock, random, threads } = this.#options;
    const mine = new Set(this.#options.shards().filter((shard) => shard % threads === this.#index));
    for (const shard of mine) {
      if (this.#turns.has(shard)) continue;
      const backoff = new Backoff(retry, clock, random);
      const dueMs = clock.monotonicMs();
      this.#turns.set(shard, {
        shard,
        dueMs,
        backlogBytes: 0,
        hurries: false,
        backoff,
        failing: "",
        why: "",
      });
    }
    for (const shard of this.#turns.keys()) {
      if (mine.has(shard)) continue;
      this.#turns.delete(shard);
      this.#counters.gone(shard);
      await pool.run({ kind: "close", shard }).catch((error: unknown) => this.#bug(shard, error));
    }
  }

  #rulesAreThere(): boolean {
    const there = this.#options.rules() !== undefined;
    if (!there && !this.#waitsForRules)
      this.#options.log.warn("upkeep waits until it is known which ladders the tenants have");
    this.#waitsForRules = !there;
    return there;
  }

  /** K1: who has been due longest. While the thread rests, only those who hurry. */
  #next(): Turn | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    const rests = this.#restMs(nowMs) > 0;
    let next: Turn | undefined;
    for (const turn of this.#turns.values()) {
      if (turn.dueMs > nowMs || (rests && !turn.hurries)) continue;
      if (next === undefined || turn.dueMs < next.dueMs) next = turn;
    }
    return next;
  }

  /** How long until there may be something to do; new shards are found within `idleMs`. */
  #waitMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    const restMs = this.#restMs(nowMs);
    let waitMs = idleMs;
    if (this.#waitsForRules) return waitMs;
    for (const { dueMs, hurries } of this.#turns.values())
      waitMs = Math.min(waitMs, Math.max(dueMs - nowMs, hurries ? 0 : restMs));
    return Math.max(1, Math.ceil(waitMs));
  }

  #restMs(nowMs: number): number {
    const restMs = this.#paidMs - nowMs;
    return restMs < restMsLeast ? 0 : restMs;
  }

  async #serve(pool: UpkeepPool, turn: Turn): Promise<void> {
    const { clock, log } = this.#options;
    const { shard } = turn;
    const startedMs = clock.monotonicMs();
    if (turn.failing !== "") turn.backoff.started();
    const notStuck = clock.after(stuckMs, () => {
      log.error({ shard, page: true }, "a slice of upkeep does not end: the node has to be started again");
    });
    try {
      const answer = await this.#slice(pool, shard);
      this.#took(startedMs, turn.hurries);
      this.#heard(turn, answer);
    } catch (error) {
      this.#took(startedMs, turn.hurries);
      this.#bug(shard, error);
      this.#failed(turn, "bug", messageOf(error), true); // K3
    } finally {
      notStuck();
    }
  }

  async #slice(pool: UpkeepPool, shard: number): Promise<UpkeepAnswer> {
    const rules = this.#options.rules();
    assert(rules !== undefined, "rules that were there once stay");
    const nowSeconds = Math.floor(this.#options.clock.nowMs() / 1000);
    const job = { kind: "slice", shard, sliceMs, nowSeconds, rulesVersion: rules.version } as const;
    const answer = await pool.run(job);
    return answer.kind === "rules-wanted" ? await pool.run({ ...job, rules }) : answer;
  }

  /** K2. What was not used earlier is not saved up. */
  #took(startedMs: number, hurries: boolean): void {
    const tookMs = this.#options.clock.monotonicMs() - startedMs;
    this.#counters.seconds.value += tookMs / 1000;
    if (!hurries) this.#paidMs = Math.max(this.#paidMs, startedMs) + tookMs / this.#options.share;
  }

  #heard(turn: Turn, answer: UpkeepAnswer): void {
    const { clock, hurryBytes, log } = this.#options;
    assert(answer.kind === "sliced" || answer.kind === "outage", "an answer to a slice");
    this.#counters.did(answer.done);
    if (answer.kind === "outage") {
      this.#counters.outage(answer.code);
      this.#failed(turn, answer.code, answer.why, outageCodes[answer.code] === "final");
      return;
    }
    if (turn.failing !== "") log.info({ shard: turn.shard }, "upkeep of a shard goes on");
    turn.failing = "";
    if (answer.end === "overtaken") this.#counters.overtaken.value += 1;
    turn.backlogBytes = answer.backlogBytes;
    this.#counters.backlog(turn.shard).value = turn.backlogBytes;
    turn.hurries = answer.end === "more" && turn.backlogBytes > hurryBytes;
    turn.dueMs = clock.monotonicMs() + (answer.end === "more" ? 0 : idleMs);
  }

  /** K3. */
  #failed(turn: Turn, what: string, why: string, page: boolean): void {
    const { clock, log } = this.#options;
    const ms = turn.backoff.nextMs();
    turn.hurries = false;
    turn.dueMs = clock.monotonicMs() + ms;
    turn.why = why;
    if (turn.failing === what) return;
    turn.failing = what;
    const fields = { shard: turn.shard, code: what, why, againInMs: Math.round(ms) };
    if (page) log.error({ ...fields, page }, "upkeep of a shard fails");
    else log.warn(fields, "upkeep of a shard waits");
  }

  #bug(shard: number, error: unknown): void {
    this.#counters.bugs.value += 1;
    this.#options.log.error({ shard, err: error }, "upkeep: a slice ended with a bug, or its thread died");
  }
}
