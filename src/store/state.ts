// The state of a shard beside its points: who owns it, how far it is, what is set aside. Part of the store's contract
// (store.ts).

/** [lowest, highest], both included. */
export type Interval = [number, number];

export interface BootApplied {
  /** Hex of the 16 bytes. */
  boot: string;
  /** The frame numbers applied, as disjoint ascending intervals; normally one. */
  applied: Interval[];
  lastAppliedMs: number;
}

/**
 * Frames are read in two lanes: `live` behind the offset, `fill` in the gaps. Each has its own count of deaths and its own
 * place within a frame.
 */
export type Lane = "live" | "fill";

/** Lines [from, to) of one frame that are tried apart. Lines count through all sections. */
export interface TrialRange {
  sequence: number;
  from: number;
  to: number;
}

export interface Trial extends TrialRange {
  /** Starts of the lane that found it under way: so often was it the last thing that was done. */
  deaths: number;
  /** Whoever dies now dies of it. A life that ends before it tries the lines again is no death of theirs. */
  isUnderWay: boolean;
}

export interface LaneState {
  /** Starts since the last commit of the lane or `settled`, this one included: more than two mean poison. */
  starts: number;
  /** Which process started it last, before this start; "" where something was committed since. */
  lastInstance: string;
  trial: Trial | undefined;
}

/** A frame that is committed up to a line. */
export interface FramePart {
  sequence: number;
  lines: number;
}

/** A tenant whose lines poisoned again and again: its sections go whole to its dead letters. */
export interface Quarantined {
  tenant: string;
  sinceMs: number;
  why: string;
  /** Of its dead letters with reason `quarantined`. */
  bytes: number;
}

/** A span of a tenant that is rebuilt from the record. */
export interface Replay {
  id: number;
  tenant: string;
  /** [from, until), epoch seconds: whole spans of the tenant's coarsest rungs. */
  from: number;
  until: number;
  /** The barrier: frames up to it are rebuilt, but those in `gaps`; later ones count as ever. */
  offset: number;
  gaps: Interval[];
  /**
   * building: frames up to `done` are staged. staged: all are, and the swap waits for what was there before the barrier to
   * be in pieces. swapped: readers see what was rebuilt, upkeep removes what it replaced; then the row goes.
   */
  state: "building" | "staged" | "swapped";
  done: number;
  /** The record's first frame when it began. */
  first: number;
}

export interface ShardState {
  epoch: number;
  /** The last sequence whose points are in the store; 0 before the first. */
  offset: number;
  /** Of the stream that the offset counts; empty before the first commit. */
  incarnation: string;
  /** The broker's time stamp of the frame at the offset, ms; 0 before the first, and where a record was adopted. */
  frameTimeMs: number;
  /** How often another record was adopted (eras.ts). */
  era: number;
  /** receivedAtMs of the newest frame applied. */
  receivedAtMs: number;
  boots: BootApplied[];
  /** Sequences below the offset that wait to be filled, ascending. */
  gaps: Interval[];
  holes: Interval[];
  lanes: Record<Lane, LaneState>;
  /** Frames that are committed in part: the one behind the offset, first ones of gaps. */
  parts: FramePart[];
  /** Lines buried as poison since `sinceMs` (the clock of who buried them). */
  poison: { sinceMs: number; lines: number };
  quarantined: Quarantined[];
  /** Tenants whose series go, and whose lines are refused from now on (tombstones). */
  purging: string[];
  replays: Replay[];
  /**
   * Grows with each series that is deleted or retired, and with each tenant that is buried or released: what the fill
   * lane holds in memory from before is not to be trusted.
   */
  removals: number;
}

/** How far a shard is: the state without its lists, which may be long. */
export type ShardProgress = Omit<ShardState, "boots" | "quarantined" | "purging">;
