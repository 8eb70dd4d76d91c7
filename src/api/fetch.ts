// Cells of many series from all homes of a tenant, one row a series. See answer.ts, A2.
import type { Grid } from "../graphite/range.ts";
import type { Cells } from "../store/store.ts";
import type { Home } from "./answer.ts";
import { mergeInto } from "./merge.ts";

/** Ids of a name, a place per home; undefined where that home has no such series. */
export type Ids = (number | undefined)[];

/** Cells of these names, row i of name i, all homes merged. */
export async function fetchMerged(
  homes: readonly Home[],
  names: readonly string[],
  ids: ReadonlyMap<string, Ids>,
  grid: Grid,
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
    const cells = await home.snapshot.fetch(asked, grid);
    // Most tenants have one home, whose rows are already in place.
    if (merged === undefined && asked.length === names.length) merged = cells;
    else mergeInto((merged ??= emptyCells(grid, names.length)), cells, rows);
  }
  return merged ?? emptyCells(grid, names.length);
}

function emptyCells(grid: Grid, rows: number): Cells {
  const column = () => new Float64Array(rows * grid.width);
  return { ...grid, points: column(), sum: column(), min: column(), max: column(), last: column() };
}
