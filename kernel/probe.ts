// Single lines and numbers, for tests: what other functions read is read here alone.
import { isBlank, isFinished, readLine } from "./line";
import { number, readNumber } from "./number";

/** Into the first row; answers the line's end. */
export function probeLine(at: usize, to: usize, isKeyed: bool): usize {
  return readLine(at, to, isKeyed, 0);
}

/** Of the last line: 1 blank, 2 finished. */
export function probeFlags(): u32 {
  return <u32>isBlank | (<u32>isFinished << 1);
}

/** Answers a code. */
export function probeNumber(from: usize, to: usize): i32 {
  return readNumber(from, to);
}

export function probedNumber(): f64 {
  return number;
}
