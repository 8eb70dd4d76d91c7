// What happens in a random life (store-random.ts): times, points, commits, ladders.
//
// V1. Values are multiples of 1/8, so no order of adding makes a difference.
// V2. Time of the record only goes on.
import type { Random } from "../../src/base/random.ts";
import {
  newSeriesFlag,
  type Commit,
  type GaugeChange,
  type Lane,
  type ShardState,
} from "../../src/store/store.ts";
import type { Pair, Range } from "./store-compare.ts";
import { difference } from "./store-gauges.ts";
import { columns, commitOf, key, type RowInput } from "./store-helpers.ts";
import { sketchOf } from "./store-sketches.ts";
import { day, hour, t0 } from "./store-life.ts";

export const standard = "10s:1h,60s:1d,600s:7d";
const palette = [
  "7s:100s,49s:1000s,490s:20000s",
  "1s:60s",
  "1s:1h",
  "60s:2h",
  "5s:10m,30s:2h",
  "20s:400s,100s:3000s",
  "13s:130s,39s:1300s,78s:13000s",
  "2s:50s,4s:60s,8s:70s,24s:80s,48s:5000s",
  standard,
];
export const tenants = ["t1", "t2", "t3"];
export const prefixes = ["a", "b", "c"];
/** Of patterns that name what is deleted. */
export const endings = [
  "s1*",
  "s{2,3,7}",
  "s5",
  "s?;*",
  "s9;k=v",
  "s?.m*",
  "s1?.{sum_5,rate}",
  "s[3-6].count;*",
];

export class Chance {
  readonly random: Random;
  now = t0;
  newestBucket = t0;
  /** Some of the times that points have had. */
  readonly times: number[] = [t0];

  constructor(random: Random) {
    this.random = random;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }

  /** Ladders by pattern; other names have the standard one. */
  ladders(): Record<string, string> {
    const ladders: Record<string, string> = {};
    for (const prefix of prefixes) if (this.random.below(3) > 0) ladders[`^${prefix}`] = this.pick(palette);
    return ladders;
  }

  jump(): void {
    this.now += this.random.below(this.pick([600, 600, hour, 6 * hour, 2 * day, 12 * day]));
  }

  skip(offset: number): {
    to: number;
    at: { incarnation: string; frameTimeMs: number; receivedAtMs: number };
  } {
    const to = offset + 1 + this.random.below(12);
    return { to, at: { incarnation: "i1", frameTimeMs: to, receivedAtMs: this.now * 1000 } };
  }

