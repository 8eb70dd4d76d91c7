// Cells of many series from all homes of a tenant, one row a series. See answer.ts, A2.
import type { Grid } from "../graphite/range.ts";
import { valueColumns, type Cells, type ValueColumn } from "../store/store.ts";
import type { Home } from "./answer.ts";
import { mergeInto } from "./merge.ts";

/** Ids of a name, a place per home; undefined where that home has no such series. */
export type Ids = (number | undefined)[];

/** Cells of these names, row i of name i, all homes merged; of the values these columns. */
export async function fetchMerged(
  homes: readonly Home[],
  names: readonly string[],
  ids: ReadonlyMap<string, Ids>,
  grid: Grid,
  columns: readonly ValueColumn[],
): Promise<Cells> {
  let merged: Cells | undefined;
  for (const [at, home] of homes.entries()) {
    const rows: number[] = [];
    const asked: number[] = [];
    for (const [row, name] of names.entries()) {
      const id = ids.get(name)?.[at];
      if (id === undefined) continue;
      rows.push(row);
      asked.push(id);
    }
    if (asked.length === 0) continue;
    const cells = await home.snapshot.fetch(asked, grid, columns);
    // Most tenants have one home, whose rows are already in place.
    if (merged === undefined && asked.length === names.length) merged = cells;
    else mergeInto((merged ??= emptyCells(grid, names.length, columns)), cells, rows);
  }
  return merged ?? emptyCells(grid, names.length, columns);
}

function emptyCells(grid: Grid, rows: number, columns: readonly ValueColumn[]): Cells {
  const size = rows * grid.width;
  const cells: Cells = {
    ...grid,
    points: new Float64Array(size),
    sum: none,
    min: none,
    max: none,
    last: none,
  };
  for (const name of valueColumns) if (columns.includes(name)) cells[name] = new Float64Array(size);
  return cells;
}

const none = new Float64Array(0);
