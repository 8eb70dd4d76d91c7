// Open summaries: one cell for each (series, bucket) since the last commit, in the order in which they were opened.
//
//   f64   0 sum   8 min   16 max   24 last   32 lastReceivedAtMs
//   u32  40 points   44 lastSeconds   48 series   52 bucket   56 recent   60 (unused)
//
// E1. A series' first cell is found through its entry, another one through the first one's `recent` (the cell of the
//     last point) or the table of later cells. So a sender in step never touches the table, two senders with different
//     clocks hardly, and late points cost one look-up each: nothing walks a list.
// E2. Starting afresh touches no series: an entry's first cell counts only if it is below `count` and says the series.
// E3. Columns are separate from cells: those of a commit stay as they are while the next points come in.
import { hashWords } from "./hash";
import { mix } from "./mix";
import { entryOf, firstCell, setFirstCell } from "./names";

const cellShift: usize = 6;
const leastLaterBits: u32 = 8;

let cells: usize = 0;
let cellsMost: u32 = 0;
let count: u32 = 0;
/** Later cells, index + 1, by the top bits of the hash of (series, bucket); two regions as for slots. */
let evenLater: usize = 0;
let oddLater: usize = 0;
let later: usize = 0;
let laterBits: u32 = leastLaterBits;
let laterCount: u32 = 0;
/** Of the frame whose points are added now. */
let receivedAtMs: f64 = 0;

export function configureCells(cellsAt: usize, cellsMax: u32, evenLaterAt: usize, oddLaterAt: usize): void {
  cells = cellsAt;
  cellsMost = cellsMax;
  evenLater = evenLaterAt;
  oddLater = oddLaterAt;
  later = evenLater;
}

export function setReceivedAtMs(ms: f64): void {
  receivedAtMs = ms;
}

/** Cells open now. */
export function cellCount(): u32 {
  return count;
}

// @ts-ignore: decorator
@inline
export function cellAt(cell: u32): usize {
  return cells + (<usize>cell << cellShift);
}

/** Adds a point to (series, bucket); answers its cell: its row in the next commit. */
export function addPoint(series: u32, bucket: u32, value: f64, seconds: u32): u32 {
  return addPointTo(entryOf(series), series, bucket, value, seconds);
}

/** `entry`: the series'. */
// @ts-ignore: decorator
@inline
export function addPointTo(entry: usize, series: u32, bucket: u32, value: f64, seconds: u32): u32 {
  let cell = firstCell(entry);
  let at = cellAt(cell);
  if (cell >= count || load<u32>(at, 48) != series) {
    cell = open(series, bucket, value, seconds);
    setFirstCell(entry, cell);
    return cell;
  }
  if (load<u32>(at, 52) != bucket) {
    cell = other(at, series, bucket);
    if (cell == none) {
      cell = openLater(series, bucket, value, seconds);
      store<u32>(at, cell, 56);
      return cell;
    }
    store<u32>(at, cell, 56);
    at = cellAt(cell);
  }
  addTo(at, value, seconds);
  return cell;
}

const none: u32 = 0xffffffff;

/** The cell of another bucket than that of the first cell, which lies at `first`. */
function other(first: usize, series: u32, bucket: u32): u32 {
  const recent = load<u32>(first, 56);
  if (load<u32>(cellAt(recent), 52) == bucket) return recent;
  const mask = (<usize>1 << laterBits) - 1;
  let slot = laterSlot(series, bucket);
  while (true) {
    const cell = load<u32>(later + (slot << 2)) - 1;
    if (cell == none) return none;
    const at = cellAt(cell);
    if (load<u32>(at, 48) == series && load<u32>(at, 52) == bucket) return cell;
    slot = (slot + 1) & mask;
  }
}

// @ts-ignore: decorator
@inline
function laterSlot(series: u32, bucket: u32): usize {
  return <usize>(mix(hashWords(series, bucket)) >> (32 - laterBits));
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, value: f64, seconds: u32): void {
  store<u32>(at, load<u32>(at, 40) + 1, 40);
  store<f64>(at, load<f64>(at) + value);
  store<f64>(at, min<f64>(load<f64>(at, 8), value), 8);
  store<f64>(at, max<f64>(load<f64>(at, 16), value), 16);
  const newest = load<u32>(at, 44);
  if (seconds < newest) return;
  if (seconds == newest) {
    const received = load<f64>(at, 32);
    if (receivedAtMs < received) return;
    if (receivedAtMs == received) {
      store<f64>(at, max<f64>(load<f64>(at, 24), value), 24);
      return;
    }
  }
  store<f64>(at, value, 24);
  store<f64>(at, receivedAtMs, 32);
  store<u32>(at, seconds, 44);
}

/** Of points of one moment the greatest is `last`; this one, just added to the cell, is it because it came last. */
export function preferLast(cell: u32, value: f64, seconds: u32): void {
  const at = cellAt(cell);
  if (load<u32>(at, 44) == seconds && load<f64>(at, 32) == receivedAtMs) store<f64>(at, value, 24);
}

/** A new cell with one point. Who ingests sees to it that there is room. */
function open(series: u32, bucket: u32, value: f64, seconds: u32): u32 {
  if (count == cellsMost) unreachable();
  const cell = count++;
  const at = cellAt(cell);
  v128.store(at, f64x2.splat(value));
  v128.store(at, f64x2.splat(value), 16);
  store<f64>(at, receivedAtMs, 32);
  store<u32>(at, 1, 40);
  store<u32>(at, seconds, 44);
  store<u32>(at, series, 48);
  store<u32>(at, bucket, 52);
  store<u32>(at, cell, 56);
  return cell;
}

function openLater(series: u32, bucket: u32, value: f64, seconds: u32): u32 {
  const cell = open(series, bucket, value, seconds);
  if (++laterCount * 2 > <u32>1 << laterBits) {
    const old = later;
    const oldBytes = <usize>4 << laterBits;
    laterBits++;
    later = (laterBits & 1) == 0 ? evenLater : oddLater;
    memory.fill(later, 0, <usize>4 << laterBits);
    for (let at: usize = 0; at < oldBytes; at += 4) {
      const moved = load<u32>(old + at);
      if (moved != 0) placeLater(moved - 1);
    }
  }
  placeLater(cell);
  return cell;
}

function placeLater(cell: u32): void {
  const at = cellAt(cell);
  const mask = (<usize>1 << laterBits) - 1;
  let slot = laterSlot(load<u32>(at, 48), load<u32>(at, 52));
  while (load<u32>(later + (slot << 2)) != 0) slot = (slot + 1) & mask;
  store<u32>(later + (slot << 2), cell + 1);
}

/** No cell from now on. */
export function startAfresh(): void {
  count = 0;
  if (laterCount == 0) return;
  memory.fill(later, 0, <usize>4 << laterBits);
  // A commit with few of them makes the table smaller, so that emptying it costs little.
  if (laterCount * 16 < <u32>1 << laterBits && laterBits > leastLaterBits) {
    laterBits--;
    later = (laterBits & 1) == 0 ? evenLater : oddLater;
    memory.fill(later, 0, <usize>4 << laterBits);
  }
  laterCount = 0;
}