  /** Where a commit of one lane or the other begins. */
  #lane({ offset, gaps }: Pick<ShardState, "offset" | "gaps">): { offset: number; lane: Lane } {
    const [first] = this.random.below(2) === 0 ? this.pick([...gaps, []]) : [];
    return first === undefined ? { offset, lane: "live" } : { offset: first - 1, lane: "fill" };
  }

  range(stepSeconds: number, around: number, width: number): Range {
    const first = Math.max(0, around - this.random.below(width) * stepSeconds);
    return { start: first - (first % stepSeconds), stepSeconds, width };
  }

  #someTime(): number {
    const back = this.pick([20, 20, 20, 20, 120, 600, 4000, hour * 5, day, 9 * day, 40 * day]);
    if (this.random.below(40) === 0) return this.now + this.random.below(hour);
    return this.now - this.random.below(back);
  }

  #row(): Omit<RowInput, "series" | "fresh"> {
    const bucket = this.#someTime();
    this.newestBucket = Math.max(this.newestBucket, bucket);
    if (this.random.below(10) === 0) this.times.push(bucket);
    const value = () => (this.random.below(12) === 0 ? -0 : (this.random.below(2000) - 800) / 8); // V1
    return {
      bucket,
      points: 1 + this.random.below(this.random.below(30) === 0 ? 100_000 : 3),
      sum: value(),
      min: value(),
      max: value(),
      last: value(),
      lastSeconds: bucket,
      lastReceivedAtMs: this.now * 1000 + this.random.below(3),
    };
  }

  /** Kinds don't mix within a series. */
  #sketches(names: readonly string[]): Map<number, Uint8Array> {
    const { random } = this;
    const out = new Map<number, Uint8Array>();
    const share = this.pick([1, 8, 100]);
    for (const [row, name] of names.entries()) {
      if (random.below(share) > 0) continue;
      const kind = name.length % 2 === 0 ? "quantile" : "set";
      const counts: Record<number, number> = {};
      for (let n = random.below(5); n >= 0; n--)
        counts[random.below(30) - 10] = (1 + random.below(40)) / (kind === "set" ? 1 : 8); // V1
      out.set(row, random.below(60) === 0 ? random.bytes(random.below(9)) : sketchOf(counts, kind));
    }
    return out;
  }

  #gauge(series: number): GaugeChange {
    const { random } = this;
    const value = () => (random.below(800) - 400) / 8;
    const buckets = new Set(Array.from({ length: random.below(4) }, () => this.#someTime()));
    for (const bucket of buckets) this.newestBucket = Math.max(this.newestBucket, bucket);
    const relative = Array.from(buckets, (bucket) =>
      difference(bucket, value(), { points: 1 + random.below(3), lastReceivedAtMs: this.now * 1000 }),
    );
    return { series, relative, value: value(), isRelative: random.below(3) > 0 };
  }

  /** The same commit with either engine's ids. */
  commit(
    state: ShardState,
    pairs: readonly Pair[],
  ): { lane: Lane; tested: Commit; memory: Commit; rows: RowInput[] } {
    const { random } = this;
    const { offset, lane } = this.#lane(state);
    this.now += random.below(this.pick([1, 10, 60]));
    const newSeries = Array.from({ length: random.below(6) }, () => {
      const tag = random.below(6) === 0 ? ";k=v" : "";
      const node =
        random.below(4) === 0 ? this.pick([".\u0001t", ".\u0001c", ".\u0001s", ".rate", ".mean"]) : "";
      return key(`${this.pick(prefixes)}.s${random.below(24)}${node}${tag}`, this.pick(tenants));
    });
    const rows = newSeries.map((_, series): RowInput => ({ ...this.#row(), series, fresh: true }));
    const memoryRows = [...rows];
    const names = newSeries.map(({ name }) => Buffer.from(name).toString());
    for (let n = random.below(random.below(4) === 0 ? 200 : 30); n > 0 && pairs.length > 0; n--) {
      const { tested, memory, name } = this.pick(pairs);
      names.push(name);
      const row = this.#row();
      rows.push({ ...row, series: tested });
      memoryRows.push({ ...row, series: memory });
    }
    const sketches = this.#sketches(names);
    const gauges = new Map<number, GaugeChange>();
    const memoryGauges = new Map<number, GaugeChange>();
    const known = pairs.map((pair): [tested: number, memory: number] => [pair.tested, pair.memory]);
    const gaugeRows: RowInput[] = [];
    const fresh: [tested: number, memory: number][] =
      newSeries.length > 0 ? [[newSeriesFlag, newSeriesFlag]] : [];
    const all = [...fresh, ...known];
    for (let n = random.below(4) === 0 ? 1 + random.below(4) : 0; n > 0 && all.length > 0; n--) {
      const [tested, memory] = this.pick(all);
      if (gauges.has(tested)) continue;
      const change = this.#gauge(tested);
      gauges.set(tested, change);
      memoryGauges.set(tested, { ...change, series: memory });
      for (const { bucket } of change.relative)
        gaugeRows.push(
          tested >= newSeriesFlag
            ? { series: tested - newSeriesFlag, fresh: true, bucket }
            : { series: tested, bucket },
        );
    }
    const wrong = random.below(30);
    const from = offset + (wrong === 0 ? 1 : 0);
    const more: Partial<Commit> = {
      lane,
      receivedAtMs: this.now * 1000 + random.below(1000),
      newSeries,
      boots: Array.from({ length: random.below(2) }, () => ({
        boot: `0${random.below(3)}`,
        applied: [[from + 1, from + 1]],
        lastAppliedMs: this.now * 1000,
      })),
      ledger: Array.from({ length: random.below(2) }, () => ({
        tenant: this.pick(tenants),
        door: "tcp",
        minute: this.now - (this.now % 60),
        fate: "stored",
        reason: "",
        count: random.below(19) - 9,
      })),
      dead: Array.from({ length: random.below(5) === 0 ? 1 + random.below(3) : 0 }, (_, part) => ({
        sequence: from + 1,
        part,
        tenant: this.pick(tenants),
        door: "tcp",
        reason: this.pick(["poison", "quarantined", "corrupt-frame"]),
        detail: "",
        receivedAtMs: this.now * 1000,
        kind: "plaintext",
        lines: 1 + random.below(3),
        bytes: random.bytes(random.below(20)),
      })),
    };
    const epoch = state.epoch - (wrong === 1 ? 1 : 0);
    const to = from + 1 + random.below(3);
    return {
      lane,
      rows: [...rows, ...gaugeRows],
      tested: commitOf(epoch, from, to, {
        ...more,
        deltas: { ...columns(rows), sketches },
        gauges: [...gauges.values()],
      }),
      memory: commitOf(epoch, from, to, {
        ...more,
        deltas: { ...columns(memoryRows), sketches },
        gauges: [...memoryGauges.values()],
      }),
    };
  }
}
