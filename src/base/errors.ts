// Outages: errors of the world around us, from one closed list, each retryable or final.
// Input is never an error (it is a value to switch on) and a bug is never an Outage (it is an assertion).

export const outageCodes = {
  "bus-unavailable": "retryable", // no connection to NATS, or it was lost while waiting
  "bus-timeout": "retryable", // NATS did not answer in time; what was asked may have happened
  "stream-full": "retryable", // the stream refuses more (its cap is reached, or the disk is full)
  "stream-missing": "retryable", // the coordinator has not made the stream yet
  "revision-conflict": "retryable", // a compare-and-set lost: read again, then decide again
  "store-unavailable": "retryable", // the store can't be reached or opened
  "store-full": "retryable", // the store's map or disk is full; the stream keeps the data meanwhile
  "store-corrupt": "final", // what the store holds can't be what we wrote
  "settings-invalid": "final", // an operator's mistake: the start stops with a sentence
  "home-locked": "final", // another system runs on this MILLRACE_HOME
  "port-taken": "final", // names the port and its setting
  "record-rewound": "final", // the stream was wiped or set back under the offset
  "poison-flood": "final", // lines that kill come so fast that it must be our own bug
  "server-too-old": "final", // nats-server below 2.10
} as const satisfies Record<string, "retryable" | "final">;

export type OutageCode = keyof typeof outageCodes;

export class Outage extends Error {
  readonly code: OutageCode;
  constructor(code: OutageCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "Outage";
    this.code = code;
  }
  get retryable(): boolean {
    return outageCodes[this.code] === "retryable";
  }
}

/** Total: an error of unknown origin is simply not an outage. */
export function isOutage(error: unknown, code?: OutageCode): error is Outage {
  return error instanceof Outage && (code === undefined || error.code === code);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
