// A node's supervisor: a table of children, one actor thread a shard.
//
// V1. A child's death is its own: it is started again with backoff, its siblings never notice.
// V2. A child that ended as fenced or failed is not started again: the first waits for a newer map, the second for a
//     person.
// V3. A stop asks each child to commit and end; what has not ended in time is ended. Nothing is lost by that: the
//     record has it.
import { Worker } from "node:worker_threads";
import { Backoff } from "../src/base/backoff.ts";
import type { Clock } from "../src/base/clock.ts";
import type { Counters } from "../src/base/counters.ts";
import { messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { Settings } from "../src/config/settings.ts";
import { Requests, type Question, type Requested } from "./requests.ts";
import type { FromShard, SeriesLimitsTold, ShardProgress, ShardTask, ToShard } from "../workers/messages.ts";

export interface SupervisorOptions {
  settings: Settings;
  /** Of this process: random. */
  instance: string;
  storeBytes: number;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
}

export type ChildState = "starting" | "running" | "restarting" | "fenced" | "failed" | "stopped";

export interface ShardStatus {
  shard: number;
  state: ChildState;
  why: string;
  restarts: number;
  threadId: number;
  /** Since the actor last said what it does, ms. */
  silentMs: number;
  progress: ShardProgress | undefined;
}

const entry = new URL(
  `../workers/shard${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url,
);

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<number, Child>();
  #mapVersion = 0;
  #stopping = false;
  /** Nobody is refused before the directory is known. */
  #limits: SeriesLimitsTold = { standard: "off", tenants: [] };

  constructor(options: SupervisorOptions) {
    this.#options = options;
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
        this.#children.set(shard, new Child(shard, mapVersion, this.#options, () => this.#limits));
      else if (newer) child.newMap(mapVersion);
    }
  }

  status(): ShardStatus[] {
    return [...this.#children.values()].map((child) => child.status()).toSorted((a, b) => a.shard - b.shard);
  }

  /** Shards that are this node's: upkeep looks after them, whether or not their actor is just well. */
  owned(): number[] {
    return [...this.#children].filter(([, child]) => child.owns()).map(([shard]) => shard);
  }

  /** The shard is this node's to answer for. */
  runs(shard: number): boolean {
    const state = this.#children.get(shard)?.status().state;
    return state !== undefined && state !== "fenced";
  }

  /**
   * Asks a shard's actor. Always ends: with the answer, or with why there is none, at the latest after `withinMs`. What
   * was asked may have happened all the same.
   */
  request(shard: number, question: Question, withinMs: number): Promise<Requested> {
    const child = this.#children.get(shard);
    if (child === undefined) return Promise.resolve({ kind: "none", why: "this node does not run it" });
    return child.request(question, withinMs);
  }

  /** Ends one actor's thread at once, as a crash would: it starts again by itself. False when there was none. */
  async kill(shard: number): Promise<boolean> {
    return (await this.#children.get(shard)?.kill()) ?? false;
  }

  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map((child) => child.stop(withinMs)));
  }
}

const stopMsMax = 2000;

class Child {
  readonly #shard: number;
  readonly #options: SupervisorOptions;
  readonly #limits: () => SeriesLimitsTold;
  readonly #backoff: Backoff;
  readonly #requests: Requests;
  readonly #stopped = new AbortController();
  #mapVersion: number;
  #worker: Worker | undefined;
  #exited: Promise<void> = Promise.resolve();
  #state: ChildState = "starting";
  #why = "";
  #restarts = 0;
  #lastDeath = "";
  #progress: ShardProgress | undefined;
  #heardMs = 0;

  constructor(shard: number, mapVersion: number, options: SupervisorOptions, limits: () => SeriesLimitsTold) {
    this.#shard = shard;
    this.#limits = limits;
    this.#mapVersion = mapVersion;
    this.#options = options;
    this.#requests = new Requests(options.clock);
    this.#backoff = new Backoff(
      { firstMs: 100, mostMs: 10_000, healthyMs: 30_000 },
      options.clock,
      options.random,
    );
    this.#start();
  }

  limit(limits: SeriesLimitsTold): void {
    this.#worker?.postMessage({ kind: "series-limits", limits } satisfies ToShard);
  }

  owns(): boolean {
    const mine: ChildState[] = ["running", "restarting", "failed"];
    return mine.includes(this.#state);
  }

  request(question: Question, withinMs: number): Promise<Requested> {
    const worker = this.#worker;
    if (worker === undefined || this.#state !== "running")
      return Promise.resolve({
        kind: "none",
        why: `its actor does not run: it is ${this.#state} ${this.#why}`.trim(),
      });
    return this.#requests.ask(withinMs, (request) =>
      worker.postMessage({ ...question, request } satisfies ToShard),
    );
  }

  status(): ShardStatus {
    return {
      shard: this.#shard,
      state: this.#state,
      why: this.#why === "" ? (this.#progress?.waitsFor ?? "") : this.#why,
      restarts: this.#restarts,
      threadId: this.#worker?.threadId ?? -1,
      silentMs: Math.round(this.#options.clock.monotonicMs() - this.#heardMs),
      progress: this.#progress,
    };
  }

  /** V2. */
  newMap(version: number): void {
    this.#mapVersion = version;
    if (this.#state !== "fenced") return;
    // Its thread may not have ended yet: there is never more than one.
    if (this.#worker === undefined) this.#start();
    else this.#state = "restarting";
  }

  async kill(): Promise<boolean> {
    const worker = this.#worker;
    await worker?.terminate();
    return worker !== undefined;
  }

  async stop(withinMs: number): Promise<void> {
    this.#stopped.abort();
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.postMessage({ kind: "stop" } satisfies ToShard);
    const over = new AbortController();
    await Promise.race([this.#exited, this.#options.clock.sleep(withinMs, over.signal)]);
    over.abort();
    await worker.terminate();
  }

  #start(): void {
    const { settings, storeBytes, log } = this.#options;
    const shard = this.#shard;
    this.#state = "starting";
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#backoff.started();
    const limits = this.#limits();
    const { instance } = this.#options;
    const mapVersion = this.#mapVersion;
    const lastDeath = this.#lastDeath;
    const task: ShardTask = { shard, mapVersion, instance, storeBytes, settings, limits, lastDeath };
    const worker = new Worker(entry, {
      workerData: task,
      name: `shard-${shard}`,
      resourceLimits: { maxOldGenerationSizeMb: settings.heapMb },
    });
    this.#worker = worker;
    let cause = "";
    worker.on("message", (message: FromShard) => this.#heard(message));
    worker.on("error", (error) => {
      cause = messageOf(error);
      log.error({ shard, err: error }, "actor died");
    });
    this.#exited = new Promise((resolve) => {
      worker.on("exit", (code) => {
        resolve();
        this.#exitedWith(cause === "" ? `exit ${code}` : cause);
      });
    });
  }

  #heard(message: FromShard): void {
    const { counters, log } = this.#options;
    const shard = this.#shard;
    this.#heardMs = this.#options.clock.monotonicMs();
    switch (message.kind) {
      case "ready":
        this.#state = "running";
        this.#why = "";
        return;
      case "progress":
        publishProgress(counters, shard, message, this.#progress);
        this.#progress = message;
        return;
      case "fenced":
        this.#state = "fenced";
        this.#why = "another owner has claimed the shard";
        log.warn({ shard }, "shard is fenced: waiting for a newer map");
        return;
      case "failed":
        this.#state = "failed";
        this.#why = `${message.code}: ${message.why}`;
        log.error({ shard, code: message.code, why: message.why, page: true }, "shard has failed");
        return;
      case "stopped":
        this.#state = "stopped";
        return;
      case "series-deleted":
      case "letters-dropped":
      case "released":
      case "buried":
      case "purged":
      case "chore-failed":
      case "refused-lines":
        this.#requests.answered(message.request, message);
        return;
      default:
    }
  }

  /** V1. */
  #exitedWith(cause: string): void {
    this.#worker = undefined;
    this.#progress = undefined;
    this.#requests.endAll("its actor ended meanwhile");
    if (this.#stopped.signal.aborted || this.#state === "fenced" || this.#state === "failed") return;
    const { clock, counters, log } = this.#options;
    this.#state = "restarting";
    this.#why = cause;
    this.#lastDeath = cause;
    this.#restarts++;
    counters.counter("shard_restarts_total", "Actor threads started again", { shard: this.#shard }).value++;
    const ms = this.#backoff.nextMs();
    log.warn({ shard: this.#shard, cause, againInMs: Math.round(ms) }, "actor ended, starting it again");
    void clock.sleep(ms, this.#stopped.signal).then(() => {
      if (!this.#stopped.signal.aborted) this.#start();
    });
  }
}

const counted = {
  points: "Points committed or about to be",
  frames: "Frames read",
  commits: "Commits",
  rows: "Rows committed",
  duplicates: "Frames skipped because they were applied before",
  refused: "Lines refused by the actor",
  dead: "Dead letters",
  holes: "Frames that the record lost",
  trimmed: "Frames trimmed from the record",
} as const;

const gauged = {
  offset: "Last sequence committed",
  read: "Last sequence read",
  epoch: "Epoch of the ownership",
  series: "Series in the actor's table",
  commitMs: "Duration of the last commit, ms",
} as const;

/** An actor counts from 0 in each life; the node's counters only grow. */
function publishProgress(
  counters: Counters,
  shard: number,
  now: ShardProgress,
  before: ShardProgress | undefined,
): void {
  for (const name of Object.keys(counted) as (keyof typeof counted)[]) {
    const since = before?.[name] ?? 0;
    counters.counter(`shard_${name}_total`, counted[name], { shard }).value +=
      now[name] >= since ? now[name] - since : now[name];
  }
  for (const name of Object.keys(gauged) as (keyof typeof gauged)[])
    counters.gauge(`shard_${name}`, gauged[name], { shard }).value = now[name];
}
