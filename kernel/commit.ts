// Cells to columns, a row each, in the order of the cells, and no open cell from then on.
import { cellAt, cellCount, startAfresh } from "./cells";

/** `rowsMost` of src/kernel/kernel-aggregator.ts: columns lie one behind the other, eight-byte ones first. */
let columns: usize = 0;
let rowsMost: usize = 0;

export function configureColumns(at: usize, most: u32): void {
  columns = at;
  rowsMost = most;
}

/** Answers how many rows there are. */
export function commit(): u32 {
  const count = cellCount();
  const wide = rowsMost << 3;
  const narrow = rowsMost << 2;
  const sum = columns;
  const min = sum + wide;
  const max = min + wide;
  const last = max + wide;
  const lastReceivedAtMs = last + wide;
  const series = lastReceivedAtMs + wide;
  const bucket = series + narrow;
  const points = bucket + narrow;
  const lastSeconds = points + narrow;
  for (let row: u32 = 0; row < count; row++) {
    const cell = cellAt(row);
    const eight = <usize>row << 3;
    const four = <usize>row << 2;
    store<f64>(sum + eight, load<f64>(cell));
    store<f64>(min + eight, load<f64>(cell, 8));
    store<f64>(max + eight, load<f64>(cell, 16));
    store<f64>(last + eight, load<f64>(cell, 24));
    store<f64>(lastReceivedAtMs + eight, load<f64>(cell, 32));
    store<u32>(points + four, load<u32>(cell, 40));
    store<u32>(lastSeconds + four, load<u32>(cell, 44));
    store<u32>(series + four, load<u32>(cell, 48));
    store<u32>(bucket + four, load<u32>(cell, 52));
  }
  startAfresh();
  return count;
}
