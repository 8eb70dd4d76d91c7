// Why a line was not counted: one closed list. A reason travels to the sender, into counters, the ledger and
// dead letters, always as this word. Its index is what the hot loop carries instead of a string.

export const reasons = [
  "ok",
  "malformed", // not two or three words
  "bad-name", // empty, control characters, or no name behind the key
  "name-too-long", // over 1,000 bytes
  "line-too-long", // over 16 KB
  "not-utf8",
  "bad-value", // not a decimal number, or infinite
  "nan", // everyday traffic (collectd's first interval): dropped and counted
  "bad-timestamp",
  "too-new", // more than an hour ahead of receivedAtMs
  "too-old", // older than the longest ladder
  "bad-type", // StatsD: a type we don't know
  "no-key", // a raw door's line without KEY. in front
  "unknown-key",
  "key-not-for-writing",
  "tenant-suspended",
  "tenant-deleted",
  "unavailable", // the directory can't say whose key this is
  "rate-limit", // more points a second than the tenant may send
  "tags-limit", // more tags than the tenant may use
  "shard-full", // the shard says no, and others of the connection must not wait for it
  "series-limit",
  "duplicate", // a keyed request whose part was applied before
  "corrupt-frame",
  "poison", // the actor died of it, again and again
  "quarantined", // of a tenant whose lines poisoned again and again
] as const;

export type Reason = (typeof reasons)[number];

/** reasonCode["nan"] is the index that a column holds. */
export const reasonCode = Object.fromEntries(reasons.map((reason, code) => [reason, code])) as {
  readonly [R in Reason]: number;
};
