// The fill lanes of a node: each shard of its own that has gaps gets one, behind live data.
//
// L1. A few at a time (P6). Which gaps there are the store says, and whether they are filled, and how fast, the wishes:
//     so a restart of the node, or of everything, changes nothing but the thread.
// L2. A lane's death is its own: the shard's actor and the other lanes don't notice. Its budget is as an actor's; when
//     it is spent the lane rests until an operator resumes it.
// L3. Where a whole process died twice with this lane in its hands, it gets a process of its own.
import type { Clock } from "../src/base/clock.ts";
import type { Counters } from "../src/base/counters.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { Settings } from "../src/config/settings.ts";
import { hex } from "../src/metric/frame.ts";
import type { Interval, ShardProgress } from "../src/store/store.ts";
import type { FillProgress, FromShard, SeriesLimitsTold, ShardTask } from "../workers/messages.ts";
import type { StartHosted } from "./hosted.ts";
import { ActorLife } from "./life.ts";
import { RestartBudget } from "./restart-budget.ts";
import { grown, PointRate } from "./shard-counters.ts";
import type { ShardWish } from "./shard-wish.ts";
import { SideJobs } from "./side-jobs.ts";

export interface FillsOptions {
  settings: Settings;
  storeBytes: number;
  /** Of this process. */
  instance: string;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
  hosts: { thread: StartHosted; process: StartHosted };
  /** Shards whose actor runs here, with its epoch. */
  running(): { shard: number; epoch: number }[];
  wishOf(shard: number): ShardWish["backfill"];
  limits(): SeriesLimitsTold;
  /** What the store says of a shard. */
  readHead(shard: number): Promise<ShardProgress>;
}

export interface FillStatus {
  shard: number;
  state: "filling" | "waiting" | "paused" | "queued" | "restarting" | "failed";
  /** In words, where it does not get on. */
  why: string;
  gaps: Interval[];
  framesLeft: number;
  /** Filled since the node began with these gaps. */
  points: number;
  pointsPerSecond: number;
  /** Epoch ms; undefined while nobody knows. */
  doneAtMs: number | undefined;
}

const endMsMax = 2000;
const startsOfPoison = 2;

export class Fills {
  readonly #lanes: SideJobs<FillLane>;

  constructor(options: FillsOptions) {
    const { clock, log } = options;
    this.#lanes = new SideJobs({
      what: "gaps",
      clock,
      log,
      running: () => options.running(),
      readHead: (shard) => options.readHead(shard),
      jobOf: (shard, head, known) =>
        head.gaps.length === 0 ? undefined : (known ?? new FillLane(shard, options)),
      look: (lane, head, epoch, hasPlace) => lane.look(head, epoch, hasPlace),
    });
  }

  start(): void {
    this.#lanes.start();
  }

  async stop(): Promise<void> {
    await this.#lanes.stop();
  }

  status(): FillStatus[] {
    return this.#lanes
      .all()
      .map((lane) => lane.status())
      .toSorted((a, b) => a.shard - b.shard);
  }
}

class FillLane {
  readonly #shard: number;
  readonly #options: FillsOptions;
  readonly #budget: RestartBudget;
  readonly #rate: PointRate;
  readonly #frameRate: PointRate;
  #life: ActorLife | undefined;
  #head: ShardProgress | undefined;
  #progress: FillProgress | undefined;
  #points = 0;
  #said: ShardWish["backfill"] | undefined;
  #notBeforeMs = 0;
  #lastDeath = "";
  #failed = "";
  #isQueued = false;

  constructor(shard: number, options: FillsOptions) {
    this.#shard = shard;
    this.#options = options;
    this.#budget = new RestartBudget(options.random);
    this.#rate = new PointRate(options.clock.monotonicMs());
    this.#frameRate = new PointRate(options.clock.monotonicMs());
  }

  get isOpen(): boolean {
    return this.#life !== undefined;
  }

