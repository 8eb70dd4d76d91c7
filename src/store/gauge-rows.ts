// The row of a StatsD gauge: its value, and behind which blob the series became one. Rows of the version before have the
// value only: they were gauges always.
import { Outage } from "../base/errors.ts";

export function encodeGauge(value: number, since: number): Buffer {
  const out = Buffer.alloc(16);
  out.writeDoubleBE(value);
  out.writeDoubleBE(since, 8);
  return out;
}

export function gaugeValue(row: Uint8Array): number {
  return numberAt(row, 0);
}

/** The number of the first blob that may have been written with it. */
export function gaugeSince(row: Uint8Array): number {
  return row.length === 8 ? 0 : numberAt(row, 8);
}

function numberAt(row: Uint8Array, at: number): number {
  if (row.length !== 8 && row.length !== 16)
    throw new Outage("store-corrupt", "a gauge's row is not what was written");
  return new DataView(row.buffer, row.byteOffset, row.length).getFloat64(at);
}
