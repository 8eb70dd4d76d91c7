// Every message that crosses a thread: between a node's supervisor and its actors, as one union each way, and between
// its upkeep and the threads that do it, as a job and its answer.
import type { OutageCode } from "../src/base/errors.ts";
import type { Settings } from "../src/config/settings.ts";
import type { RefusedLine } from "../src/gateway/refused-lines.ts";
import type { Ladder } from "../src/metric/bucket.ts";
import type { SchemasSince } from "../src/metric/ladder-rules.ts";
import type { Interval, LetterPlace, Replay, upkeepWorks } from "../src/store/store.ts";

/** What a thread is started with. */
export interface ShardTask {
  shard: number;
  mapVersion: number;
  /** Of the process that hosts it: random, one for each start. */
  instance: string;
  storeBytes: number;
  settings: Settings;
  limits: SeriesLimitsTold;
  /** What the shard's last actor here died of, in words; "" where it did not, or nobody knows. */
  lastDeath: string;
  /** Not the shard's actor, but its fill lane, in an epoch of this node's; `rate`: points a second. */
  fill?: { epoch: number; rate: FillRate };
  /** Not the shard's actor, but the job that rebuilds a tenant's time, in an epoch of this node's. */
  replay?: { epoch: number; rate: JobRate };
  /** Done before anything else once the claim is there, and told when it is done. */
  first?: FirstDeed | undefined;
}

/** What its thread is started with: the task, and where it leaves its marks (src/base/actor-cell.ts). */
export interface ShardThreadData extends ShardTask {
  cell: SharedArrayBuffer;
}

/** A spare thread gets its task, as ShardThreadData, by message, and is then woken by another number in here than 0. */
export interface SpareThreadData {
  spare: Int32Array;
}

/** Points a second. */
export type JobRate = number | "full";
export type FillRate = JobRate;

/** How far a fill lane is. */
export interface FillProgress {
  doing: "filling" | "waiting-store" | "waiting-bus";
  /** In words; "" while it does not wait. */
  waitsFor: string;
  /** Of all gaps, when it looked last. */
  framesLeft: number;
  /** Committed by this thread. */
  points: number;
  isolated: boolean;
  trial: { sequence: number; from: number; to: number } | undefined;
}

/**
 * What an operator asks of a shard whose actor may hang or be unable to start: skip sets everything up to the record's
 * newest frame aside as a gap; adopt goes on in a record that is not the one that the store has read.
 */
export interface FirstDeed {
  kind: "skip" | "adopt";
}

export interface ReplayProgress {
  /** As the store has it. */
  replay: Replay;
  /** Frames that are needed, and how many of them are staged. */
  frames: number;
  framesDone: number;
  /** Lines that counted, of any time, in frames that this job has read. */
  points: number;
  /** In a second, in the last ten or so. */
  framesPerSecond: number;
  pointsPerSecond: number;
  /** "" while it does not wait. */
  waitsFor: string;
}

export type ReplayEnded =
  | { kind: "swapped"; id: number }
  /** There is none, or it is over. */
  | { kind: "over" }
  /** The record does not hold what it needs any more. */
  | { kind: "given-up"; id: number; why: string }
  /** The epoch is over: the next owner goes on. */
  | { kind: "fenced" }
  | { kind: "stopped" };

/** How many living series a tenant may have in a shard. */
export interface SeriesLimitsTold {
  /** Of all who are not listed. */
  standard: number | "off";
  /** By id. */
  tenants: [string, number | "off"][];
}

export type ToShard =
  | { kind: "stop" }
  | { kind: "series-limits"; limits: SeriesLimitsTold }
  /** To a fill lane, or a replay's job. */
  | { kind: "rate"; rate: JobRate }
  | ({ request: number } & Chore)
  /** The last lines of a tenant that the actor refused. */
  | { kind: "refused-lines"; request: number; tenant: string };

