// StatsD lines to the same open summaries as plaintext ones, and to what these can't hold: sketches and gauges. There is
// no flush and no window: a value belongs to the bucket of its frame's receivedAtMs.
//
//   counter  stats.counters.x.\u0001c   value / rate
//   gauge    stats.gauges.x             gauges.ts
//   timer    stats.timers.x.\u0001t     the value, and a quantile sketch in which it counts 1 / rate times
//   set      stats.sets.x.\u0001s       1 for each value, and a HyperLogLog sketch
//
// A1. The same sections in the same order give the same columns, sketches, gauges and refusals.
// A2. A line counts whole or not at all: the series of all its values are found before any is added.
import { bucketOf } from "../metric/bucket.ts";
import {
  counterNode,
  counterPrefix,
  gaugePrefix,
  setNode,
  setPrefix,
  timerNode,
  timerPrefix,
} from "../metric/outputs.ts";
import { reasonCode } from "../metric/reason.ts";
import { quantileKey, squaresKey } from "../metric/sketch.ts";
import { readStatsd, statsdNameBytesMax, StatsdLine, statsdType } from "../metric/statsd.ts";
import type { OpenCells } from "./cells.ts";
import { Gauges } from "./gauges.ts";
import { hashName, hashSeed, type HashSeed } from "./hash.ts";
import type { Deltas, Refuse } from "./kernel.ts";
import { secondsMax, secondsMin } from "./seconds.ts";
import { noSeries, type SeriesNames } from "./series-table.ts";
import { SketchBins } from "./sketch-bins.ts";

const encoder = new TextEncoder();
/** By statsdType. */
const prefixes = [counterPrefix, gaugePrefix, timerPrefix, setPrefix].map((text) => encoder.encode(text));
const nodes = [`.${counterNode}`, "", `.${timerNode}`, `.${setNode}`].map((text) => encoder.encode(text));
/** Of the longest prefix and node. */
const extraBytes = 32;

/** Sets of different shards and times merge, so these are the same everywhere and for ever. */
const registerSeed = hashSeed(encoder.encode("millrace"));
const rankSeed = hashSeed(encoder.encode("sketches"));
const registerBits = 14;

export class StatsdAggregator {
  readonly #table: SeriesNames;
  readonly #cells: OpenCells;
  readonly #bins: SketchBins;
  readonly #gauges: Gauges;
  readonly #stepSeconds: number;
  readonly #line = new StatsdLine();
  readonly #point = { value: 0, seconds: 0 };
  readonly #name = new Uint8Array(statsdNameBytesMax + extraBytes);
  readonly #nameView = new DataView(this.#name.buffer);
  /** By statsdType, of the line at hand: `unknown` where it was not looked up. */
  readonly #series = new Int32Array(prefixes.length);

  constructor(table: SeriesNames, cells: OpenCells, seed: HashSeed, stepSeconds: number) {
    this.#table = table;
    this.#cells = cells;
    this.#bins = new SketchBins(seed);
    this.#gauges = new Gauges(cells);
    this.#stepSeconds = stepSeconds;
  }

  get openRows(): number {
    return this.#bins.count + this.#gauges.relativeRows;
  }

  take(): Pick<Deltas, "sketches" | "gauges"> {
    const sketches = this.#bins.take();
    const gauges = this.#gauges.take();
    return { ...(sketches.size > 0 && { sketches }), ...(gauges.length > 0 && { gauges }) };
  }

  ingest(tenant: number, lines: Uint8Array, receivedAtMs: number, refuse: Refuse): number {
    const view = new DataView(lines.buffer, lines.byteOffset, lines.byteLength);
    const now = Math.floor(receivedAtMs / 1000);
    const late =
      now < secondsMin ? reasonCode["too-old"] : now > secondsMax ? reasonCode["too-new"] : reasonCode.ok;
    const line = this.#line;
    this.#cells.receivedAtMs = receivedAtMs;
    this.#point.seconds = now;
    const bucket = bucketOf(now, this.#stepSeconds);
    let counted = 0;
    for (let at = 0; at < lines.length; at = line.end + 1) {
      readStatsd(lines, at, lines.length, false, line);
      if (line.blank) continue;
      const reason = line.reason || late || this.#findSeries(tenant, line);
      if (reason === 0) {
        this.#add(lines, view, bucket);
        counted++;
      } else refuse(reason, lines.subarray(line.from, line.to));
    }
    return counted;
  }

  /** A2. Answers what is wrong. */
  #findSeries(tenant: number, line: StatsdLine): number {
    this.#series.fill(unknown);
    for (let i = 0; i < line.count; i++) {
      const type = line.types[i] as number;
      if (this.#series[type] !== unknown) continue;
      const length = this.#storedName(type, line);
      const series = this.#table.intern(tenant, this.#name, this.#nameView, 0, length);
      if (series === noSeries) return reasonCode["series-limit"];
      this.#series[type] = series;
    }
    return reasonCode.ok;
  }

  /** Answers its length. */
  #storedName(type: number, line: StatsdLine): number {
    const { clean, nameLength, cleanLength } = line;
    const prefix = prefixes[type] as Uint8Array;
    const node = nodes[type] as Uint8Array;
    let length = 0;
    for (let i = 0; i < prefix.length; i++) this.#name[length++] = prefix[i] as number;
    for (let i = 0; i < nameLength; i++) this.#name[length++] = clean[i] as number;
    for (let i = 0; i < node.length; i++) this.#name[length++] = node[i] as number;
    for (let i = nameLength; i < cleanLength; i++) this.#name[length++] = clean[i] as number;
    return length;
  }

  #add(lines: Uint8Array, view: DataView, bucket: number): void {
    const line = this.#line;
    const point = this.#point;
    for (let i = 0; i < line.count; i++) {
      const type = line.types[i] as number;
      const series = this.#series[type] as number;
      const value = line.values[i] as number;
      const rate = line.rates[i] as number;
      point.value = value;
      if (type === statsdType.gauge) this.#gauges.change(series, bucket, point, line.signed[i] === 1);
      else if (type === statsdType.counter) {
        point.value = value / rate;
        this.#cells.add(series, bucket, point);
      } else if (type === statsdType.timer) {
        const cell = this.#cells.add(series, bucket, point);
        this.#bins.weight[0] = 1 / rate;
        this.#bins.addQuantile(cell, quantileKey(value));
        this.#bins.weight[0] = value * value;
        this.#bins.addQuantile(cell, squaresKey);
      } else {
        point.value = 1;
        const cell = this.#cells.add(series, bucket, point);
        const from = line.valueFrom[i] as number;
        const to = line.valueTo[i] as number;
        const register = hashName(registerSeed, 0, lines, view, from, to) >>> (32 - registerBits);
        this.#bins.raise(cell, register, Math.clz32(hashName(rankSeed, 0, lines, view, from, to)) + 1);
      }
    }
  }
}

const unknown = -2;
