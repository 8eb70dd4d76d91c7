// Where committed buckets live: one contract, several engines (memory.ts, lmdb.ts). test/contract/store.ts is run by
// each of them.
//
// C1. A commit is one transaction: either everything of it is there, or nothing.
// C2. A commit succeeds only for the shard's present epoch and only where the offset is exactly `from`: so every
//     range of the record is in the store once, whoever tries and however often.
// C3. What a commit answers other than "ok" changed nothing. A rejected promise means "unknown": ask `claim` again.
// C4. A reader sees one state of the shard, between two commits, for as long as it holds its snapshot.
// C5. Series ids are given once per (tenant, name) and never given again.
// C6. Upkeep changes where summaries lie, never what a read of times that a series' ladder still holds answers: it may
//     run beside commits, beside reads, and beside another upkeep of the same shard.
// C7. A range that is set aside as a gap is filled by commits that shrink it, so each frame of it counts once too. The
//     offset never goes back while the record is the same.
// C8. What a replay has rebuilt takes the place of what was there in one change; until then readers see what was there.
import type { Interval, Lane, BootApplied, Replay, ShardProgress, ShardState, TrialRange } from "./state.ts";
import type { Deltas } from "../kernel/kernel.ts";
import type { Door, Kind } from "../metric/frame.ts";
import type { LadderRules } from "../metric/ladder-rules.ts";

export type * from "./state.ts";

export type ClaimResult =
  | { kind: "claimed"; state: ShardState }
  /** A newer map, or another node at the same version of the map, has claimed. */
  | { kind: "refused"; owner: string; mapVersion: number };

export interface SeriesKey {
  tenant: string;
  /** Canonical bytes. */
  name: Uint8Array;
}

/** The kernel's columns, but `series` holds a stored id, or newSeriesFlag + index into `newSeries`. */
export type DeltaColumns = Deltas;

export const newSeriesFlag = 0x8000_0000;

/** How long a keyed id is remembered: a retry comes within it. */
export const keyedKeptMs = 24 * 3600 * 1000;
/** How long a gateway's start is remembered after its last frame. */
export const bootKeptMs = 30 * 24 * 3600 * 1000;
/** How long the ledger's minutes and dead letters are kept. */
export const ledgerKeptMs = 35 * 24 * 3600 * 1000;

/** Counts to be added, below 0 to be taken away; a row that comes to 0 goes. `reason` is that of a refusal or of a dead letter. */
export interface LedgerRow {
  tenant: string;
  door: Door;
  /** Of receivedAtMs: epoch seconds, a multiple of 60. */
  minute: number;
  /** `received`: what the door counted, in frames. The others say what became of it. */
  fate: "received" | "stored" | "refused" | "dead";
  /** "" for received and stored. */
  reason: string;
  count: number;
}

export interface DeadLetter {
  /** In a commit: of its frame. As it is read: the name's (eras.ts). */
  sequence: number;
  /** Position within the frame: with `sequence` its name. Where that is an open one's, the store adds partsPerFrame. */
  part: number;
  tenant: string;
  door: string;
  reason: string;
  detail: string;
  receivedAtMs: number;
  /** How the bytes are written; lines of a section that was buried whole are many. */
  kind: Kind;
  lines: number;
  bytes: Uint8Array;
}

/** How many dead letters of a tenant are open for a reason, with lines and bytes of theirs. */
export interface DeadCount {
  tenant: string;
  reason: string;
  letters: number;
  lines: number;
  bytes: number;
}

/** Bytes of the letters that are read at once. */
export const lettersBytesMost = 16 << 20;

/** More than a frame has lines. */
export const partsPerFrame = 1 << 20;

/** Names a dead letter, for good: as it is read. */
export interface LetterPlace {
  sequence: number;
  part: number;
}

/** A place of the record where lines became a dead letter, whatever became of that; `bytes` are the letter's. */
export interface Buried extends LetterPlace {
  tenant: string;
  reason: string;
  receivedAtMs: number;
  bytes: number;
  fate: "open" | "retried" | "dropped";
}

/** Rows whose values were given as differences to a gauge's value before the commit. Columns as in DeltaColumns. */
export interface GaugeRow {
  bucket: number;
  points: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  lastSeconds: number;
  lastReceivedAtMs: number;
}

/**
 * A StatsD gauge in a commit. The store keeps its value (0 before the first), for the next difference to be added to.
 * Points since the first absolute value of the commit are ordinary rows of `deltas`.
 */
export interface GaugeChange {
  /** As in deltas. */
  series: number;
  /** The store adds the value before to min, max and last, and `points` times to sum. Each bucket at most once. */
  relative: GaugeRow[];
  /** The value afterwards; `relative`: as a difference to the one before. */
  value: number;
  isRelative: boolean;
}

