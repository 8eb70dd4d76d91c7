// One shard of a node's supervisor: runs its actor, life after life, and decides after each death what comes next.
//
// C1. One life at a time: the next begins when nothing of the last one runs any more.
// C2. A life that was asked to end has not died. A death is counted, told to the next life, and costs the budget
//     (restart-budget.ts); a budget that is spent makes the shard fail.
// C3. Fenced waits for a newer map, failed for a person, paused for a resume. A first deed (skip, adopt) is done all the
//     same: that is how a person gets a shard out of there.
// C4. Where a whole process died twice with this shard in its hands, the actor gets a process of its own until its
//     isolation is over.
import { messageOf } from "../src/base/errors.ts";
import { hex } from "../src/metric/frame.ts";
import type { ShardState } from "../src/store/store.ts";
import type {
  FirstDeed,
  FromShard,
  SeriesLimitsTold,
  ShardProgress,
  ShardTask,
} from "../workers/messages.ts";
import type { ChildParts, ChildState, DeedResult, ShardStatus, Told } from "./child-parts.ts";
import type { Death } from "./hosted.ts";
import { ActorLife } from "./life.ts";
import { Requests, type Question, type Requested } from "./requests.ts";
import { RestartBudget } from "./restart-budget.ts";
import { grown, PointRate, publishProgress } from "./shard-counters.ts";
import type { ShardWish } from "./shard-wish.ts";

/** How long an actor has to commit and end when it is paused, restarted or goes back into a thread. */
const endMsMax = 2000;
/** The same when an operator waits for a skip: it may well hang. */
const deedEndMsMax = 1000;
/** A deed that has not been told by then may still be done. */
const deedMsMax = 30_000;
const headMsMax = 2000;
/** Claims without a commit, the last by another process: then it is likely that the shard ends processes. */
const startsOfPoison = 2;

interface Deed {
  first: FirstDeed;
  startedMs: number;
  settle(result: DeedResult): void;
}

export class Child {
  readonly #shard: number;
  readonly #parts: ChildParts;
  readonly #budget: RestartBudget;
  readonly #requests: Requests;
  readonly #rate: PointRate;
  #mapVersion: number;
  #life: ActorLife | undefined;
  #isPaused: boolean;
  #failed: { code: string; why: string } | undefined;
  /** The wish that was read last says that the shard failed. */
  #wishFailed: boolean;
  #isFenced = false;
  #isGone = false;
  #deed: Deed | undefined;
  #restarts = 0;
  #deaths = 0;
  #lastDeath = "";
  #why = "";
  #progress: ShardProgress | undefined;
  /** A death whose first commit afterwards is still to come, monotonic ms. */
  #diedMs: number | undefined;
  #heardMs: number;
  /** Ends a wait for the next life. */
  #hurry = new AbortController();
  readonly #over: Promise<void>;

  constructor(shard: number, mapVersion: number, wish: ShardWish | undefined, parts: ChildParts) {
    this.#shard = shard;
    this.#mapVersion = mapVersion;
    this.#parts = parts;
    this.#isPaused = wish?.paused ?? false;
    this.#failed = wish?.failed ?? undefined;
    this.#wishFailed = this.#failed !== undefined;
    this.#requests = new Requests(parts.clock);
    this.#budget = new RestartBudget(parts.random);
    this.#heardMs = parts.clock.monotonicMs();
    this.#rate = new PointRate(this.#heardMs);
    this.#over = this.#run();
  }

