// Lines of a section into cells, 256 at a time: read all, then look where each will go, so that the waiting for memory
// overlaps, then add.
//
// I1. What is refused is told in the order of the lines, each when its turn comes.
import { addPointTo, cellAt } from "./cells";
import { hashName } from "./hash";
import { isBlank, isFinished, readLine } from "./line";
import { entryOf, firstCell, found, guess, lookUp, unknown } from "./names";
import { ok, tooNew, tooOld } from "./reason";
import {
  fromOf,
  guessOf,
  hashOf,
  nameToOf,
  reasonOf,
  secondsOf,
  setGuess,
  setHash,
  setReason,
  setSeconds,
  toOf,
  valueOf,
} from "./rows";

/** A row's line does not count: its reason, and where it lies. */
// @ts-ignore: decorator
@external("millrace", "refuse")
declare function refuse(reason: u32, from: usize, to: usize): void;

/** The series of a name that is not known here, or a negative number: then it was refused. */
// @ts-ignore: decorator
@external("millrace", "newName")
declare function newName(tenant: i32, at: usize, length: u32, from: usize, to: usize): i32;

const batchLines: u32 = 256;

let stepSeconds: u32 = 1;
/** Only so that loads that nobody needs are not left out. */
let touched: u64 = 0;

export function configureIngest(step: u32): void {
  stepSeconds = step;
}

/** Lines of [at, to) of a tenant. Times outside [least, most] are refused, `now` stands for none. Answers how many counted. */
export function ingest(at: usize, to: usize, tenant: i32, now: f64, least: f64, most: f64): u32 {
  let counted: u32 = 0;
  let next = at;
  while (next < to) {
    let lines: u32 = 0;
    while (next < to && lines < batchLines) {
      const end = readLine(next, to, false, lines);
      next = isFinished ? end + 1 : to;
      if (!isBlank) lines++;
    }
    look(lines, tenant, now, least, most);
    counted += add(lines, tenant);
  }
  return counted;
}

/** Judges times, hashes names, and touches what `add` will need. */
function look(lines: u32, tenant: i32, now: f64, least: f64, most: f64): void {
  for (let row: u32 = 0; row < lines; row++) {
    if (reasonOf(row) != ok) {
      setGuess(row, 0);
      continue;
    }
    let seconds = secondsOf(row);
    if (seconds != seconds) setSeconds(row, (seconds = now));
    if (seconds > most) setReason(row, tooNew);
    else if (seconds < least) setReason(row, tooOld);
    const from = fromOf(row);
    setHash(row, hashName(tenant, from, <u32>(nameToOf(row) - from)));
  }
  for (let row: u32 = 0; row < lines; row++) if (reasonOf(row) == ok) setGuess(row, guess(hashOf(row)));
  // An entry is mostly longer than the rest of its cache line.
  let sum: u64 = 0;
  for (let row: u32 = 0; row < lines; row++) {
    const entry = <usize>guessOf(row);
    if (entry != 0) sum += load<u64>(entry, 8) + load<u64>(entry, 56);
  }
  for (let row: u32 = 0; row < lines; row++) {
    const entry = <usize>guessOf(row);
    if (entry != 0) sum += load<u64>(cellAt(firstCell(entry)));
  }
  touched = sum;
}

function add(lines: u32, tenant: i32): u32 {
  const step = stepSeconds;
  let counted: u32 = 0;
  for (let row: u32 = 0; row < lines; row++) {
    const reason = reasonOf(row);
    const from = fromOf(row);
    if (reason != ok) {
      refuse(reason, from, toOf(row));
      continue;
    }
    const length = <u32>(nameToOf(row) - from);
    let series = lookUp(hashOf(row), tenant, from, length);
    let entry = found;
    if (series == unknown) {
      // It may add to the table, and reads no other line: rows stay as they are.
      series = newName(tenant, from, length, from, toOf(row));
      if (series < 0) continue;
      entry = entryOf(<u32>series);
    }
    const seconds = <u32>secondsOf(row);
    const bucket = step == 1 ? seconds : seconds - (seconds % step);
    addPointTo(entry, <u32>series, bucket, valueOf(row), seconds);
    counted++;
  }
  return counted;
}
