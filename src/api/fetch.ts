// Cells of many series from all homes of a tenant, one row a series. See answer.ts, A2.
import type { Grid } from "../graphite/range.ts";
import { valueColumns, type Cells, type ReadColumn } from "../store/store.ts";
import type { Home } from "./answer.ts";
import { mergeInto } from "./merge.ts";

/** Ids of a stored name, a place per home; undefined where that home has no such series. */
export type Ids = (number | undefined)[];

/** Cells of these stored names, row i of name i, all homes merged; of the values these columns. */
export async function fetchMerged(
  homes: readonly Home[],
  keys: readonly string[],
  ids: ReadonlyMap<string, Ids>,
  grid: Grid,
  columns: readonly ReadColumn[],
): Promise<Cells> {
  let merged: Cells | undefined;
  for (const [at, home] of homes.entries()) {
    const rows: number[] = [];
    const asked: number[] = [];
    for (const [row, key] of keys.entries()) {
      const id = ids.get(key)?.[at];
      if (id === undefined) continue;
      rows.push(row);
      asked.push(id);
    }
    if (asked.length === 0) continue;
    const cells = await home.snapshot.fetch(asked, grid, columns);
    // Most tenants have one home, whose rows are already in place.
    if (merged === undefined && asked.length === keys.length) merged = cells;
    else mergeInto((merged ??= emptyCells(grid, keys.length, columns)), cells, rows);
  }
  return merged ?? emptyCells(grid, keys.length, columns);
}

function emptyCells(grid: Grid, rows: number, columns: readonly ReadColumn[]): Cells {
  const size = rows * grid.width;
  const cells: Cells = {
    ...grid,
    points: new Float64Array(size),
    sum: none,
    min: none,
    max: none,
    last: none,
    ...(columns.includes("sketch") && { sketches: new Map<number, Uint8Array>() }),
  };
  for (const name of valueColumns) if (columns.includes(name)) cells[name] = new Float64Array(size);
  return cells;
}

const none = new Float64Array(0);
