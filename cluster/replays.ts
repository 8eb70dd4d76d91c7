// The replays of a node: each shard of its own that has one gets a thread that goes on with it, behind live data.
//
// L1. A few at a time (P6). Which replay there is, and how far it is, the store says; whether it is stopped, and how fast
//     it goes, the wishes: so a restart changes nothing but the thread.
// L2. A death of the job is its own: the shard's actor does not notice. Its budget is as an actor's; when it is spent the
//     replay rests until an operator starts it, or gives it up.
import type { Clock } from "../src/base/clock.ts";
import type { Counters } from "../src/base/counters.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { Settings } from "../src/config/settings.ts";
import type { Replay, ShardProgress } from "../src/store/store.ts";
import type {
  FromShard,
  ReplayEnded,
  ReplayProgress,
  SeriesLimitsTold,
  ShardTask,
} from "../workers/messages.ts";
import type { StartHosted } from "./hosted.ts";
import type { JobProgress } from "./job-messages.ts";
import { ActorLife } from "./life.ts";
import { RestartBudget } from "./restart-budget.ts";
import type { ShardWish } from "./shard-wish.ts";
import { lookMs, SideJobs } from "./side-jobs.ts";

export interface ReplaysOptions {
  settings: Settings;
  storeBytes: number;
  /** Of this process. */
  instance: string;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
  startThread: StartHosted;
  /** Shards whose actor runs here, with its epoch. */
  running(): { shard: number; epoch: number }[];
  wishOf(shard: number): ShardWish["replay"];
  limits(): SeriesLimitsTold;
  /** What the store says of a shard. */
  readHead(shard: number): Promise<ShardProgress>;
}

const endMsMax = 2000;

export class Replays {
  readonly #jobs: SideJobs<ReplayHost>;

  constructor(options: ReplaysOptions) {
    const { clock, log } = options;
    this.#jobs = new SideJobs({
      what: "replays",
      clock,
      log,
      running: () => options.running(),
      readHead: (shard) => options.readHead(shard),
      jobOf(shard, head, known) {
        const replay = openReplay(head);
        if (replay === undefined || (known !== undefined && known.id !== replay.id)) return undefined;
        return known ?? new ReplayHost(shard, replay.id, options);
      },
      look(job, head, epoch, hasPlace) {
        const replay = openReplay(head);
        if (replay !== undefined) job.look(replay, head.epoch === epoch ? epoch : undefined, hasPlace);
      },
    });
  }

  start(): void {
    this.#jobs.start();
  }

  async stop(): Promise<void> {
    await this.#jobs.stop();
  }

  /** Of this replay; it may be that nobody looked at it yet. */
  progress(shard: number, replay: Replay): JobProgress {
    return this.#jobs.of(shard)?.progress(replay) ?? notYet(replay);
  }
}

/** What a swapped one replaced, upkeep removes. */
function openReplay({ replays: [replay] }: ShardProgress): Replay | undefined {
  return replay?.state === "swapped" ? undefined : replay;
}

function notYet({ done, offset }: Replay): JobProgress {
  const frames = offset - done;
  return {
    state: "waiting",
    why: "",
    framesLeft: frames,
    frames,
    points: 0,
    pointsPerSecond: 0,
    etaMs: null,
  };
}

/** Of a thread that has said nothing yet. */
function unsaid({ done, first, offset }: Replay) {
  const frames = offset - first + 1;
  return { frames, framesDone: done - first + 1, framesPerSecond: 0, pointsPerSecond: 0, points: 0 };
}

class ReplayHost {
  readonly id: number;
  readonly #shard: number;
  readonly #options: ReplaysOptions;
  readonly #budget: RestartBudget;
  #life: ActorLife | undefined;
  #ended: ReplayEnded | undefined;
  #replay: Replay | undefined;
  #progress: ReplayProgress | undefined;
  /** Of the threads before. */
  #points = 0;
  #said: ShardWish["replay"] | undefined;
  #notBeforeMs = 0;
  #lastDeath = "";
  #failed = "";
  #isQueued = false;

  constructor(shard: number, id: number, options: ReplaysOptions) {
    this.#shard = shard;
    this.id = id;
    this.#options = options;
    this.#budget = new RestartBudget(options.random);
  }

  get isOpen(): boolean {
    return this.#life !== undefined;
  }

