// Every message that crosses a thread between a node's supervisor and its actors, as one union each way.
import type { Settings } from "../src/config/settings.ts";

/** What a thread is started with. */
export interface ShardTask {
  shard: number;
  mapVersion: number;
  storeBytes: number;
  settings: Settings;
}

export type ToShard = { kind: "stop" } | ({ kind: "delete-series"; request: number } & SeriesToDelete);

/** See ShardStore.deleteSeries. */
export interface SeriesToDelete {
  tenant: string;
  pattern: string;
  most: number;
}

/** What an actor is doing: waiting for another part is not dying. */
export type ShardDoing = "starting" | "ingesting" | "waiting-store" | "waiting-bus";

export interface ShardProgress {
  doing: ShardDoing;
  /** What it waits for, in words; "" while it does not wait. */
  waitsFor: string;
  epoch: number;
  offset: number;
  /** The last sequence read. */
  read: number;
  receivedAtMs: number;
  points: number;
  frames: number;
  commits: number;
  rows: number;
  series: number;
  duplicates: number;
  refused: number;
  dead: number;
  holes: number;
  trimmed: number;
  commitMs: number;
}

export type FromShard =
  | { kind: "ready" }
  | ({ kind: "progress" } & ShardProgress)
  /** Somebody else owns the shard: only a newer map may start it here again. */
  | { kind: "fenced"; epoch: number }
  /** Can't go on, and a restart won't help: for a person. */
  | { kind: "failed"; code: string; why: string }
  | { kind: "stopped"; offset: number }
  /** Answers "delete-series" of the same number. */
  | { kind: "series-deleted"; request: number; names: string[] }
  /** The same, with a code of src/base/errors.ts. Some of them may have gone. */
  | { kind: "delete-failed"; request: number; code: string; why: string };
