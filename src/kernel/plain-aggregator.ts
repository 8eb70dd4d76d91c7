// The actor's half of the kernel in plain TypeScript: lines of a section to open summaries, and these to columns.
//
// A1. The same sections in the same order give the same columns and refusals: time comes from receivedAtMs alone.
// A2. A refused line leaves no trace here but its call of `refuse`.
// A3. State is the series table, which is a cache, and the points since the last commit. To drop all, drop the object.
// A4. Only what can't be a time is refused for its time: how far back points count, the tenant's ladders say, at the
//     door. What a door let through is never lost because of a rule that changed meanwhile.
//
// What bounds it: series by `seriesMax`, spellings by twice that; open rows by the lines ingested since the last
// commit, so who calls `ingest` looks at `openRows` and commits.
import { assert } from "../base/assert.ts";
import { aheadSecondsMax, bucketOf } from "../metric/bucket.ts";
import { Line, readLine } from "../metric/line.ts";
import { reasonCode } from "../metric/reason.ts";
import { Cells } from "./cells.ts";
import { hashSeed, seedBytes } from "./hash.ts";
import type { Admit, Aggregator, Deltas, Refuse } from "./kernel.ts";
import { secondsMax, secondsMin } from "./seconds.ts";
import { noSeries, SeriesTable } from "./series-table.ts";
import { StatsdAggregator } from "./statsd-aggregator.ts";

export interface AggregatorOptions {
  /** Width of a bucket. */
  stepSeconds: number;
  /** 8 random bytes, secret: names are hashed with it. */
  seed: Uint8Array;
  /** Series known at once, all tenants. Default 10 million. */
  seriesMax?: number;
}

const seriesMaxDefault = 10_000_000;

export function createPlainAggregator(options: AggregatorOptions): Aggregator {
  return new PlainAggregator(options);
}

class PlainAggregator implements Aggregator {
  readonly #stepSeconds: number;
  readonly #table: SeriesTable;
  readonly #cells: Cells;
  readonly #statsd: StatsdAggregator;
  readonly #line = new Line();

  constructor(options: AggregatorOptions) {
    const { stepSeconds } = options;
    assert(Number.isSafeInteger(stepSeconds) && stepSeconds >= 1, "stepSeconds is a whole number from 1");
    assert(options.seed.length >= seedBytes, `seed has at least ${seedBytes} bytes`);
    this.#stepSeconds = stepSeconds;
    const seed = hashSeed(options.seed);
    this.#table = new SeriesTable(seed, options.seriesMax ?? seriesMaxDefault);
    this.#cells = new Cells(seed);
    this.#statsd = new StatsdAggregator(this.#table, this.#cells, seed, stepSeconds);
  }

  get openRows(): number {
    return this.#cells.count + this.#statsd.openRows;
  }

  get seriesCount(): number {
    return this.#table.count;
  }

  /** Its memory grows. */
  get isCrowded(): boolean {
    return false;
  }

  seriesTenant(local: number): number {
    return this.#table.tenant(local);
  }

  seriesName(local: number): Uint8Array {
    return this.#table.name(local);
  }

  admitBy(admit: Admit): void {
    this.#table.admitBy(admit);
  }

  forget(series: number): void {
    this.#table.forget(series);
  }

  commit(): Deltas {
    return { ...this.#cells.take(), ...this.#statsd.take() };
  }

  ingestStatsd(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number {
    return this.#statsd.ingest(tenant, lines, receivedAtMs, refuse);
  }

  ingest(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number {
    assert(tenant === (tenant | 0), `tenant number ${tenant} is an int32`);
    const view = new DataView(lines.buffer, lines.byteOffset, lines.byteLength);
    const now = Math.floor(receivedAtMs / 1000);
    const last = Math.min(now + aheadSecondsMax, secondsMax);
    const line = this.#line;
    const cells = this.#cells;
    cells.receivedAtMs = receivedAtMs;
    let counted = 0;
    for (let at = 0; at < lines.length; at = line.end + 1) {
      readLine(lines, at, lines.length, false, line);
      if (line.blank) continue;
      let { reason } = line;
      if (reason === 0) {
        if (Number.isNaN(line.seconds)) line.seconds = now;
        if (line.seconds > last) reason = reasonCode["too-new"];
        else if (line.seconds < secondsMin) reason = reasonCode["too-old"];
        else {
          const series = this.#table.intern(tenant, lines, view, line.from, line.nameTo);
          if (series === noSeries) reason = reasonCode["series-limit"];
          else {
            cells.add(series, bucketOf(line.seconds, this.#stepSeconds), line);
            counted++;
          }
        }
      }
      if (reason !== 0) refuse(reason, lines.subarray(line.from, line.to));
    }
    return counted;
  }
}