  /** No epoch: the actor is only just claiming one. */
  look(replay: Replay, epoch: number | undefined, hasPlace: boolean): void {
    this.#replay = replay;
    const wish = this.#options.wishOf(this.#shard);
    if (this.#said?.stopped === true && !wish.stopped) this.#forgive();
    if (wish.rate !== this.#said?.rate) this.#life?.hosted.post({ kind: "rate", rate: wish.rate });
    this.#said = wish;
    if (wish.stopped) {
      if (this.#life !== undefined && !this.#life.isAsked) void this.end();
      return;
    }
    const rests = this.#failed !== "" || this.#options.clock.monotonicMs() < this.#notBeforeMs;
    if (this.#life !== undefined || rests || epoch === undefined) return;
    this.#isQueued = !hasPlace;
    if (hasPlace) void this.#run(epoch, wish.rate);
  }

  async end(): Promise<void> {
    await this.#life?.end(endMsMax);
  }

  progress(replay: Replay): JobProgress {
    if (replay.id !== this.id) return notYet(replay);
    const { frames, framesDone, framesPerSecond, pointsPerSecond, points } = this.#progress ?? unsaid(replay);
    const framesLeft = Math.max(0, frames - framesDone);
    const state = this.#state();
    return {
      state,
      why: this.#why(),
      framesLeft,
      frames,
      points: this.#points + points,
      pointsPerSecond: state === "running" ? pointsPerSecond : 0,
      etaMs:
        state === "running" && framesPerSecond > 0 ? Math.round((framesLeft * 1000) / framesPerSecond) : null,
    };
  }

  #state(): JobProgress["state"] {
    if (this.#failed !== "") return "failed";
    if (this.#said?.stopped === true) return "paused";
    return this.#life === undefined || (this.#progress?.waitsFor ?? "") !== "" ? "waiting" : "running";
  }

  #why(): string {
    if (this.#failed !== "") return this.#failed;
    if (this.#isQueued) return "other replays of this node";
    return (this.#progress?.waitsFor ?? "") || this.#lastDeath;
  }

  async #run(epoch: number, rate: number | "full"): Promise<void> {
    const { clock, instance, log, settings, startThread, storeBytes } = this.#options;
    const task: ShardTask = {
      shard: this.#shard,
      mapVersion: 0,
      instance,
      storeBytes,
      settings,
      limits: this.#options.limits(),
      lastDeath: this.#lastDeath,
      replay: { epoch, rate },
    };
    const startedMs = clock.monotonicMs();
    this.#points += this.#progress?.points ?? 0;
    this.#progress = undefined;
    this.#ended = undefined;
    log.info({ shard: this.#shard, replay: this.id }, "replay goes on");
    const life = new ActorLife(startThread, task, clock, (_life, message) => this.#heard(message));
    this.#life = life;
    const death = await life.exited;
    this.#life = undefined;
    const ended = this.#ended as ReplayEnded | undefined;
    if (ended !== undefined || life.isAsked) {
      // Fenced: the owner of now has an epoch of its own; what else it may be, the store says at the next look.
      this.#notBeforeMs = clock.monotonicMs() + lookMs;
      return;
    }
    const { counters } = this.#options;
    const labels = { shard: this.#shard, cause: death.cause };
    counters.counter("replay_deaths_total", "Jobs of replays that died, by cause", labels).value++;
    this.#lastDeath = death.why;
    const nowMs = clock.monotonicMs();
    const place = `${this.#replay?.state} ${this.#replay?.done}`;
    const { spent, waitMs } = this.#budget.died(nowMs, place, nowMs - startedMs);
    this.#notBeforeMs = nowMs + waitMs;
    log.warn({ shard: this.#shard, replay: this.id, ...death }, "replay died, starting it again");
    if (spent) this.#fail(`it died again and again at one place, the last time: ${death.why}`);
  }

  #heard(message: FromShard): void {
    if (message.kind === "replayed") this.#ended = message.ended;
    if (message.kind !== "replaying") return;
    const { counters } = this.#options;
    const grown = Math.max(0, message.points - (this.#progress?.points ?? 0));
    const labels = { shard: this.#shard };
    counters.counter("replay_points_total", "Points that replays read again", labels).value += grown;
    this.#progress = message;
  }

  #fail(why: string): void {
    this.#failed = why;
    const { log } = this.#options;
    log.error({ shard: this.#shard, replay: this.id, why, page: true }, "replay rests: it can't get on");
  }

  #forgive(): void {
    this.#failed = "";
    this.#notBeforeMs = 0;
    this.#budget.forgive();
  }
}
