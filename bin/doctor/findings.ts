// What the doctor can find: one closed list. Each has its runbook, docs/oncall/<id>.md (a test holds that).

export type Severity =
  /** Something of the system is not as promised now: a person has to act. */
  | "wrong"
  /** It will be, if nobody looks. */
  | "soon"
  /** Worth knowing tonight. */
  | "note";

interface Kind {
  severity: Severity;
  /** Why it matters, in a sentence. */
  why: string;
  /** What helps, as it is typed; SHARD, TENANT stand for the finding's. */
  command: string;
}

export const findingKinds = {
  "nats-unreachable": {
    severity: "wrong",
    why: "nothing can be recorded: doors that answer say no, the others fill their spool and then stop reading",
    command: "millrace nats",
  },
  "nats-version": {
    severity: "wrong",
    why: "below 2.10 the server can't fsync each frame, so a yes would not mean recorded",
    command: "node bin/setup.mjs",
  },
  "process-down": {
    severity: "wrong",
    why: "a part of the system does not answer; the others go on without it for a while",
    command: "millrace up",
  },
  "shard-failed": {
    severity: "wrong",
    why: "the shard's restart budget is spent: its data waits in the record, and nothing of it is shown",
    command: "millrace shard show SHARD",
  },
  "shard-stuck": {
    severity: "wrong",
    why: "the record goes on and the shard's offset does not move: its tenants see no new data",
    command: "millrace shard skip SHARD --dry-run",
  },
  "shard-behind": {
    severity: "soon",
    why: "the shard reads more slowly than its doors record: its tenants see their data late",
    command: "millrace top",
  },
  "shard-waiting": {
    severity: "wrong",
    why: "the shard waits for its store or for NATS; it goes on by itself as soon as that is back",
    command: "millrace shard show SHARD",
  },
  "shard-restarting": {
    severity: "soon",
    why: "the shard's actor died and is started again; again and again means poison or a fault",
    command: "millrace shard show SHARD",
  },
  "shard-isolated": {
    severity: "note",
    why: "something kills the shard's actor: it reads line by line to find out what, and is slow meanwhile",
    command: "millrace dead list --reason poison",
  },
  "shard-paused": {
    severity: "note",
    why: "somebody paused the shard: its data waits in the record",
    command: "millrace shard resume SHARD",
  },
  "shard-fenced": {
    severity: "wrong",
    why: "another owner has claimed the shard, and this node waits for a map that gives it back",
    command: "millrace shard show SHARD",
  },
  "shard-unowned": {
    severity: "wrong",
    why: "no node runs the shard: its data waits in the record",
    command: "millrace shard list",
  },
  "store-filling": {
    severity: "soon",
    why: "at nine tenths of its budget the store stops committing, and the shard waits",
    command: "millrace tenant list",
  },
  "store-full": {
    severity: "wrong",
    why: "the shard's store takes no more commits: its data waits in the record until there is room",
    command: "millrace tenant list",
  },
  "stream-filling": {
    severity: "soon",
    why: "near its cap a stream loses its oldest committed frames early, and when none may go, doors say no",
    command: "millrace backfill list",
  },
  "disk-low": {
    severity: "soon",
    why: "a disk that is full stops the record",
    command: "df -h",
  },
  "record-hole": {
    severity: "wrong",
    why: "frames that were acknowledged are gone from the record before they were stored",
    command: "millrace shard show SHARD",
  },
  backlog: {
    severity: "note",
    why: "a gap is being filled behind live data, or waits to be",
    command: "millrace backfill list",
  },
  "dead-letters": {
    severity: "note",
    why: "lines that could not be applied wait for a person to retry or drop them",
    command: "millrace dead list",
  },
  "tenant-quarantined": {
    severity: "wrong",
    why: "the tenant's lines kill whoever reads them: all of them go to its dead letters until it is released",
    command: "millrace dead list --tenant TENANT",
  },
  "books-unbalanced": {
    severity: "wrong",
    why: "what doors received is not what became of it: a mistake of ours",
    command: "millrace ledger TENANT --check",
  },
  "spool-in-use": {
    severity: "note",
    why: "raw doors write to the gateway's disk, because a shard or NATS says no",
    command: "millrace top",
  },
  "directory-doubted": {
    severity: "wrong",
    why: "a process does not follow the directory of tenants: known keys go on, new ones are answered 503",
    command: "millrace tenant adopt",
  },
  "clock-skew": {
    severity: "soon",
    why: "points without a time stamp get the gateway's: clocks that differ put them where nobody looks",
    command: "timedatectl",
  },
  "upkeep-behind": {
    severity: "soon",
    why: "commits wait to become fragments: reads get slower and the store larger",
    command: "millrace settings",
  },
  "unwanted-senders": {
    severity: "note",
    why: "somebody sends with keys of a deleted or suspended tenant; it is refused cheaply",
    command: "millrace senders",
  },
} as const satisfies Record<string, Kind>;

export type FindingId = keyof typeof findingKinds;

export interface Finding {
  id: FindingId;
  severity: Severity;
  /** What is so, with its figures. */
  what: string;
  why: string;
  command: string;
  runbook: string;
}

export function finding(id: FindingId, what: string, of: { shard?: number; tenant?: string } = {}): Finding {
  const { severity, why, command } = findingKinds[id];
  return {
    id,
    severity,
    what,
    why,
    command: command
      .replace("SHARD", String(of.shard ?? ""))
      .replace("TENANT", of.tenant ?? "")
      .trim(),
    runbook: `docs/oncall/${id}.md`,
  };
}