/** What is done in the store between two commits; see ShardStore for each. */
export type Chore =
  | { kind: "delete-series"; tenant: string; pattern: string; most: number }
  | { kind: "drop-letters"; places: LetterPlace[] }
  | { kind: "release"; tenant: string }
  | { kind: "bury"; tenant: string }
  | { kind: "purge"; tenant: string; most: number };

export type ChoreDone =
  | { kind: "series-deleted"; names: string[] }
  | { kind: "letters-dropped"; letters: number }
  | { kind: "released" }
  | { kind: "buried" }
  /** `left`: living series of the tenant in this shard. */
  | { kind: "purged"; series: number; letters: number; left: number };

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
  /** Frames are tried one by one: earlier lives died of one. */
  isolated: boolean;
  /** Lines [from, to) of a frame that are being tried apart: whoever dies now dies of them. */
  trial: { sequence: number; from: number; to: number } | undefined;
}

export type FromShard =
  | ({ kind: "replaying" } & ReplayProgress)
  | { kind: "replayed"; ended: ReplayEnded }
  | { kind: "ready" }
  | ({ kind: "progress" } & ShardProgress)
  /** Somebody else owns the shard: only a newer map may start it here again. */
  | { kind: "fenced"; epoch: number }
  /** Can't go on, and a restart won't help: for a person. */
  | { kind: "failed"; code: string; why: string }
  | { kind: "stopped"; offset: number }
  | ({ kind: "filling" } & FillProgress)
  /** No gap is left. */
  | { kind: "filled" }
  /** The first deed is done. No gap: the shard was at the newest frame already. */
  | { kind: "skipped"; gap: Interval | undefined }
  /** Reading goes on behind `offset` of the record as it is now. */
  | { kind: "adopted"; offset: number; hole: Interval | undefined }
  /** Answers the chore of the same number. */
  | ({ request: number } & ChoreDone)
  /** The same, with a code of src/base/errors.ts. Some of it may have been done. */
  | { kind: "chore-failed"; request: number; code: string; why: string }
  /** Answers "refused-lines" of the same number. */
  | { kind: "refused-lines"; request: number; lines: RefusedLine[] };

/** What an upkeep thread is started with; plain values, for they cross to it. */
export interface UpkeepWorkerData {
  /** The folder of the LMDB engine. */
  folder: string;
  mapBytes: number;
}

/** What compileLadderRules is made from, as plain values. */
export interface UpkeepRules {
  version: number;
  standard: Ladder;
  /** Those with rules of their own, by id. */
  tenants: [string, SchemasSince[]][];
}

export type UpkeepJob =
  | {
      kind: "slice";
      shard: number;
      /** Steps are taken until this time is over, one at least. */
      sliceMs: number;
      nowSeconds: number;
      rulesVersion: number;
      /** Only after "rules-wanted": with many tenants they are much to copy. */
      rules?: UpkeepRules;
    }
  /** The shard is somebody else's now. */
  | { kind: "close"; shard: number }
  | { kind: "close-all" };

export type UpkeepWork = (typeof upkeepWorks)[number];

export interface UpkeepDone {
  steps: number;
  rows: number;
  bytes: number;
}

export type UpkeepAnswer =
  | {
      kind: "sliced";
      done: Partial<Record<UpkeepWork, UpkeepDone>>;
      /** idle: nothing to do for now. overtaken: another owner's upkeep was quicker. more: the time was over. */
      end: "idle" | "overtaken" | "more";
      /** Bytes of blobs that are not in fragments yet. */
      backlogBytes: number;
    }
  /** The thread has not these rules: a new one, or new rules. */
  | { kind: "rules-wanted" }
  /** As a value: error classes don't survive the way between threads. `done` is what was done before. */
  | { kind: "outage"; code: OutageCode; why: string; done: Partial<Record<UpkeepWork, UpkeepDone>> }
  | { kind: "closed" };
