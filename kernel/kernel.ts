// The kernel: what TypeScript calls (src/kernel/instance.ts). It has no memory of its own: regions are laid out by
// src/kernel/layout.ts and told once, by the functions whose names begin with `configure`.
import { configureNumbers } from "./number";
import { configureRows } from "./rows";

export function configure(numbers: usize, rowsAt: usize): void {
  configureNumbers(numbers);
  configureRows(rowsAt);
}

export { configureHash } from "./hash";
export {
  addAlias,
  addSeries,
  configureNames,
  entryBytesUsed,
  findSeries,
  hasRoomFor,
  seriesCount,
  setForgotten,
  wasForgotten,
} from "./names";
export { addPoint, cellCount, configureCells, preferLast, setReceivedAtMs } from "./cells";
export { configureIngest, ingest } from "./ingest";
export { commit, configureColumns } from "./commit";
export { configureRoute, route, routedRows, routedRuns, routedSkipping } from "./route";
export { countLines } from "./floor";
export { probedNumber, probeFlags, probeLine, probeNumber } from "./probe";
