// Jobs that run behind the actors of a node's shards: at most one for each shard, where what the store says of it asks
// for one. What such a job is, others say.
//
// J1. A few have a place at a time (P6).
// J2. A shard that can't be read, or that went elsewhere, costs its own job alone.
import type { Clock } from "../src/base/clock.ts";
import { isOutage, messageOf } from "../src/base/errors.ts";
import type { Log } from "../src/base/log.ts";
import type { ShardProgress } from "../src/store/store.ts";

export interface SideJob {
  /** It has a thread or a process. */
  readonly isOpen: boolean;
  end(): Promise<void>;
}

export interface SideJobsOptions<Job> {
  /** For the log. */
  what: string;
  clock: Clock;
  log: Log;
  /** Shards whose actor runs here, with its epoch. */
  running(): { shard: number; epoch: number }[];
  /** What the store says of a shard. */
  readHead(shard: number): Promise<ShardProgress>;
  /** The job that a shard needs, the one it has or another; undefined: none, and the one it has ends. */
  jobOf(shard: number, head: ShardProgress, known: Job | undefined): Job | undefined;
  /** J1. It may begin where it has a place. */
  look(job: Job, head: ShardProgress, epoch: number, hasPlace: boolean): void;
}

export const lookMs = 500;
const jobsMost = 2;

export class SideJobs<Job extends SideJob> {
  readonly #options: SideJobsOptions<Job>;
  readonly #stop = new AbortController();
  readonly #jobs = new Map<number, Job>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: SideJobsOptions<Job>) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#look();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Promise.all([...this.#jobs.values()].map((job) => job.end()));
  }

  of(shard: number): Job | undefined {
    return this.#jobs.get(shard);
  }

  all(): Job[] {
    return [...this.#jobs.values()];
  }

  async #look(): Promise<void> {
    const { clock, log, what } = this.#options;
    while (!this.#stop.signal.aborted) {
      const running = this.#options.running();
      for (const { shard, epoch } of running)
        try {
          await this.#lookAt(shard, epoch);
        } catch (error) {
          if (!isOutage(error)) throw error;
          log.debug({ shard, why: messageOf(error) }, `the ${what} of a shard can't be read`);
        }
      for (const [shard, job] of this.#jobs)
        if (!running.some((each) => each.shard === shard)) await this.#forget(shard, job);
      await clock.sleep(lookMs, this.#stop.signal);
    }
  }

  async #lookAt(shard: number, epoch: number): Promise<void> {
    const head = await this.#options.readHead(shard);
    const known = this.#jobs.get(shard);
    const job = this.#options.jobOf(shard, head, known);
    if (job === undefined) {
      if (known !== undefined) await this.#forget(shard, known);
      return;
    }
    this.#jobs.set(shard, job);
    const open = this.all().filter((each) => each.isOpen).length;
    this.#options.look(job, head, epoch, open < jobsMost);
  }

  async #forget(shard: number, job: Job): Promise<void> {
    await job.end();
    this.#jobs.delete(shard);
  }
}
