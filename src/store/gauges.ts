// StatsD gauges in a commit: differences become values, because the store knows the value before. Pure; both engines
// use it.
//
// G1. Rows of differences are moved by the value before: points times for the sum, once for min, max and last.
// G2. They lie before the commit's first absolute value: where a row of the deltas is of the same series and bucket,
//     its `last` holds, unless its time is really earlier. By value alone, as elsewhere, a higher value would win over
//     the later one.
// G3. The deltas that are handed in are never changed: a commit may be planned again.
import type { DeltaColumns, GaugeChange, GaugeRow } from "./store.ts";

export interface GaugesApplied {
  /** With the rows of differences as ordinary ones. */
  deltas: DeltaColumns;
  /** Values afterwards, by id. */
  values: ReadonlyMap<number, number>;
}

/** `idOf`: the stored id of what stands in a `series`; `before`: a gauge's value in the store, 0 where there is none. */
export function applyGauges(
  deltas: DeltaColumns,
  gauges: readonly GaugeChange[],
  idOf: (said: number) => number,
  before: (id: number) => number,
): GaugesApplied {
  const values = new Map<number, number>();
  const moved: { said: number; id: number; row: GaugeRow }[] = [];
  for (const { series: said, relative, value, isRelative } of gauges) {
    const id = idOf(said);
    const from = values.get(id) ?? before(id);
    for (const row of relative) moved.push({ said, id, row: movedBy(row, from) });
    values.set(id, isRelative ? from + value : value);
  }
  return { deltas: moved.length === 0 ? deltas : withRows(deltas, moved, idOf), values };
}

/** G1 */
function movedBy(row: GaugeRow, from: number): GaugeRow {
  return {
    ...row,
    sum: row.sum + row.points * from,
    min: row.min + from,
    max: row.max + from,
    last: row.last + from,
  };
}

function withRows(
  deltas: DeltaColumns,
  moved: readonly { said: number; id: number; row: GaugeRow }[],
  idOf: (said: number) => number,
): DeltaColumns {
  const out = copyOf(deltas, moved.length);
  const ids = new Set(moved.map(({ id }) => id));
  const rowOf = new Map<string, number>();
  for (let at = 0; at < deltas.count; at++) {
    const id = idOf(out.series[at] ?? 0);
    if (ids.has(id)) rowOf.set(`${id} ${out.bucket[at]}`, at);
  }
  let count = deltas.count;
  for (const { said, id, row } of moved) {
    const at = rowOf.get(`${id} ${row.bucket}`);
    if (at !== undefined) mergeEarlier(out, at, row);
    else {
      out.series[count] = said;
      out.bucket[count] = row.bucket;
      setRow(out, count++, row);
    }
  }
  return { ...out, count, ...(deltas.sketches === undefined ? {} : { sketches: deltas.sketches }) };
}

type Columns = Omit<DeltaColumns, "count" | "sketches">;

/** G3. With room for `more` rows. */
function copyOf(deltas: DeltaColumns, more: number): Columns {
  const { count } = deltas;
  const whole = (from: Uint32Array) => {
    const out = new Uint32Array(count + more);
    out.set(from.subarray(0, count));
    return out;
  };
  const float = (from: Float64Array) => {
    const out = new Float64Array(count + more);
    out.set(from.subarray(0, count));
    return out;
  };
  return {
    series: whole(deltas.series),
    bucket: whole(deltas.bucket),
    points: whole(deltas.points),
    sum: float(deltas.sum),
    min: float(deltas.min),
    max: float(deltas.max),
    last: float(deltas.last),
    lastSeconds: whole(deltas.lastSeconds),
    lastReceivedAtMs: float(deltas.lastReceivedAtMs),
  };
}

function setRow(out: Columns, at: number, row: GaugeRow): void {
  out.points[at] = row.points;
  out.sum[at] = row.sum;
  out.min[at] = row.min;
  out.max[at] = row.max;
  setLast(out, at, row);
}

function setLast(out: Columns, at: number, { last, lastSeconds, lastReceivedAtMs }: GaugeRow): void {
  out.last[at] = last;
  out.lastSeconds[at] = lastSeconds;
  out.lastReceivedAtMs[at] = lastReceivedAtMs;
}

/** G2: `row` came before what is at `at`. */
function mergeEarlier(out: Columns, at: number, row: GaugeRow): void {
  out.points[at] = (out.points[at] ?? 0) + row.points;
  out.sum[at] = (out.sum[at] ?? 0) + row.sum;
  out.min[at] = Math.min(out.min[at] ?? 0, row.min);
  out.max[at] = Math.max(out.max[at] ?? 0, row.max);
  const newer =
    row.lastSeconds - (out.lastSeconds[at] ?? 0) || row.lastReceivedAtMs - (out.lastReceivedAtMs[at] ?? 0);
  if (newer > 0) setLast(out, at, row);
}