export interface Commit {
  epoch: number;
  /** The offset that the store must hold now. */
  from: number;
  /** The offset afterwards: >= from. Equal only for a commit that writes no points. */
  to: number;
  incarnation: string;
  frameTimeMs: number;
  receivedAtMs: number;
  newSeries: SeriesKey[];
  deltas: DeltaColumns;
  /** One per series at most. */
  gauges?: GaugeChange[];
  /** Frame numbers applied by this range, per boot; merged into what is there. */
  boots: BootApplied[];
  /** Keyed ids applied (16 bytes each) and when, ms. */
  keyed: { id: Uint8Array; appliedAtMs: number }[];
  ledger: LedgerRow[];
  dead: DeadLetter[];
  /** Sequences that the record lost: written down, paged. */
  holes: Interval[];
  /**
   * Default: live. `fill`: (from, to] must begin a gap, and is no gap afterwards; the offset stays, `incarnation` must be
   * the shard's, frameTimeMs is nobody's, receivedAtMs only ever raises the shard's.
   */
  lane?: Lane;
  /** ShardState.removals, as the fill lane began with. */
  removals?: number;
  /** Lines of the frame `from + 1` that the store must hold now, 0 by default: with `from`, the lane's place. */
  fromLines?: number;
  /**
   * The commit ends within the frame `to + 1`, of which so many lines are committed with it, those of earlier commits
   * included. It may have points although `to` is `from`. Without it the frame `to` is whole.
   */
  partLines?: number;
  /** Poison lines buried so far (ShardState.poison), where that changed. */
  poison?: { sinceMs: number; lines: number };
  /** Tenants to be quarantined from now on; who is already stays as it is. */
  quarantine?: { tenant: string; sinceMs: number; why: string }[];
  /** Dead letters that were applied again: they must be open (lettersOpen), and are gone afterwards. */
  retried?: LetterPlace[];
}

export type CommitResult =
  /** `ids[i]` is the stored id of newSeries[i]. */
  | { kind: "ok"; ids: Uint32Array }
  | { kind: "fenced"; epoch: number }
  /**
   * Of the live lane: the offset is elsewhere. Of the fill lane: no gap begins behind `from`, it ends before `to`, or
   * `removals` grew. Of both: `fromLines` is, or the other lane has applied a frame or a letter of it. Who resumes sees it.
   */
  | { kind: "at"; offset: number };

/** "fenced": it was of an old epoch, and nothing happened. */
export type Changed = "ok" | "fenced";

export interface Owner {
  node: string;
  mapVersion: number;
  /** Random, one for each start of a process. */
  instance: string;
}

