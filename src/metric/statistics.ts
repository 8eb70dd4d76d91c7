// What sketches say, together with the summary beside them: the outputs of a StatsD timer, as etsy's statsd defines them,
// and how many different values a set had.
//
//   count, count_ps              of the values that were meant: one sampled by 0.1 counts ten times
//   all others                   of the n values that came, as in etsy's statsd
//   sum mean lower upper         exact, from the summary
//   sum_squares std              exact up to rounding
//   median upper_NN              within 0.5 % of the value (of both, where the median is the middle of two)
//   count_NN                     exact: round(NN % of n), and 1 where n is 1
//   sum_NN mean_NN               within 0.5 % of the sizes of the values summed; sum_squares_NN within 1 %
//
// Where values were sampled at different rates, each has its weight among the n: a quantile is one of what was meant.
//
// Q1. Nothing came: undefined. So is an output of the lowest round(NN % of n) values where that is 0.
import { percentileOf } from "./outputs.ts";
import { keyMost, quantileSquare, quantileValue, squaresKey, type Sketch } from "./sketch.ts";

/** Merged over whatever time is asked for. */
export interface TimerSummary {
  /** n. */
  points: number;
  sum: number;
  min: number;
  max: number;
  /** A quantile sketch. */
  sketch: Sketch | undefined;
}

export function timerOutput(output: string, timer: TimerSummary, seconds: number): number | undefined {
  const { points, sum, min, max } = timer;
  if (points === 0) return undefined;
  switch (output) {
    case "count":
      return weightOf(timer);
    case "count_ps":
      return weightOf(timer) / seconds;
    case "lower":
      return min;
    case "upper":
      return max;
    case "sum":
      return sum;
    case "mean":
      return sum / points;
    case "sum_squares":
      return squaresOf(timer);
    case "std":
      return deviation(timer);
    case "median":
      return (valueAt(timer, (points - 1) >> 1) + valueAt(timer, points >> 1)) / 2;
    default:
      return ofPercentile(output, timer);
  }
}

/** Of the lowest values. */
function ofPercentile(output: string, timer: TimerSummary): number | undefined {
  const { points, sum, max } = timer;
  const percentile = percentileOf(output) ?? 0;
  const count = points > 1 ? Math.round((percentile / 100) * points) : 1;
  if (count === 0) return undefined;
  const isAll = count === points;
  if (output.startsWith("count")) return count;
  if (output.startsWith("upper")) return isAll ? max : valueAt(timer, count - 1);
  if (output.startsWith("sum_squares"))
    return isAll ? squaresOf(timer) : sumOfLowest(timer, count, squareOfBin);
  const total = isAll ? sum : sumOfLowest(timer, count, valueOfBin);
  return output.startsWith("mean") ? total / count : total;
}

/** What was meant to come: without a sketch, what came. */
function weightOf({ points, sketch }: TimerSummary): number {
  if (sketch === undefined) return points;
  let weight = 0;
  for (const [i, count] of sketch.counts.entries()) if (sketch.keys[i] !== squaresKey) weight += count;
  return weight;
}

function squaresOf({ sketch }: TimerSummary): number {
  const at = sketch?.keys.lastIndexOf(squaresKey) ?? -1;
  return at < 0 ? 0 : (sketch?.counts[at] ?? 0);
}

function deviation(timer: TimerSummary): number {
  const { points, sum, min, max } = timer;
  // The difference below would be noise.
  if (min === max) return 0;
  const mean = sum / points;
  return Math.sqrt(Math.max(0, squaresOf(timer) / points - mean * mean));
}

/** The value at a place, from 0, of all in their order. */
function valueAt(timer: TimerSummary, place: number): number {
  const { points, sketch, max } = timer;
  if (sketch === undefined) return Number.NaN;
  const each = points / weightOf(timer);
  let before = 0;
  for (const [i, count] of sketch.counts.entries()) {
    const key = sketch.keys[i] ?? 0;
    if (key === squaresKey) continue;
    before += count * each;
    // The middle of the value's place, so that rounding of weights moves nothing.
    if (before >= place + 0.5) return valueOfBin(timer, key);
  }
  return max;
}

function sumOfLowest(
  timer: TimerSummary,
  most: number,
  ofBin: (timer: TimerSummary, key: number) => number,
): number {
  const { points, sketch } = timer;
  if (sketch === undefined) return Number.NaN;
  const each = points / weightOf(timer);
  let left = most;
  let sum = 0;
  for (const [i, count] of sketch.counts.entries()) {
    const key = sketch.keys[i] ?? 0;
    if (key === squaresKey || left <= 0) break;
    const taken = Math.min(left, count * each);
    sum += taken * ofBin(timer, key);
    left -= taken;
  }
  return sum;
}

/** No value lies outside what the summary says, and the outermost bins have no other bound. */
function valueOfBin({ min, max }: TimerSummary, key: number): number {
  if (key === keyMost) return max;
  if (key === -keyMost) return min;
  return Math.min(max, Math.max(min, quantileValue(key)));
}

function squareOfBin(timer: TimerSummary, key: number): number {
  const value = valueOfBin(timer, key);
  return value === quantileValue(key) ? quantileSquare(key) : value * value;
}

const registers = 16_384;
const ranks = 33;

/** How many different values a set sketch has seen: Ertl's estimator, which needs no correction for few or many. */
export function setSize({ counts }: Sketch): number {
  const ofRank = new Float64Array(ranks + 1);
  for (const count of counts) {
    const rank = Math.min(count, ranks);
    ofRank[rank] = (ofRank[rank] ?? 0) + 1;
  }
  ofRank[0] = Math.max(0, registers - counts.length);
  let z = registers * tau(1 - (ofRank[ranks] ?? 0) / registers);
  for (let rank = ranks - 1; rank >= 1; rank--) z = 0.5 * (z + (ofRank[rank] ?? 0));
  z += registers * sigma((ofRank[0] ?? 0) / registers);
  return Math.round((registers * registers) / (2 * Math.LN2 * z));
}

function sigma(empty: number): number {
  if (empty === 1) return Number.POSITIVE_INFINITY;
  let x = empty;
  let y = 1;
  let z = empty;
  for (let before = Number.NaN; before !== z; ) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

function tau(full: number): number {
  if (full === 0 || full === 1) return 0;
  let x = full;
  let y = 1;
  let z = 1 - full;
  for (let before = Number.NaN; before !== z; ) {
    x = Math.sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}
