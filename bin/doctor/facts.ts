// What the doctor looks at, as plain values: gathered in gather.ts, judged in diagnose.ts. What could not be learnt is
// undefined, and the reason is a fact of its own.

export interface ShardFacts {
  shard: number;
  /** Of the record, at two looks some time apart. */
  lastSequence: [number, number];
  streamBytes: number;
  streamBytesMax: number;
  /** Why no node answers for it; "": one does. */
  unasked: string;
  /** As its node says it. */
  node?: {
    state: string;
    why: string;
    doing: string;
    restarts: number;
    isolated: boolean;
    /** At the same two looks. */
    offset: [number, number];
    /** Frames of its gaps that wait. */
    gapFrames: number;
  };
  store?: { usedBytes: number; budgetBytes: number };
}

export interface ProcessFacts {
  name: string;
  address: string;
  /** undefined: it does not answer. */
  status: number | undefined;
  /** Its clock less ours, ms; undefined: it does not say. */
  clockMs: number | undefined;
}

export interface Facts {
  /** undefined: it does not answer. */
  nats: { version: string; clockMs: number | undefined } | undefined;
  natsUrl: string;
  /** Between the two looks. */
  lookMs: number;
  processes: ProcessFacts[];
  shards: ShardFacts[];
  disks: { path: string; freeBytes: number; bytes: number }[];
  dead: { tenant: string; reason: string; letters: number }[];
  quarantined: { tenant: string; shard: number; why: string }[];
  unbalanced: { tenant: string; missing: number }[];
  /** Frames that were gone before a node read them, since it started. */
  lost: { shard: number; frames: number }[];
  spools: { shard: string; bytes: number }[];
  /** Processes whose directory is not live. */
  doubted: number;
  upkeepBacklogBytes: number;
  unwanted: { tenant: string; reason: string; lines: number }[];
  /** What could not be looked at, and why. */
  unseen: string[];
}
