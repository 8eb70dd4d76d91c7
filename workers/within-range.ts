// An aggregator of which only rows of some seconds are committed, and none of StatsD gauges: what a replay wants of the
// frames it reads. Everything else is forgotten with the commit, so it names no series either.
import type { Aggregator, Deltas } from "../src/kernel/kernel.ts";

/** [from, until), epoch seconds. */
export function withinRange(aggregator: Aggregator, range: { from: number; until: number }): Aggregator {
  return new Proxy(aggregator, {
    get(target, property) {
      if (property === "commit") return () => cut(target.commit(), range);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function cut(deltas: Deltas, { from, until }: { from: number; until: number }): Deltas {
  const gauges = new Set(deltas.gauges?.map(({ series }) => series));
  const rows: number[] = [];
  for (let row = 0; row < deltas.count; row++) {
    const bucket = deltas.bucket[row] as number;
    if (bucket >= from && bucket < until && !gauges.has(deltas.series[row] as number)) rows.push(row);
  }
  const sketches = new Map<number, Uint8Array>();
  rows.forEach((row, at) => {
    const sketch = deltas.sketches?.get(row);
    if (sketch !== undefined) sketches.set(at, sketch);
  });
  const counts = (column: Uint32Array) => Uint32Array.from(rows, (row) => column[row] as number);
  const values = (column: Float64Array) => Float64Array.from(rows, (row) => column[row] as number);
  return {
    count: rows.length,
    series: counts(deltas.series),
    bucket: counts(deltas.bucket),
    points: counts(deltas.points),
    sum: values(deltas.sum),
    min: values(deltas.min),
    max: values(deltas.max),
    last: values(deltas.last),
    lastSeconds: counts(deltas.lastSeconds),
    lastReceivedAtMs: values(deltas.lastReceivedAtMs),
    sketches,
  };
}
