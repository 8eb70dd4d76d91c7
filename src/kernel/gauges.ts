// StatsD gauges since the last commit. A value with a sign is a difference to the value before it, and the value before
// the first one is the store's affair: until an absolute value comes, all is kept as differences to that.
//
// G1. In the order of lines: of two changes at one moment the later one is `last`, not the greater one.
import type { OpenCells } from "./cells.ts";
import type { GaugeDelta, GaugeDeltaRow } from "./kernel.ts";

/** A value and its time, the same object again and again. */
export interface StatsdPoint {
  value: number;
  seconds: number;
}

interface OpenGauge extends GaugeDelta {
  rows: Map<number, GaugeDeltaRow>;
}

export class Gauges {
  readonly #cells: OpenCells;
  #open = new Map<number, OpenGauge>();
  /** Relative rows open now. */
  relativeRows = 0;

  constructor(cells: OpenCells) {
    this.#cells = cells;
  }

  /** `point.value` is a difference, or the new value; cells.receivedAtMs is the time of its frame. */
  change(series: number, bucket: number, point: StatsdPoint, isDifference: boolean): void {
    let gauge = this.#open.get(series);
    if (gauge === undefined) {
      gauge = { series, relative: [], rows: new Map(), value: 0, isRelative: true };
      this.#open.set(series, gauge);
    }
    gauge.value = isDifference ? finite(gauge.value + point.value) : point.value;
    point.value = gauge.value;
    if (!isDifference) gauge.isRelative = false;
    const row = gauge.rows.get(bucket);
    if (gauge.isRelative) this.#changeRow(gauge, row, bucket, point);
    else {
      this.#cells.preferLast(this.#cells.add(series, bucket, point), point);
      // G1 for the store, which merges the two rows: it takes the later frame's.
      if (row?.lastReceivedAtMs === this.#cells.receivedAtMs) row.lastReceivedAtMs--;
    }
  }

  #changeRow(gauge: OpenGauge, row: GaugeDeltaRow | undefined, bucket: number, point: StatsdPoint): void {
    const { value, seconds } = point;
    const { receivedAtMs } = this.#cells;
    if (row === undefined) {
      const summary = { points: 1, sum: value, min: value, max: value, last: value };
      const made = { bucket, ...summary, lastSeconds: seconds, lastReceivedAtMs: receivedAtMs };
      gauge.rows.set(bucket, made);
      gauge.relative.push(made);
      this.relativeRows++;
      return;
    }
    row.points++;
    row.sum += value;
    row.min = Math.min(row.min, value);
    row.max = Math.max(row.max, value);
    const order = seconds - row.lastSeconds || receivedAtMs - row.lastReceivedAtMs;
    if (order < 0) return;
    row.last = value;
    row.lastSeconds = seconds;
    row.lastReceivedAtMs = receivedAtMs;
  }

  /** Gauges that changed, and none from now on. */
  take(): GaugeDelta[] {
    const taken = Array.from(this.#open.values(), ({ series, relative, value, isRelative }) => ({
      series,
      relative,
      value,
      isRelative,
    }));
    if (taken.length > 0) this.#open = new Map();
    this.relativeRows = 0;
    return taken;
  }
}

/** An infinite gauge could never be brought back by differences. */
function finite(value: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));
}
