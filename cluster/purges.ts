// Takes away what deleted tenants have in this node's shards, once their grace is over: a tombstone in each shard, then
// the series and the dead letters, a slice at a time, through the shards' actors.
//
// P1. Nobody leads: each node looks after its own shards, each step may be done again, and the node that sees the last
//     shard done closes the tenant's record. What is done is kept in KV, so a restart goes on where it was.
// P2. Nothing is purged on the word of a copy: the directory must be live, and the record itself must say `purging`.
//     Only this state is for good, and only a grace that is over, or an operator, leads to it.
// P3. A shard is done when it has its tombstone and two slices in a row found less than they might have taken: before the
//     second one everything that was read before the tombstone was committed, and what is read since is refused.
// P4. Live first (P6 of the design): slices are small, and between two of them the job rests longer than one took.
// P5. A shard that does not answer is left alone for a while, so it holds up nobody; it is tried again as long as it takes.
import type { Clock } from "../src/base/clock.ts";
import type { Cell, Counters } from "../src/base/counters.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { Kv } from "../src/bus/bus.ts";
import { findTenant } from "../src/tenant/admin.ts";
import type { TenantBucket } from "../src/tenant/record.ts";
import { beginPurge, endPurge, isDue } from "../src/tenant/states.ts";
import type { Tenant } from "../src/tenant/tenant.ts";
import { addPurgeNews, type PurgeNews, purgeKey, readPurge } from "./purge-progress.ts";
import type { Answer, Question } from "./requests.ts";
import type { Supervisor } from "./supervisor.ts";

export interface PurgesOptions {
  /** Of the node's directory, what is needed here. */
  tenants: { readonly live: boolean; readonly generation: number; all(): Tenant[] };
  /** The bucket of the tenants, and the cluster's. */
  open: () => Promise<{ bucket: TenantBucket; kv: Kv }>;
  supervisor: Pick<Supervisor, "owned" | "request">;
  /** How many shards there are in all. */
  shards: number;
  clock: Clock;
  counters: Counters;
  log: Log;
}

/** Series, or dead letters, of one slice: lines wait behind it. */
const sliceMost = 500;
/** Slices of a shard for one tenant before the next has its turn. */
const slicesAtOnce = 20;
const actorMs = 30_000;
/** P4. */
const restFactor = 3;
const restMsLeast = 20;
const lookMs = 1000;
/** After an outage, and where nothing can be done before some shard answers. */
const againMs = 5000;
/** P5: asking one that hangs takes up to `actorMs`. */
const leftAloneMs = 15_000;

/** What is to do: nothing for now; go on at once; or try again after a while. */
type Round = "idle" | "more" | "later";
type Buckets = { bucket: TenantBucket; kv: Kv };