  look(head: ShardProgress, epoch: number, hasPlace: boolean): void {
    const { clock } = this.#options;
    this.#head = head;
    const wish = this.#options.wishOf(this.#shard);
    if (this.#said?.paused === true && !wish.paused) this.#forgive();
    if (wish.rate !== this.#said?.rate) this.#life?.hosted.post({ kind: "rate", rate: wish.rate });
    this.#said = wish;
    if (wish.paused) {
      if (this.#life !== undefined && !this.#life.isAsked) void this.#life.end(endMsMax);
      return;
    }
    const rests = this.#failed !== "" || clock.monotonicMs() < this.#notBeforeMs;
    // Of another epoch than the owner's it may not even begin.
    if (this.#life !== undefined || rests || head.epoch !== epoch) return;
    this.#isQueued = !hasPlace;
    if (hasPlace) void this.#run(head, epoch, wish);
  }

  async end(): Promise<void> {
    await this.#life?.end(endMsMax);
  }

  status(): FillStatus {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const gaps = this.#head?.gaps ?? [];
    const inGaps = gaps.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    const framesLeft = Math.min(inGaps, this.#progress?.framesLeft ?? inGaps);
    const framesPerSecond = this.#frameRate.at(nowMs);
    return {
      shard: this.#shard,
      state: this.#state(),
      why: this.#failed === "" ? (this.#progress?.waitsFor ?? "") || this.#lastDeath : this.#failed,
      gaps,
      framesLeft,
      points: this.#points,
      pointsPerSecond: this.#rate.at(nowMs),
      doneAtMs:
        framesPerSecond > 0 ? clock.nowMs() + Math.round((framesLeft * 1000) / framesPerSecond) : undefined,
    };
  }

  #state(): FillStatus["state"] {
    if (this.#failed !== "") return "failed";
    if (this.#said?.paused === true) return "paused";
    if (this.#life === undefined) return this.#isQueued ? "queued" : "restarting";
    return this.#progress === undefined || this.#progress.doing === "filling" ? "filling" : "waiting";
  }

  async #run(head: ShardProgress, epoch: number, { rate }: ShardWish["backfill"]): Promise<void> {
    const { clock, hosts, instance, log, random, settings, storeBytes } = this.#options;
    const { lastInstance, starts } = head.lanes.fill;
    const apart = starts >= startsOfPoison && lastInstance !== "" && lastInstance !== instance; // L3
    const task: ShardTask = {
      shard: this.#shard,
      mapVersion: 0,
      instance: apart ? hex(random.bytes(8)) : instance,
      storeBytes,
      settings,
      limits: this.#options.limits(),
      lastDeath: this.#lastDeath,
      fill: { epoch, rate },
    };
    const startedMs = clock.monotonicMs();
    this.#progress = undefined;
    log.info({ shard: this.#shard, gaps: head.gaps.length }, "backfill begins");
    const life = new ActorLife(hosts[apart ? "process" : "thread"], task, clock, (_life, message) =>
      this.#heard(life, message),
    );
    this.#life = life;
    const death = await life.exited;
    this.#life = undefined;
    if (life.told?.kind === "failed") this.#fail(`${life.told.code}: ${life.told.why}`);
    else if (life.told === undefined && !life.isAsked) {
      const { counters } = this.#options;
      const labels = { shard: this.#shard, cause: death.cause };
      counters.counter("fill_deaths_total", "Fill lanes that died, by cause", labels).value++;
      this.#lastDeath = death.why;
      const { spent, waitMs } = this.#budget.died(
        clock.monotonicMs(),
        JSON.stringify([this.#head?.gaps[0], this.#head?.lanes.fill.trial, this.#head?.parts]),
        clock.monotonicMs() - startedMs,
      );
      this.#notBeforeMs = clock.monotonicMs() + waitMs;
      log.warn({ shard: this.#shard, ...death }, "backfill died, starting it again");
      if (spent) this.#fail(`it died again and again at one place, the last time: ${death.why}`);
    } else if (life.told?.kind === "filled") log.info({ shard: this.#shard }, "backfill is done");
  }

  #heard(life: ActorLife, message: FromShard): void {
    if (message.kind === "filling") this.#filled(message);
    else if (
      message.kind === "filled" ||
      message.kind === "fenced" ||
      message.kind === "failed" ||
      message.kind === "stopped"
    )
      life.told = message;
  }

  #filled(progress: FillProgress): void {
    const { clock, counters } = this.#options;
    const nowMs = clock.monotonicMs();
    const points = grown(progress.points, this.#progress?.points);
    this.#points += points;
    this.#rate.add(points, nowMs);
    const frames = (this.#progress?.framesLeft ?? progress.framesLeft) - progress.framesLeft;
    this.#frameRate.add(Math.max(0, frames), nowMs);
    const labels = { shard: this.#shard };
    counters.counter("fill_points_total", "Points that fill lanes committed", labels).value += points;
    this.#progress = progress;
  }

  #fail(why: string): void {
    this.#failed = why;
    this.#options.log.error({ shard: this.#shard, why, page: true }, "backfill rests: it can't get on");
  }

  #forgive(): void {
    this.#failed = "";
    this.#notBeforeMs = 0;
    this.#budget.forgive();
  }
}
