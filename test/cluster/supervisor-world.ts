// A supervisor whose actors are the test's: they say what the test has them say, die when it says so, in driven time.
import assert from "node:assert/strict";
import type { CellReading } from "../../src/base/actor-cell.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom } from "../../src/base/random.ts";
import { readSettings } from "../../src/config/settings.ts";
import { freshState } from "../../src/store/lanes.ts";
import type { ShardState } from "../../src/store/store.ts";
import type { Death, Hosted, StartHosted } from "../../cluster/hosted.ts";
import type { ShardFailed } from "../../cluster/shard-wish.ts";
import { Supervisor, type ShardStatus } from "../../cluster/supervisor.ts";
import type { FromShard, ShardProgress, ShardTask, ToShard } from "../../workers/messages.ts";
import { ManualClock, settle } from "../harness/clock.ts";
import { hearLog } from "../harness/log.ts";

export class FakeActor implements Hosted {
  readonly id = 1;
  readonly heard: ToShard[] = [];
  readonly exited: Promise<Death>;
  mark: CellReading = { doing: "idle", sequence: 0, beats: 0 };
  resident = 0;
  gone = false;
  /** Does not answer a stop. */
  hangs = false;
  #exit: (death: Death) => void = () => {};

  readonly kind: "thread" | "process";
  readonly task: ShardTask;
  readonly tell: (message: FromShard) => void;

  constructor(kind: "thread" | "process", task: ShardTask, tell: (message: FromShard) => void) {
    this.kind = kind;
    this.task = task;
    this.tell = tell;
    this.exited = new Promise((resolve) => (this.#exit = resolve));
  }

  post(message: ToShard): void {
    this.heard.push(message);
    if (message.kind === "stop" && !this.hangs && !this.gone) {
      this.tell({ kind: "stopped", offset: 0 });
      this.die("exit", "exit 0");
    }
  }

  reading(): CellReading {
    return this.mark;
  }

  residentBytes(): number {
    return this.resident;
  }

  async end(): Promise<void> {
    this.die("exit", "ended");
  }

  die(cause: Death["cause"] = "error", why = "a bug"): void {
    this.gone = true;
    this.#exit({ cause, why });
  }

  ready(): void {
    this.tell({ kind: "ready" });
  }

  says(change: Partial<ShardProgress>): void {
    this.tell({ kind: "progress", ...noProgress, ...change });
  }

  /** Marks that it is at a frame. */
  ingests(sequence: number): void {
    this.mark = { doing: "ingesting", sequence, beats: this.mark.beats + 1 };
  }
}

const noProgress: ShardProgress = {
  doing: "ingesting",
  waitsFor: "",
  epoch: 1,
  offset: 0,
  read: 0,
  receivedAtMs: 0,
  points: 0,
  frames: 0,
  commits: 0,
  rows: 0,
  series: 0,
  duplicates: 0,
  refused: 0,
  dead: 0,
  holes: 0,
  trimmed: 0,
  commitMs: 0,
  isolated: false,
  trial: undefined,
};

export class SupervisorWorld {
  readonly clock = new ManualClock();
  readonly counters = new Counters();
  readonly heard = hearLog();
  /** All that ever lived, in order. */
  readonly actors: FakeActor[] = [];
  readonly written: { shard: number; failed: ShardFailed | null }[] = [];
  /** What the store says, by shard. */
  readonly heads = new Map<number, ShardState>();
  readonly supervisor: Supervisor;

  constructor(env: Record<string, string> = {}) {
    const start =
      (kind: "thread" | "process"): StartHosted =>
      (task, onMessage) => {
        const actor = new FakeActor(kind, task, onMessage);
        this.actors.push(actor);
        return actor;
      };
    this.supervisor = new Supervisor({
      settings: readSettings(env),
      instance: "this-process",
      storeBytes: 1 << 22,
      clock: this.clock,
      random: seededRandom(3),
      counters: this.counters,
      log: this.heard.log,
      hosts: { thread: start("thread"), process: start("process") },
      readHead: async (shard) => this.heads.get(shard),
      onFailed: (shard, failed) => this.written.push({ shard, failed }),
    });
  }

  static async run(shards: number[] = [0], env: Record<string, string> = {}): Promise<SupervisorWorld> {
    const world = new SupervisorWorld(env);
    world.supervisor.assign(1, shards);
    await settle();
    return world;
  }

  /** The one that lives, or lived last. */
  actor(shard = 0): FakeActor {
    const actor = this.actors.findLast(({ task }) => task.shard === shard);
    assert(actor !== undefined, `shard ${shard} has had an actor`);
    return actor;
  }

  lives(shard = 0): number {
    return this.actors.filter(({ task }) => task.shard === shard).length;
  }

  status(shard = 0): ShardStatus {
    const status = this.supervisor.status().find((child) => child.shard === shard);
    assert(status !== undefined, `shard ${shard} is there`);
    return status;
  }

  head(change: Partial<ShardState>, shard = 0): void {
    this.heads.set(shard, { boots: [], ...freshState(), ...change });
  }

  /** The actor dies, and the next one lives. */
  async dies(cause?: Death["cause"], why?: string): Promise<void> {
    const lives = this.lives();
    this.actor().die(cause, why);
    for (let waits = 0; this.lives() === lives && waits < 20; waits++) await this.clock.pass(10_000);
  }
}

export { settle };
