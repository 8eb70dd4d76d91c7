// The actor's half of the kernel: lines of a section into the cells of kernel/, and these to columns. The same as
// plain-aggregator.ts, its twin and oracle, in all it answers: A1 to A4 hold here too.
//
// What bounds it: its memory, which is laid out once. Series by `seriesMax` and by the room for their names, beyond
// which new ones are refused as series-limit and known ones flow; open rows by `rowsMax`, so who calls `ingest` looks
// at `openRows` and commits.
import { assert } from "../base/assert.ts";
import { aheadSecondsMax } from "../metric/bucket.ts";
import { lineBytesMax } from "../metric/line.ts";
import { reasonCode } from "../metric/reason.ts";
import { hashPair, hashSeed, seedBytes, type HashSeed } from "./hash.ts";
import { createKernel, type Kernel, type KernelExports } from "./instance.ts";
import { KernelCells, layCells } from "./kernel-cells.ts";
import { KernelNames, layNames } from "./kernel-names.ts";
import type { Admit, Aggregator, Deltas, Refuse } from "./kernel.ts";
import { Layout, type Region } from "./layout.ts";
import type { AggregatorOptions } from "./plain-aggregator.ts";
import { secondsMax, secondsMin } from "./seconds.ts";
import { noSeries } from "./series-table.ts";
import { StatsdAggregator } from "./statsd-aggregator.ts";

export interface KernelAggregatorOptions extends AggregatorOptions {
  /** Rows open at once. Default: a million, and as many as the largest frame may add. */
  rowsMax?: number;
}

const seriesMaxDefault = 6_000_000;
const rowsMaxDefault = 2_200_000;
/** What is read in one go: it stays in the processor's cache from the copy to the adding up. */
const inputBytes = 256 << 10;
/** The shortest line, its end included, is `a 1`. */
const lineBytesLeast = 4;
/** As in kernel/hash.ts. */
const secretBytes = 1120;
const secretRegionBytes = secretBytes + 64;

export function createKernelAggregator(options: KernelAggregatorOptions): Aggregator {
  return new KernelAggregator(options);
}

class KernelAggregator implements Aggregator {
  readonly #exports: KernelExports;
  readonly #kernel: Kernel;
  readonly #input: Region;
  readonly #rowsMax: number;
  readonly #names: KernelNames;
  readonly #cells: KernelCells;
  readonly #statsd: StatsdAggregator;
  /** Of the call of `ingest` at hand: whose bytes are in the input region, from which one on. */
  #lines: Uint8Array = new Uint8Array(0);
  #from = 0;
  #refuse: Refuse = () => {};

  constructor(options: KernelAggregatorOptions) {
    const { stepSeconds, seriesMax = seriesMaxDefault, rowsMax = rowsMaxDefault } = options;
    assert(Number.isSafeInteger(stepSeconds) && stepSeconds >= 1, "stepSeconds is a whole number from 1");
    assert(options.seed.length >= seedBytes, `seed has at least ${seedBytes} bytes`);
    const seed = hashSeed(options.seed);
    const layout = new Layout();
    this.#input = layout.add(inputBytes);
    const secret = layout.add(secretRegionBytes);
    const names = layNames(layout, seriesMax);
    const cells = layCells(layout, rowsMax);
    this.#rowsMax = rowsMax;
    this.#kernel = createKernel(layout, {
      refuse: (reason, from, to) => this.#refuse(reason, this.#lineAt(from, to)),
      newName: (tenant, at, length, from, to) => this.#newName(tenant, at, length, from, to),
    });
    const { exports, buffer } = this.#kernel;
    this.#exports = exports;
    writeSecret(new DataView(buffer, secret.at, secretBytes), seed);
    exports.configureHash(secret.at);
    exports.configureIngest(stepSeconds);
    this.#names = new KernelNames(exports, buffer, names);
    this.#cells = new KernelCells(exports, buffer, cells);
    this.#statsd = new StatsdAggregator(this.#names, this.#cells, seed, stepSeconds);
  }

  get openRows(): number {
    return this.#cells.count + this.#statsd.openRows;
  }

  get seriesCount(): number {
    return this.#names.count;
  }

  get isCrowded(): boolean {
    return this.#names.isCrowded;
  }

  seriesTenant(local: number): number {
    return this.#names.tenant(local);
  }

  seriesName(local: number): Uint8Array {
    return this.#names.name(local);
  }

  admitBy(admit: Admit): void {
    this.#names.admitBy(admit);
  }

  forget(series: number): void {
    this.#names.forget(series);
  }

  commit(): Deltas {
    return { ...this.#cells.take(), ...this.#statsd.take() };
  }

  ingestStatsd(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number {
    this.#assertRoomFor(lines.length);
    return this.#statsd.ingest(tenant, lines, receivedAtMs, refuse);
  }

  ingest(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number {
    assert(tenant === (tenant | 0), `tenant number ${tenant} is an int32`);
    const now = Math.floor(receivedAtMs / 1000);
    const most = Math.min(now + aheadSecondsMax, secondsMax);
    this.#cells.receivedAtMs = receivedAtMs;
    this.#lines = lines;
    this.#refuse = refuse;
    const { bytes } = this.#kernel;
    const { at } = this.#input;
    let counted = 0;
    for (let from = 0; from < lines.length; ) {
      const { to, next } = pieceOf(lines, from);
      this.#assertRoomFor(to - from);
      this.#from = from;
      bytes.set(from === 0 && to === lines.length ? lines : lines.subarray(from, to), at);
      counted += this.#exports.ingest(at, at + to - from, tenant, now, secondsMin, most);
      from = next;
    }
    return counted;
  }

  #assertRoomFor(bytes: number): void {
    const rows = this.#cells.count + Math.ceil(bytes / lineBytesLeast);
    assert(rows <= this.#rowsMax, `who ingests commits before ${this.#rowsMax} rows are open`);
  }

  #newName(tenant: number, at: number, length: number, from: number, to: number): number {
    const series = this.#names.newName(tenant, at, length);
    if (series === noSeries) this.#refuse(reasonCode["series-limit"], this.#lineAt(from, to));
    return series;
  }

  /** A line in the input region, as the bytes that were handed in. */
  #lineAt(from: number, to: number): Uint8Array {
    const shift = this.#from - this.#input.at;
    return this.#lines.subarray(from + shift, to + shift);
  }
}

/**
 * What to read next: whole lines that fit the input region. Of a line that does not, only as much as it takes to see
 * that it is too long.
 */
function pieceOf(lines: Uint8Array, from: number): { to: number; next: number } {
  if (lines.length - from <= inputBytes) return { to: lines.length, next: lines.length };
  const end = lines.lastIndexOf(0x0a, from + inputBytes - 1);
  if (end >= from) return { to: end + 1, next: end + 1 };
  const over = lines.indexOf(0x0a, from + inputBytes);
  return { to: from + lineBytesMax + 1, next: over < 0 ? lines.length : over + 1 };
}

function writeSecret(view: DataView, seed: HashSeed): void {
  for (let at = 0; at < view.byteLength; at += 4) view.setInt32(at, hashPair(seed, at, 0), true);
}
