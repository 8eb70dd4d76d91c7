// The points of the store's benches: columns as a shard's actor commits them, each series once per step, in the order
// in which they would arrive. The same options give the same points.
//
// Every series has its own second within the step and its own fraction of that second; the door sees a point up to
// 0.3 s later, in frames of 50 ms. A third of the series are gauges of two decimals, a third integer counters, a third
// random doubles; or all are random doubles, which no encoding can make smaller.
import { newSeriesFlag, type DeltaColumns, type SeriesKey } from "../src/store/store.ts";

export const valueKinds = ["mixed", "random"] as const;
export type ValueKind = (typeof valueKinds)[number];

const frameMs = 50;
const delayMsMost = 300;

/** xorshift32: a multiplication would cost more than the points themselves. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }
}

/** The series of a shard: stored ids by local number, and what their next values depend on. */
export class SeriesSet {
  /** 0: not stored yet. */
  readonly ids: Uint32Array;
  readonly #keyOf: (local: number) => SeriesKey;
  readonly #values: ValueKind;
  readonly #chance: Chance;
  readonly #state: Float64Array;
  #fresh: number[] = [];

  constructor(count: number, keyOf: (local: number) => SeriesKey, values: ValueKind, seed: number) {
    this.ids = new Uint32Array(count);
    this.#keyOf = keyOf;
    this.#values = values;
    this.#chance = new Chance(seed);
    this.#state = new Float64Array(count);
    for (let i = 0; i < count; i++) this.#state[i] = Math.floor(this.chance() * 1e6);
  }

  chance(): number {
    return this.#chance.next();
  }

  /** What a commit says for the series: its id, or which of the new ones it is. */
  said(local: number): number {
    const id = this.ids[local] ?? 0;
    if (id !== 0) return id;
    const said = newSeriesFlag + this.#fresh.length;
    this.#fresh.push(local);
    this.ids[local] = said;
    return said;
  }

  /** What the next commit has to name. */
  newSeries(): SeriesKey[] {
    return this.#fresh.map((local) => this.#keyOf(local));
  }

  /** The answer to `newSeries`. */
  named(ids: Uint32Array): void {
    for (const [at, local] of this.#fresh.entries()) this.ids[local] = ids[at] ?? 0;
    this.#fresh = [];
  }

  value(local: number): number {
    const chance = this.chance();
    const kind = this.#values === "random" ? 2 : local % 3;
    // A fresh 53 bit fraction: one draw has only 32.
    if (kind === 2) return chance + this.chance() / 2 ** 21;
    const before = this.#state[local] ?? 0;
    if (kind === 1) {
      const counter = before + Math.floor(chance * 1000);
      this.#state[local] = counter;
      return counter;
    }
    const gauge = Math.abs(before + Math.round((chance - 0.5) * 400));
    this.#state[local] = gauge;
    return gauge / 100;
  }
}

export interface Flow {
  set: SeriesSet;
  /** Local numbers 0 to count - 1 send. */
  count: number;
  stepSeconds: number;
  startSeconds: number;
  /** Part of the points that come late, by up to so much. */
  late?: { share: number; secondsMost: number };
}

export interface Rows {
  deltas: DeltaColumns;
  /** The newest frame's. */
  receivedAtMs: number;
}

/** A place in time and, within its second, in the series. */
export class Stream {
  readonly #flow: Flow;
  /** Locals by their second within the step, and where each second begins. */
  readonly #order: Uint32Array;
  readonly #begin: Uint32Array;
  /** The present second. */
  seconds: number;
  #within = 0;

  constructor(flow: Flow) {
    const { count, stepSeconds } = flow;
    this.#flow = flow;
    this.seconds = flow.startSeconds;
    this.#begin = new Uint32Array(stepSeconds + 1);
    this.#order = new Uint32Array(count);
    const phaseOf = (local: number) => (Math.imul(local, 0x9e3779b1) >>> 8) % stepSeconds;
    for (let i = 0; i < count; i++) this.#begin[phaseOf(i) + 1]!++;
    for (let i = 0; i < stepSeconds; i++) this.#begin[i + 1]! += this.#begin[i]!;
    const next = this.#begin.slice();
    for (let i = 0; i < count; i++) this.#order[next[phaseOf(i)]!++] = i;
  }

  /** The next rows, at most `most`, before `untilSeconds`. */
  next(most: number, untilSeconds: number): Rows {
    const { set, stepSeconds, late } = this.#flow;
    const series = new Uint32Array(most);
    const bucket = new Uint32Array(most);
    const value = new Float64Array(most);
    const received = new Float64Array(most);
    let count = 0;
    let newest = 0;
    while (count < most && this.seconds < untilSeconds) {
      const second = this.seconds % stepSeconds;
      const end = this.#begin[second + 1]!;
      for (let at = this.#begin[second]! + this.#within; at < end && count < most; at++) {
        const local = this.#order[at]!;
        const isLate = late !== undefined && set.chance() < late.share;
        const behind = isLate ? Math.floor(set.chance() * late.secondsMost) : 0;
        const fraction = (Math.imul(local, 40503) >>> 6) % 1000;
        const arrived = this.seconds * 1000 + fraction + set.chance() * delayMsMost;
        const receivedAtMs = Math.ceil(arrived / frameMs) * frameMs;
        series[count] = set.said(local);
        bucket[count] = this.seconds - behind;
        value[count] = set.value(local);
        received[count] = receivedAtMs;
        if (receivedAtMs > newest) newest = receivedAtMs;
        count++;
        this.#within++;
      }
      if (this.#begin[second]! + this.#within < end) break;
      this.#within = 0;
      this.seconds++;
    }
    const rows = bucket.subarray(0, count);
    const values = value.subarray(0, count);
    return {
      receivedAtMs: newest,
      deltas: {
        count,
        series: series.subarray(0, count),
        bucket: rows,
        points: new Uint32Array(count).fill(1),
        sum: values,
        min: values,
        max: values,
        last: values,
        lastSeconds: rows,
        lastReceivedAtMs: received.subarray(0, count),
      },
    };
  }
}

/** CPU seconds that a million points cost before any store sees them: what the benches take off. */
export function loadCpuSeconds(values: ValueKind): number {
  const key = { tenant: "t", name: new Uint8Array(1) };
  const set = new SeriesSet(25_000, () => key, values, 1);
  set.named(Uint32Array.from(set.ids, (_, i) => i + 1));
  set.ids.forEach((_, i) => (set.ids[i] = i + 1));
  const stream = new Stream({ set, count: 25_000, stepSeconds: 10, startSeconds: 1_790_000_000 });
  const rows = 100_000;
  const rounds = 20;
  // Compiled first.
  for (let i = 0; i < rounds; i++) stream.next(rows, Number.POSITIVE_INFINITY);
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i++) stream.next(rows, Number.POSITIVE_INFINITY);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / rounds / rows;
}
