// The gateway's half: bytes of a connection to rows, a row for each line, and to runs, which are taken whole.
//
// R1. Rows are the same however the bytes are cut into calls, as long as what was not consumed is handed in again.
// R2. What is not consumed never exceeds 16 KB: a longer line without end is reported at once and skipped.
// R3. A run is as long as it can be: consecutive good rows with the same key. Its lines lie in the output region as a
//     frame wants them, without keys, each from its name to the end of its last word and one line end behind.
import { isBlank, isFinished, nextLine, readLine } from "./line";
import { lineTooLong, ok } from "./reason";
import {
  fromOf,
  keyFromOf,
  keyToOf,
  nameToOf,
  reasonOf,
  rowsMost,
  secondsOf,
  setKey,
  shiftRows,
  toOf,
} from "./rows";
import { sameBytes } from "./scan";

/** Columns of 1,024 runs, as src/kernel/kernel-router.ts has them. */
let runs: usize = 0;
let output: usize = 0;
const leastSeconds: usize = 0;
const mostSeconds: usize = 8 * 1024;
const firstRow: usize = 16 * 1024;
const rowsOfRun: usize = 20 * 1024;
const textFrom: usize = 24 * 1024;
const textTo: usize = 28 * 1024;
const longestName: usize = 32 * 1024;

export function configureRoute(runsAt: usize, outputAt: usize): void {
  runs = runsAt;
  output = outputAt;
}

let rowCount: u32 = 0;
let runCount: u32 = 0;
let isSkipping: bool = false;

export function routedRows(): u32 {
  return rowCount;
}
export function routedRuns(): u32 {
  return runCount;
}
export function routedSkipping(): bool {
  return isSkipping;
}

/**
 * Reads the lines of [at, to). Rows speak of addresses less `shift`. Answers how far it got: behind the last line it
 * took, or `to` in the midst of a line that is too long.
 */
export function route(at: usize, to: usize, isKeyed: bool, isLast: bool, skipping: bool, shift: usize): usize {
  rowCount = 0;
  runCount = 0;
  isSkipping = false;
  let next = at;
  if (skipping) {
    next = nextLine(at, to);
    if (next == 0) {
      isSkipping = !isLast;
      return to;
    }
  }
  let rows: u32 = 0;
  let written = output;
  let keyAt: usize = 0;
  let keyBytes: u32 = 0;
  let inRun = false;
  while (next < to && rows < rowsMost) {
    const end = readLine(next, to, isKeyed, rows);
    if (!isFinished && !isLast) {
      if (isBlank || reasonOf(rows) != lineTooLong) break;
      isSkipping = true;
    }
    next = isFinished ? end + 1 : to;
    if (isBlank) continue;
    const row = rows++;
    if (reasonOf(row) != ok) {
      inRun = false;
      continue;
    }
    if (isKeyed) {
      const key = keyFromOf(row);
      const bytes = <u32>(keyToOf(row) - key);
      if (inRun && (bytes != keyBytes || !sameBytes(keyAt, key, bytes))) inRun = false;
      keyAt = key;
      keyBytes = bytes;
    } else setKey(row, fromOf(row), fromOf(row));
    if (!inRun) beginRun(row, written);
    inRun = true;
    written = copyLine(row, written);
    extendRun(row, written);
  }
  rowCount = rows;
  shiftRows(rows, shift);
  return next;
}

function beginRun(row: u32, text: usize): void {
  const run = runCount++;
  const eight = runs + (<usize>run << 3);
  const four = runs + (<usize>run << 2);
  store<f64>(eight, Infinity, leastSeconds);
  store<f64>(eight, -Infinity, mostSeconds);
  store<u32>(four, row, firstRow);
  store<u32>(four, 0, rowsOfRun);
  store<u32>(four, <u32>(text - output), textFrom);
  store<u32>(four, 0, longestName);
}

/** A line that leaves its time out, NaN, changes neither bound. */
// @ts-ignore: decorator
@inline
function extendRun(row: u32, text: usize): void {
  const run = runCount - 1;
  const eight = runs + (<usize>run << 3);
  const four = runs + (<usize>run << 2);
  const seconds = secondsOf(row);
  if (seconds < load<f64>(eight, leastSeconds)) store<f64>(eight, seconds, leastSeconds);
  if (seconds > load<f64>(eight, mostSeconds)) store<f64>(eight, seconds, mostSeconds);
  store<u32>(four, load<u32>(four, rowsOfRun) + 1, rowsOfRun);
  store<u32>(four, <u32>(text - output), textTo);
  const name = <u32>(nameToOf(row) - fromOf(row));
  if (name > load<u32>(four, longestName)) store<u32>(four, name, longestName);
}

/** Answers where the next one goes. */
// @ts-ignore: decorator
@inline
function copyLine(row: u32, at: usize): usize {
  const from = fromOf(row);
  const length = toOf(row) - from;
  for (let done: usize = 0; done < length; done += 16) v128.store(at + done, v128.load(from + done));
  store<u8>(at + length, 0x0a);
  return at + length + 1;
}
