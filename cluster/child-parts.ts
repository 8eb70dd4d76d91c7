// What a supervisor's child is made from, and what it says.
import type { ActorDoing } from "../src/base/actor-cell.ts";
import type { Clock } from "../src/base/clock.ts";
import type { Counters } from "../src/base/counters.ts";
import type { Log } from "../src/base/log.ts";
import type { Random } from "../src/base/random.ts";
import type { Settings } from "../src/config/settings.ts";
import type { ShardState } from "../src/store/store.ts";
import type { FromShard, SeriesLimitsTold, ShardProgress } from "../workers/messages.ts";
import type { StartHosted } from "./hosted.ts";
import type { ShardFailed } from "./shard-wish.ts";

export interface ChildParts {
  settings: Settings;
  /** Of this process: random. */
  instance: string;
  storeBytes: number;
  clock: Clock;
  random: Random;
  counters: Counters;
  log: Log;
  hosts: { thread: StartHosted; process: StartHosted };
  limits(): SeriesLimitsTold;
  /** What the store says of a shard; undefined when it holds nothing yet. */
  readHead(shard: number): Promise<ShardState | undefined>;
  /** Keeps it where it outlives the node; null: it is tried again. */
  onFailed(shard: number, failed: ShardFailed | null): void;
}

export type ChildState =
  | "starting"
  | "running"
  /** Died, and waits a moment. */
  | "restarting"
  | "paused"
  | "fenced"
  | "failed"
  | "stopped";

export interface ShardStatus {
  shard: number;
  state: ChildState;
  why: string;
  restarts: number;
  deaths: number;
  /** What it died of last; "" where it did not. */
  lastDeath: string;
  hosting: "thread" | "process" | "none";
  /** Of its thread, or of its own process. */
  threadId: number;
  /** As its marks say. */
  doing: ActorDoing;
  /** Since the actor last said what it does, ms. */
  silentMs: number;
  pointsPerSecond: number;
  progress: ShardProgress | undefined;
}

export type Told = Extract<FromShard, { kind: "skipped" | "adopted" }>;

export type DeedResult =
  | { kind: "done"; told: Told; tookMs: number }
  /** Whether it was done is open. */
  | { kind: "none"; why: string };