  get state(): ChildState {
    const life = this.#life;
    if (this.#isGone) return "stopped";
    if (life?.told?.kind === "fenced" || (life === undefined && this.#isFenced)) return "fenced";
    if (life?.told?.kind === "failed") return "failed";
    if (life !== undefined) return life.readySinceMs === undefined ? "starting" : "running";
    if (this.#failed !== undefined) return "failed";
    if (this.#isPaused) return "paused";
    return this.#deaths > 0 ? "restarting" : "starting";
  }

  status(): ShardStatus {
    const { clock } = this.#parts;
    const hosted = this.#life?.hosted;
    const nowMs = clock.monotonicMs();
    return {
      shard: this.#shard,
      state: this.state,
      why: this.#whyNow(),
      restarts: this.#restarts,
      deaths: this.#deaths,
      lastDeath: this.#lastDeath,
      hosting: hosted?.kind ?? "none",
      threadId: hosted?.id ?? -1,
      doing: hosted?.reading().doing ?? "idle",
      silentMs: Math.round(nowMs - this.#heardMs),
      pointsPerSecond: this.#rate.at(nowMs),
      progress: this.#progress,
    };
  }

  /** Upkeep looks after it: its store is there, and nobody else's. */
  owns(): boolean {
    return !["starting", "fenced", "stopped"].includes(this.state);
  }

  limit(limits: SeriesLimitsTold): void {
    this.#life?.hosted.post({ kind: "series-limits", limits });
  }

  request(question: Question, withinMs: number): Promise<Requested> {
    const { state } = this;
    const hosted = this.#life?.hosted;
    if (hosted === undefined || state !== "running") {
      const why = `its actor does not run: it is ${state} ${this.#whyNow()}`.trim();
      return Promise.resolve({ kind: "none", why });
    }
    return this.#requests.ask(withinMs, (request) => hosted.post({ ...question, request }));
  }

  newMap(version: number): void {
    this.#mapVersion = version;
    this.#isFenced = false;
    this.#goOn();
  }

  wish(wish: ShardWish): void {
    const wasFailed = this.#wishFailed;
    this.#wishFailed = wish.failed !== null;
    // Only a change says anything: what is read may be older than what happened here.
    if (wasFailed && wish.failed === null && this.#failed !== undefined) this.restart();
    else if (wish.failed !== null && this.#life === undefined) this.#failed ??= wish.failed;
    if (wish.paused === this.#isPaused) return;
    this.#isPaused = wish.paused;
    if (wish.paused && this.#deed === undefined) void this.#end(endMsMax);
    this.#goOn();
  }

  /** From the store's offset, whatever it did; a failed shard is tried again. */
  restart(): void {
    this.#forgive();
    void this.#end(endMsMax);
    this.#goOn();
  }

  /** Ends the actor, and has the next one do this before anything else. */
  deed(first: FirstDeed): Promise<DeedResult> {
    const { clock } = this.#parts;
    if (this.#isGone) return Promise.resolve({ kind: "none", why: "this node is stopping" });
    if (this.#deed !== undefined)
      return Promise.resolve({ kind: "none", why: `its ${this.#deed.first.kind} is still under way` });
    return new Promise((resolve) => {
      const settle = (result: DeedResult) => {
        late();
        this.#deed = undefined;
        resolve(result);
      };
      const late = clock.after(deedMsMax, () =>
        settle({ kind: "none", why: `it was not done within ${deedMsMax / 1000} s: ${this.#whyNow()}` }),
      );
      this.#deed = { first, startedMs: clock.monotonicMs(), settle };
      void this.#end(deedEndMsMax);
      this.#goOn();
    });
  }

  /** At once, as a crash would. False when there was none. */
  async kill(): Promise<boolean> {
    const life = this.#life;
    if (life === undefined) return false;
    await life.kill({ cause: "killed", why: "its thread was ended" });
    return true;
  }

  async stop(withinMs: number): Promise<void> {
    this.#isGone = true;
    this.#deed?.settle({ kind: "none", why: "the shard goes to another node, or its node stops" });
    this.#goOn();
    await this.#end(withinMs);
    await this.#over;
  }

  /** C1. */
  async #run(): Promise<void> {
    for (;;) {
      while (this.#rests()) await this.#untilHurry();
      if (this.#isGone) return;
      const head = await this.#head();
      if (this.#rests() || this.#isGone) continue;
      await this.#oneLife(head);
    }
  }

  /** C3. */
  #rests(): boolean {
    if (this.#isGone || this.#deed !== undefined) return false;
    return this.#isFenced || this.#failed !== undefined || this.#isPaused;
  }

  #goOn(): void {
    this.#hurry.abort();
  }

  async #untilHurry(ms?: number): Promise<void> {
    const { clock } = this.#parts;
    // What was asked for before is seen at once.
    if (!this.#hurry.signal.aborted) {
      if (ms === undefined)
        await new Promise<void>((resolve) => {
          this.#hurry.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      else await clock.sleep(ms, this.#hurry.signal);
    }
    if (this.#hurry.signal.aborted) this.#hurry = new AbortController();
  }

  async #oneLife(head: ShardState | undefined): Promise<void> {
    const { clock, hosts, log } = this.#parts;
    const inProcess = this.#needsProcess(head);
    const task = this.#task(inProcess);
    if (inProcess) log.warn({ shard: this.#shard }, "shard starts in a process of its own: it ended others");
    this.#heardMs = clock.monotonicMs();
    this.#progress = undefined;
    // Whatever it was about: it is seen now.
    this.#hurry = new AbortController();
    const start = hosts[inProcess ? "process" : "thread"];
    const life = new ActorLife(start, task, clock, (from, message) => this.#heard(from, message));
    this.#life = life;
    const death = await life.exited;
    this.#life = undefined;
    this.#requests.endAll("its actor ended meanwhile");
    await this.#after(life, death);
  }

  #task(inProcess: boolean): ShardTask {
    const { instance, random, settings, storeBytes } = this.#parts;
    return {
      shard: this.#shard,
      mapVersion: this.#mapVersion,
      instance: inProcess ? hex(random.bytes(8)) : instance,
      storeBytes,
      settings,
      limits: this.#parts.limits(),
      lastDeath: this.#lastDeath,
      first: this.#deed?.first,
    };
  }

  /** C4. */
  #needsProcess(head: ShardState | undefined): boolean {
    if (head === undefined) return false;
    const { lastInstance, starts } = head.lanes.live;
    return starts >= startsOfPoison && lastInstance !== "" && lastInstance !== this.#parts.instance;
  }

  async #end(withinMs: number): Promise<void> {
    await this.#life?.end(withinMs);
  }

  /** C2. */
  async #after(life: ActorLife, death: Death): Promise<void> {
    if (life.told?.kind === "fenced") {
      this.#isFenced = life.mapVersion === this.#mapVersion;
      this.#deed?.settle({ kind: "none", why: "another owner has the shard" });
    } else if (life.told?.kind === "failed") {
      this.#fail(life.told.code, life.told.why);
    } else if (!life.isAsked && !this.#isGone) {
      await this.#died(life, death);
    }
  }

  async #died(life: ActorLife, { cause, why }: Death): Promise<void> {
    const { clock, counters, log } = this.#parts;
    const shard = this.#shard;
    this.#diedMs ??= clock.monotonicMs();
    this.#deaths++;
    this.#lastDeath = why;
    this.#why = why;
    counters.counter("shard_deaths_total", "Actors that died, by cause", { shard, cause }).value++;
    const place = placeOf(await this.#head());
    const nowMs = clock.monotonicMs();
    const livedMs = life.readySinceMs === undefined ? 0 : nowMs - life.readySinceMs;
    const { spent, waitMs } = this.#budget.died(nowMs, place, livedMs);
    if (spent) {
      this.#fail(
        "restarts",
        `its actor died ${this.#budget.deaths} times at one place, the last time: ${why}`,
      );
      return;
    }
    this.#restarts++;
    counters.counter("shard_restarts_total", "Actors started again", { shard }).value++;
    log.warn({ shard, cause, why, againInMs: Math.round(waitMs) }, "actor died, starting it again");
    await this.#untilHurry(waitMs);
  }

  #fail(code: string, why: string): void {
    const { clock, log } = this.#parts;
    const shard = this.#shard;
    this.#failed = { code, why };
    log.error({ shard, code, why, page: true }, "shard has failed");
    this.#parts.onFailed(shard, { code, why, atMs: clock.nowMs() });
    this.#deed?.settle({ kind: "none", why: `${code}: ${why}` });
  }

  #forgive(): void {
    this.#budget.forgive();
    if (this.#failed === undefined) return;
    this.#failed = undefined;
    this.#parts.onFailed(this.#shard, null);
  }

  #heard(life: ActorLife, message: FromShard): void {
    const { clock, counters, log } = this.#parts;
    const shard = this.#shard;
    this.#heardMs = clock.monotonicMs();
    if ("request" in message) {
      this.#requests.answered(message.request, message);
      return;
    }
    switch (message.kind) {
      case "ready":
        life.readySinceMs = this.#heardMs;
        this.#why = "";
        return;
      case "progress":
        publishProgress(counters, shard, message, this.#progress);
        this.#rate.add(grown(message.points, this.#progress?.points), this.#heardMs);
        this.#progress = message;
        this.#isBack(message);
        this.#backToThread(life, message);
        return;
      case "fenced":
        life.told = message;
        log.warn({ shard }, "shard is fenced: waiting for a newer map");
        return;
      case "failed":
      case "stopped":
        life.told = message;
        return;
      case "skipped":
      case "adopted":
        this.#deedDone(message);
        return;
      case "replaying":
      case "replayed":
      case "filling":
      case "filled":
        return; // of other threads of the shard (fills.ts, replays.ts)
      default:
        message satisfies never;
    }
  }

  /** What a death has cost is over with the first commit after it. */
  #isBack({ commits }: ShardProgress): void {
    if (this.#diedMs === undefined || commits === 0) return;
    const { clock, counters, log } = this.#parts;
    const shard = this.#shard;
    const afterMs = Math.round(clock.monotonicMs() - this.#diedMs);
    this.#diedMs = undefined;
    counters.gauge("shard_recovery_ms", "From the last death to the first commit after it, ms", {
      shard,
    }).value = afterMs;
    log.info({ shard, afterMs }, "shard commits again");
  }

  #deedDone(told: Told): void {
    const deed = this.#deed;
    if (deed === undefined || (deed.first.kind === "skip") !== (told.kind === "skipped")) return;
    this.#forgive();
    deed.settle({ kind: "done", told, tookMs: Math.round(this.#parts.clock.monotonicMs() - deed.startedMs) });
    if (this.#isPaused) void this.#end(endMsMax);
  }

  /** C4. */
  #backToThread(life: ActorLife, { commits, isolated }: ShardProgress): void {
    if (life.hosted.kind === "process" && !isolated && commits > 0 && !life.isAsked) void this.#end(endMsMax);
  }

  #whyNow(): string {
    if (this.#life === undefined && this.#failed !== undefined)
      return `${this.#failed.code}: ${this.#failed.why}`;
    if (this.state === "fenced") return "another owner has claimed the shard";
    if (this.state === "paused") return "an operator has paused it";
    return this.#why === "" ? (this.#progress?.waitsFor ?? "") : this.#why;
  }

  /** What the store says of the shard; undefined when it has nothing yet, or can't be read just now. */
  async #head(): Promise<ShardState | undefined> {
    const { clock, log } = this.#parts;
    const over = new AbortController();
    const late = clock.sleep(headMsMax, over.signal).then(() => undefined);
    try {
      return await Promise.race([this.#parts.readHead(this.#shard), late]);
    } catch (error) {
      log.debug({ shard: this.#shard, why: messageOf(error) }, "the shard's head can't be read");
      return undefined;
    } finally {
      over.abort();
    }
  }
}

/** Another one where there was progress: of the offset, within a frame, or in a gap. */
function placeOf(head: ShardState | undefined): string {
  if (head === undefined) return "";
  const { live, fill } = head.lanes;
  const trials = [live.trial, fill.trial].map((trial) => trial && [trial.sequence, trial.from, trial.to]);
  return JSON.stringify([head.offset, trials, head.parts, head.gaps[0]]);
}