/** One shard's writing side: belongs to the actor. */
export interface ShardStore {
  /** A new epoch. Counts a start of the live lane, and a death of its trial where one is under way. */
  claim(owner: Owner): Promise<ClaimResult>;
  /** Goes on in an epoch after an outage: no start is counted. refused: the epoch is over. */
  resume(epoch: number): Promise<ClaimResult>;
  /** Counts a start of the fill lane, as `claim` does of the live one. refused: the epoch is over. */
  startFill(epoch: number, instance: string): Promise<ClaimResult>;
  commit(commit: Commit): Promise<CommitResult>;
  /** Written before lines are tried apart, again too; undefined: none are any more. */
  attempt(epoch: number, lane: Lane, trial: TrialRange | undefined): Promise<Changed>;
  /** The lane has nothing to commit and is well: its starts are forgotten. */
  settled(epoch: number, lane: Lane): Promise<Changed>;
  /** Sets (offset, to] aside as a gap; the offset is `to` then. `at` is of the frame `to`. */
  skip(
    epoch: number,
    to: number,
    at: { incarnation: string; frameTimeMs: number; receivedAtMs: number },
  ): Promise<Changed>;
  /**
   * The record is another one now: goes on behind `offset` of `incarnation`, whose frame there is of `frameTimeMs` (0:
   * there is none). `hole` (of the old record) is written down; gaps go, as holes; replays are given up. Dead letters
   * stay, and keep their names (eras.ts): the era is the next one.
   */
  adopt(
    epoch: number,
    to: { incarnation: string; offset: number; frameTimeMs: number; hole: Interval | undefined },
  ): Promise<Changed>;
  /** Which of these dead letters are open. */
  lettersOpen(places: readonly LetterPlace[]): Promise<boolean[]>;
  /** Removes dead letters for good; they stay in the ledger. Answers how many there were. */
  dropLetters(epoch: number, places: readonly LetterPlace[]): Promise<number>;
  /** Ends a tenant's quarantine. */
  release(epoch: number, tenant: string): Promise<Changed>;
  /** A tombstone for the tenant, which stays; ends its quarantine. Idempotent. */
  bury(epoch: number, tenant: string): Promise<Changed>;
  /**
   * Deletes at most so many series of a tenant that has a tombstone, as deleteSeries does, whatever their names; ids and
   * names as there. None: nothing is left.
   */
  purge(epoch: number, tenant: string, most: number): Promise<Deleted>;
  /** Removes at most so many dead letters of such a tenant for good; they stay in the ledger. Answers how many. */
  purgeLetters(epoch: number, tenant: string, most: number): Promise<number>;
  /**
   * Begins a replay: its barrier is the offset. Only one of a shard at a time. `refused` says why not. `first`: the
   * record's first frame.
   */
  beginReplay(
    epoch: number,
    asked: { tenant: string; from: number; until: number; first: number },
  ): Promise<{ kind: "begun"; replay: Replay } | { kind: "refused"; why: string } | { kind: "fenced" }>;
  /**
   * Adds rows of frames (from, to] of the record to what the replay has rebuilt; nobody reads them yet. `at`: the replay
   * is elsewhere, or over. ok answers the ids of newSeries. `to` at the barrier makes it staged.
   */
  stage(
    epoch: number,
    id: number,
    part: { from: number; to: number; newSeries: SeriesKey[]; deltas: DeltaColumns },
  ): Promise<CommitResult>;
  /** Swaps a staged replay. waiting: upkeep has not brought everything from before the barrier into pieces yet. */
  swap(epoch: number, id: number): Promise<"swapped" | "waiting" | "gone" | "fenced">;
  /** Gives a replay up that is not swapped; what was staged goes. */
  abandonReplay(epoch: number, id: number): Promise<Changed>;
  /** Which of these keyed ids were applied in the last 24 h (of `nowMs`). */
  keyedApplied(ids: readonly Uint8Array[], nowMs: number): Promise<boolean[]>;
  /**
   * Throws away keyed ids older than 24 h, boots not heard of for 30 d (neither while there are gaps: their frames may be
   * copies), and ledger minutes and dead letters older than 35 d; bounded work per call, says how much: call again while
   * it is more than nothing. With an old epoch it does nothing.
   */
  forget(epoch: number, nowMs: number): Promise<Forgotten>;
  /**
   * Takes series out of the names that got no point for their longest ladder: nothing is left of them. Bounded work per
   * call. Whoever caches ids must drop the ones answered: a point that comes later gets a new id.
   */
  retire(epoch: number, nowSeconds: number): Promise<Retired>;
  /**
   * Deletes the series that match, whatever they hold: their names at once, their points by upkeep. At most `most`;
   * call again while it answers that many. Ids as for `retire`. A series with outputs goes where one of them matches.
   */
  deleteSeries(epoch: number, tenant: string, pattern: string, most: number): Promise<Deleted>;
  /** Living series of a tenant in this shard. */
  tenantSeries(tenant: string): Promise<number>;
  /** Which of these canonical names are living series of the tenant. */
  named(tenant: string, names: readonly Uint8Array[]): Promise<boolean[]>;
  close(): Promise<void>;
}

export interface Forgotten {
  keyed: number;
  boots: number;
  ledger: number;
  dead: number;
  /** Of dead letters that were retried or dropped: what was known of them. */
  closed: number;
}

export interface Retired {
  ids: Uint32Array;
  /** There may be more: call again. */
  more: boolean;
}

export interface Deleted {
  ids: Uint32Array;
  /** One for each id, sorted as UTF-8 bytes; of a series with outputs, the first one's that matched. */
  names: string[];
}

export interface UpkeepTask {
  /** The clock's. Retention uses the record's newest receivedAtMs instead where that is earlier (record-time.ts). */
  nowSeconds: number;
  ladders: LadderRules;
  /** Does now what would otherwise wait until it pays: every blob into fragments. */
  all: boolean;
}

export const upkeepWorks = ["runs", "fragments", "merge", "retention", "purge", "replay"] as const;

export type UpkeepStep =
  /** Nothing to do for now. */
  | { kind: "idle"; backlogBytes: number }
  /** Another owner's upkeep was quicker: what was prepared was thrown away. */
  | { kind: "overtaken"; backlogBytes: number }
  | {
      kind: "worked";
      work: (typeof upkeepWorks)[number];
      /** Rows of summaries read. */
      rows: number;
      /** Written to the store. */
      bytes: number;
      /** In blobs, before the step: what is not in fragments yet. */
      backlogBytes: number;
    };

/** One shard's upkeep: blobs into fragments, many fragments into one, what is too old out. A job of the node's. */
export interface ShardUpkeep {
  /** One slice of work, small enough that commits wait some 10 ms at most behind it. Call again until it is idle. */
  step(task: UpkeepTask): Promise<UpkeepStep>;
  close(): Promise<void>;
}

/** A node of the name tree, as /metrics/find shows it. */
export interface FoundNode {
  /** Dotted path; tagged series are leaves under their whole canonical name. */
  path: string;
  leaf: boolean;
  branch: boolean;
}