export class Purges {
  readonly #options: PurgesOptions;
  readonly #stop = new AbortController();
  readonly #gone: Cell;
  readonly #letters: Cell;
  readonly #open: Cell;
  /** Deleted or purging, of the directory's `generation`. */
  #leaving: { generation: number; tenants: Tenant[] } = { generation: -1, tenants: [] };
  /** P5: until when, monotonic ms. */
  readonly #leftAlone = new Map<number, number>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: PurgesOptions) {
    this.#options = options;
    const { counters } = options;
    this.#gone = counters.counter("purge_series_total", "Series of deleted tenants that were purged");
    this.#letters = counters.counter("purge_letters_total", "Their dead letters that were removed");
    this.#open = counters.gauge("purge_tenants", "Tenants whose purge is not over");
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Waits for the slice under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let round: Round = "later";
      try {
        round = await this.#round();
      } catch (error) {
        if (!isOutage(error)) log.error({ err: error }, "purge: a round failed");
        else log.warn({ code: error.code, why: messageOf(error) }, "purge waits");
      }
      if (round !== "more") await clock.sleep(round === "idle" ? lookMs : againMs, signal);
    }
  }

  async #round(): Promise<Round> {
    const leaving = this.#leavingNow();
    const nowMs = this.#options.clock.nowMs();
    const purging = leaving.filter(({ state }) => state === "purging");
    const due = leaving.filter((tenant) => isDue(tenant, nowMs));
    this.#open.value = purging.length;
    if (!this.#options.tenants.live || purging.length + due.length === 0) return "idle"; // P2
    const buckets = await this.#options.open();
    for (const tenant of due) await this.#begin(buckets.bucket, tenant);
    let all: Round = "idle";
    for (const { id } of purging) {
      if (this.#stop.signal.aborted) return "idle";
      const one = await this.#visit(buckets, id);
      if (one === "more" || (one === "later" && all === "idle")) all = one;
    }
    return all;
  }

  #leavingNow(): Tenant[] {
    const { tenants } = this.#options;
    const { generation } = tenants;
    if (this.#leaving.generation !== generation) {
      const isLeaving = ({ state, purgedMs }: Tenant) =>
        state === "deleted" || (state === "purging" && purgedMs === undefined);
      this.#leaving = { generation, tenants: tenants.all().filter(isLeaving) };
    }
    return this.#leaving.tenants;
  }

  async #begin(bucket: TenantBucket, { id, name }: Tenant): Promise<void> {
    const { clock, log } = this.#options;
    const begun = await beginPurge(bucket, id, { clock, now: false });
    if (begun.kind === "changed") log.info({ tenant: id, name }, "the grace of a deleted tenant is over");
  }

  /** Some slices in each shard of ours that is not done. */
  async #visit(buckets: Buckets, id: string): Promise<Round> {
    const { bucket, kv } = buckets;
    const tenant = await findTenant(bucket, id);
    if (tenant?.state !== "purging" || tenant.purgedMs !== undefined) return "idle"; // P2
    const before = await readPurge(kv, id);
    const done = before?.done ?? [];
    const shards = this.#options.supervisor.owned().filter((shard) => !done.includes(shard));
    if (shards.length === 0) return await this.#over(buckets, tenant, done);
    const { clock } = this.#options;
    const news: PurgeNews = { done: [], left: {}, series: 0 };
    let asked = 0;
    for (const shard of shards) {
      if ((this.#leftAlone.get(shard) ?? 0) > clock.monotonicMs()) continue; // P5
      asked++;
      const sliced = await this.#slices(shard, id, news);
      if (sliced === "done") news.done.push(shard);
      if (sliced === "unanswered") this.#leftAlone.set(shard, clock.monotonicMs() + leftAloneMs);
    }
    if (asked === 0) return "later";
    this.#gone.value += news.series;
    await addPurgeNews(kv, id, news, clock.nowMs());
    return "more";
  }

  /** P1. Other nodes may have shards yet. */
  async #over({ bucket, kv }: Buckets, { id, name }: Tenant, done: readonly number[]): Promise<Round> {
    const { clock, log, shards } = this.#options;
    if (new Set(done).size < shards) return "idle";
    const ended = await endPurge(bucket, id, clock);
    if (ended.kind === "changed") log.info({ tenant: id, name }, "a deleted tenant is purged");
    await kv.delete(purgeKey(id));
    return "idle";
  }

  /** P3, P4. */
  async #slices(shard: number, tenant: string, news: PurgeNews): Promise<"done" | "more" | "unanswered"> {
    if ((await this.#ask(shard, { kind: "bury", tenant })) === undefined) return "unanswered";
    let inRow = 0;
    for (let slices = 0; slices < slicesAtOnce && !this.#stop.signal.aborted; slices++) {
      const answer = await this.#ask(shard, { kind: "purge", tenant, most: sliceMost });
      if (answer?.kind !== "purged") return "unanswered";
      news.series += answer.series;
      news.left[shard] = answer.left;
      this.#letters.value += answer.letters;
      inRow = Math.max(answer.series, answer.letters) < sliceMost ? inRow + 1 : 0;
      if (inRow === 2) return "done";
    }
    return "more";
  }

  /** Undefined: there is no answer; it may have been done all the same. */
  async #ask(shard: number, question: Question): Promise<Answer | undefined> {
    const { clock, log, supervisor } = this.#options;
    const beganMs = clock.monotonicMs();
    const result = await supervisor.request(shard, question, actorMs);
    const tookMs = clock.monotonicMs() - beganMs;
    await clock.sleep(Math.max(restMsLeast, restFactor * tookMs), this.#stop.signal);
    if (result.kind === "answered" && result.answer.kind !== "chore-failed") return result.answer;
    const why = result.kind === "none" ? result.why : result.answer.kind;
    log.debug({ shard, why }, "purge: a shard did not answer");
    return undefined;
  }
}
