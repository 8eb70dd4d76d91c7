// The hot loop behind two small interfaces: `route` in the gateway, `ingest` and `commit` in the actor. The plain
// TypeScript of plain-router.ts and plain-aggregator.ts fills them; a WebAssembly twin can take their place without
// any other room noticing, so they speak in bytes, offsets and columns only.
//
// K1. Nothing is allocated per line or per point.
// K2. The two sides use one grammar (src/metric/line.ts): a line that `route` passes, `ingest` applies.

/**
 * Consecutive rows that are good and have the same key, as long as they go: what may be taken whole. Columns, a row a run.
 */
export interface RoutedRuns {
  count: number;
  readonly firstRow: Int32Array;
  readonly rows: Int32Array;
  /** [textFrom, textTo) of `text`: the lines without keys, each with one line end behind it, as a frame wants them. */
  readonly textFrom: Int32Array;
  readonly textTo: Int32Array;
  /** Of those lines that say a time; Infinity and -Infinity where none does. */
  readonly leastSeconds: Float64Array;
  readonly mostSeconds: Float64Array;
  /** Bytes. */
  readonly longestName: Int32Array;
  /** Valid until the next call. */
  text: Uint8Array;
}

/** What `route` found, one row a line, in columns. Offsets are into the bytes that were handed in. */
export interface RoutedLines {
  /** Rows filled by the last call. */
  count: number;
  /** How far the last call got: just behind the end of the last line it took. */
  consumed: number;
  /**
   * The bytes ended within a line that is too long. It has its row (line-too-long, once) and is consumed as far as it
   * came; say so in the next call of the same connection, and what remains of it is dropped.
   */
  skipping: boolean;
  /** The key before the first dot: [keyFrom, keyTo); empty for bytes that carry no keys. */
  readonly keyFrom: Int32Array;
  readonly keyTo: Int32Array;
  /** The line from its name to its last word's end; no line end. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Epoch seconds as the line says; NaN where it leaves them out or says -1. */
  readonly seconds: Float64Array;
  /** Index into src/metric/reason.ts; 0 is ok. Blank lines are no rows at all. */
  readonly reason: Uint8Array;
  /** None where lines are better taken one by one. */
  readonly runs?: RoutedRuns;
}

export interface RouteOptions {
  /** Lines begin with a key and a dot. */
  keyed: boolean;
  /** Nothing follows: what has no line end is a line too. */
  last: boolean;
  /** `lines.skipping` as the call before left it, for these bytes' connection. */
  skipping?: boolean;
}

export interface Router {
  readonly lines: RoutedLines;
  /**
   * Splits bytes[from, to) into lines and judges each by grammar. Takes whole lines only, unless `last` says that
   * nothing follows; stops when the rows are full, or when it has as many bytes as it takes at once: call again until
   * nothing is consumed. The answer is in `lines`. What is left then is the beginning of one line: at most 16 KB.
   */
  route(bytes: Uint8Array, from: number, to: number, options: RouteOptions): void;
}

/** Columns of summaries, a row for a series and bucket, in no order. Views: valid until the next `commit`. */
export interface Deltas {
  readonly count: number;
  /** Local numbers of the series. */
  readonly series: Uint32Array;
  /** Start of the bucket, epoch seconds. */
  readonly bucket: Uint32Array;
  readonly points: Uint32Array;
  readonly sum: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly last: Float64Array;
  /** Which value is `last`: the greatest of (time stamp in seconds, receivedAtMs, value). */
  readonly lastSeconds: Uint32Array;
  readonly lastReceivedAtMs: Float64Array;
  /** Sketches of rows that have one (src/metric/sketch.ts), by row. */
  readonly sketches?: ReadonlyMap<number, Uint8Array>;
  /** StatsD gauges that changed, one for each series, in the order of their first change. */
  readonly gauges?: readonly GaugeDelta[];
}

/** A row whose values are differences to a gauge's value before the commit. */
export interface GaugeDeltaRow {
  bucket: number;
  points: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  lastSeconds: number;
  lastReceivedAtMs: number;
}

/** A StatsD gauge that changed. Points since the first absolute value are ordinary rows; those before are `relative`. */
export interface GaugeDelta {
  /** Local number. */
  series: number;
  relative: GaugeDeltaRow[];
  /** The value afterwards; `isRelative`: as a difference to the one before. */
  value: number;
  isRelative: boolean;
}

/** A line that `ingest` did not count, without its line end. A view of the section's bytes. */
export type Refuse = (reason: number, line: Uint8Array) => void;

/**
 * May there be a new series: this canonical name of a tenant's, under this local number? With no, the line (or the part
 * of it that is a metric of its own) goes to `refuse` as series-limit right after this answer. It must be fit to be
 * ingested again as it is, and nothing of it may have counted.
 */
export type Admit = (tenant: number, name: Uint8Array, series: number) => boolean;

export interface Aggregator {
  /**
   * Adds the lines of one section. `tenant` is a number of the caller's for the tenant id, an int32. Answers how many
   * lines counted; each other goes to `refuse`.
   */
  ingest(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number;
  /** The same for StatsD lines (src/metric/statsd.ts): all of them are of the time of receivedAtMs. */
  ingestStatsd(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number;
  /** Rows that a commit would have now, each bin of a sketch counted as one. */
  readonly openRows: number;
  /** Series known, all tenants. */
  readonly seriesCount: number;
  /** Little room is left for new names: another, empty one should take its place before they are refused. */
  readonly isCrowded: boolean;
  /**
   * Tenant number and canonical name of a series by local number: what the store needs to give it an id. Local
   * numbers count from 0 in the order of first points. The name is a view that never changes.
   */
  seriesTenant(local: number): number;
  seriesName(local: number): Uint8Array;
  /** Who is asked for each series that is new here, wherever its name comes from. Without it there may be any. */
  admitBy(admit: Admit): void;
  /** The series is none any more: its next point asks as if it were new. It keeps its number. */
  forget(series: number): void;
  /** All summaries since the last `commit`, and a fresh start for the next ones. Series stay known. */
  commit(): Deltas;
}