export interface FoundSeries {
  id: number;
  name: string;
  /** Of a series that has several outputs (src/metric/outputs.ts): the one whose name `name` is. */
  output?: string;
}

/** What a read may ask for beside the points. */
export const valueColumns = ["sum", "min", "max", "last"] as const;
export type ValueColumn = (typeof valueColumns)[number];
export type ReadColumn = ValueColumn | "sketch";

/**
 * Summaries on a grid: cell i of the series asked at position s is at index s * width + i. Nothing there: points and
 * sum are 0, the others NaN. A column that was not asked for is an empty array.
 */
export interface Cells {
  /** Start of the first bucket, epoch seconds. */
  start: number;
  stepSeconds: number;
  width: number;
  points: Float64Array;
  sum: Float64Array;
  min: Float64Array;
  max: Float64Array;
  last: Float64Array;
  /** Merged sketches by cell (src/metric/sketch.ts); cells without one are missing. */
  sketches?: ReadonlyMap<number, Uint8Array>;
}

/** What a tenant has in a shard. */
export interface TenantSize {
  /** Living series. */
  series: number;
  /** Points that the store still holds in some rung. */
  points: number;
  /** Bytes of its fragments on disk, keys included; without what upkeep has not come to yet. */
  bytes: number;
  /** Epoch seconds of the oldest and newest bucket held; undefined where there is none. */
  oldest: number | undefined;
  newest: number | undefined;
}

/** What a read ends with whose snapshot was closed meanwhile: nobody waits for its answer any more. */
export class SnapshotClosed extends Error {}

/**
 * One consistent state of one shard. Close it: it keeps old pages alive. Closing also ends reads under way, with
 * SnapshotClosed, at the next moment they give others a turn: ending their thread instead could end the process, for
 * native code does not bear it at any moment.
 */
export interface Snapshot {
  state(): Promise<ShardState>;
  /** For who asks often: tenants that end make a state longer, not this. */
  progress(): Promise<ShardProgress>;
  /**
   * Nodes that match a Graphite pattern (src/metric/glob.ts), one per path, sorted by path as UTF-8 bytes. At most
   * `most`; where there are more, which ones is not said. Tagged series are found by patterns that have a `;`. Series
   * with outputs (src/metric/outputs.ts) show these, as leaves: those that are listed, and others by their name.
   */
  findNodes(tenant: string, pattern: string, most: number): Promise<FoundNode[]>;
  /**
   * Series whose whole name matches; a pattern without wildcards is a plain look-up. Sorted by name; see findNodes. An
   * output may have the name of a series that somebody sent: both are found, the one that was sent first.
   */
  findSeries(tenant: string, pattern: string, most: number): Promise<FoundSeries[]>;
  /**
   * Buckets of [start, start + width * step), start a multiple of step, merged from everything that is still held.
   * Unknown ids have empty cells. Times that a series' ladder holds in no rung whose step divides `step` come from the
   * finest rung that has them, each summary in the cell where its own bucket starts. Points always; of the values only
   * `columns`: each one costs time and memory. Sketches only where "sketch" is among them.
   */
  fetch(
    ids: readonly number[],
    range: { start: number; stepSeconds: number; width: number },
    columns?: readonly ReadColumn[],
  ): Promise<Cells>;
  /** Minutes from `fromMinute` to `untilMinute`, both included, in their order. */
  ledger(tenant: string, fromMinute: number, untilMinute: number): Promise<LedgerRow[]>;
  /**
   * Open ones, in the order of the record, oldest first: behind `after`, of one tenant, for one reason. At most `most`, and
   * fewer where they have more than lettersBytesMost: who wants all goes on behind the last until there is none.
   */
  dead(most: number, only?: { after?: LetterPlace; tenant?: string; reason?: string }): Promise<DeadLetter[]>;
  /** Of all that are open, sorted by tenant and reason as UTF-8 bytes. */
  deadCounts(): Promise<DeadCount[]>;
  /** Dead letters, retried and dropped ones as well, in the record's order behind `behind`: about `most`. */
  buried(most: number, behind?: LetterPlace): Promise<Buried[]>;
  /** Ids of the tenants that have series here: where history is. */
  tenants(): Promise<string[]>;
  tenantSize(tenant: string): Promise<TenantSize>;
  close(): void;
}

/** One shard's reading side: never the actor's. */
export interface ShardReader {
  /** store-unavailable while the shard's store does not exist yet. */
  snapshot(): Promise<Snapshot>;
  close(): Promise<void>;
}

export interface StoreEngine {
  openShard(shard: number): Promise<ShardStore>;
  openReader(shard: number): Promise<ShardReader>;
  openUpkeep(shard: number): Promise<ShardUpkeep>;
}
