// Histories of an aggregator, and two aggregators that live through the same one: what they answer is compared at each
// step, to the byte and to the bit.
import assert from "node:assert/strict";
import type { Random } from "../../src/base/random.ts";
import type { Aggregator, Deltas } from "../../src/kernel/kernel.ts";
import { reasons } from "../../src/metric/reason.ts";
import { latin1, pick, utf8 } from "./fuzzer.ts";
import { lineText, nameText } from "./line-text.ts";
import { numberText } from "./number-text.ts";
import { statsdText } from "./statsd.ts";

export interface History {
  /** Sections come from now on, epoch milliseconds. */
  nowMs: number;
  /** Names that senders in step use again and again. */
  readonly names: readonly string[];
  readonly tenants: readonly [number, ...number[]];
}

export function randomHistory(random: Random): History {
  const count = pick(random, [1, 10, 200]);
  return {
    nowMs: 1_790_000_000_000 + random.below(100_000),
    names: Array.from({ length: count }, () => anyName(random)),
    tenants: pick(random, [[7], [0, 1], [-1, 2 ** 31 - 1, -(2 ** 31), 5]] as [number, ...number[]][] as [
      [number, ...number[]],
    ]),
  };
}

/** From one byte to what is too long, in one node or many, ASCII or not, plain or tagged. */
function anyName(random: Random): string {
  if (random.below(3) === 0) return nameText(random);
  const bytes = pick(
    random,
    [1, 3, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 300, 998, 999, 1000, 1001, 4000],
  );
  const node = pick(random, ["a", "cpu0", "web-01", utf8("日本"), utf8("é")]);
  let name = `${random.below(1000)}`;
  while (name.length < bytes) name += random.below(4) === 0 ? `.${node}` : node;
  // Cut within a character it is no UTF-8.
  return name.slice(0, bytes);
}

/** Another way to write a name, or the same. */
function respelled(random: Random, name: string): string {
  switch (random.below(8)) {
    case 0:
      return `.${name}`;
    case 1:
      return `${name}${".".repeat(1 + random.below(3))}`;
    case 2:
      return name.replace(".", pick(random, ["..", "..."]));
    case 3:
      return `${name};${pick(random, ["b=1;a=2", "a=2;b=1", "a=3;b=1;a=2", "a=2;b=1;name=x"])}`;
    default:
      return name;
  }
}

export function plaintextSection(random: Random, history: History, linesMost: number): string {
  const now = Math.floor(history.nowMs / 1000);
  const oddity = pick(random, [0, 0.02, 0.3]);
  const spread = pick(random, [1, 1, 30, 4000, 200_000]);
  let text = "";
  for (let i = random.below(linesMost); i > 0; i--) {
    const odd = random.next() < oddity;
    if (odd && random.below(2) === 0) text += lineText(random, now);
    else {
      let name = history.names[random.below(history.names.length)] ?? "x";
      if (odd) name = random.below(2) === 0 ? anyName(random) : respelled(random, name);
      const value = pick(random, ["1", "-0", "0", "2.5", "1e300", "-7", numberText(random)]);
      text += `${name} ${value}`;
      if (random.below(10) > 0) {
        const late = random.below(20) === 0 ? random.below(100_000) : random.below(spread);
        text += ` ${random.below(50) === 0 ? now + 3595 + random.below(10) : now - late}`;
      }
    }
    text += i > 1 || random.below(2) === 0 ? "\n" : "";
  }
  return text;
}

export function statsdSection(random: Random, linesMost: number): string {
  return Array.from({ length: random.below(linesMost) }, () => {
    if (random.below(2) === 0) return statsdText(random);
    const name = pick(random, ["a", "b.c", "x;k=v", "web.time"]);
    return `${name}:${pick(random, ["1", "+2", "-3", "7.5", "u1", "u2"])}|${pick(random, ["c", "g", "ms", "s"])}`;
  }).join("\n");
}

/** Some lines larger than what the kernel takes at once, and so many of them that it takes them in several pieces. */
export function largeSection(random: Random, history: History): string {
  let text = "";
  while (text.length < 600_000) {
    text += plaintextSection(random, history, 500);
    if (random.below(3) === 0) text += pick(random, ["x", " ", "y "]).repeat(random.below(400_000));
    if (random.below(3) > 0) text += "\n";
  }
  return text;
}

/** Receive times that no frame should have. */
export const oddMoments = [0, 999, 1000, -5000, 2 ** 32 * 1000 - 1, 2 ** 32 * 1000, 2 ** 53 - 1] as const;

type Told = [what: string, line: string, offset: number];

/** Two aggregators that must not differ in anything. */
export class Twins {
  readonly #one: Aggregator;
  readonly #other: Aggregator;
  readonly #told: [Told[], Told[]] = [[], []];
  #deniedShare = 0;
  /** The last commit of the second one, as it was and as its views show it. */
  #kept: { before: string; deltas: Deltas } | undefined;

  constructor(one: Aggregator, other: Aggregator) {
    this.#one = one;
    this.#other = other;
    for (const [i, aggregator] of [one, other].entries())
      aggregator.admitBy((tenant, name, series) => {
        const text = latin1(name);
        const isDenied = text.charCodeAt(text.length >> 1) % 16 < this.#deniedShare * 16;
        this.#told[i]?.push([`admit ${tenant} ${series} ${isDenied}`, text, 0]);
        return !isDenied;
      });
  }

  /** From now on so many of all names may not become series. */
  deny(share: number): void {
    this.#deniedShare = share;
  }

  get seriesCount(): number {
    return this.#other.seriesCount;
  }

  forget(series: number): void {
    this.#one.forget(series);
    this.#other.forget(series);
  }

  /** Answers how many lines counted. */
  ingest(kind: "plaintext" | "statsd", tenant: number, text: string, receivedAtMs: number): number {
    // Within a larger buffer, as the sections of a frame are.
    const lines = Buffer.from(`frame${text}frame`, "latin1").subarray(5, 5 + text.length);
    const [counted = -1, same] = [this.#one, this.#other].map((aggregator, i) => {
      const told = this.#told[i] ?? [];
      told.length = 0;
      const refuse = (reason: number, line: Uint8Array) => {
        assert.equal(line.buffer, lines.buffer, "a refused line is a view of the section");
        told.push([
          reasons[reason] ?? `reason ${reason}`,
          latin1(line.subarray(0, 2000)),
          line.byteOffset - lines.byteOffset,
        ]);
        assert.ok(line.byteOffset - lines.byteOffset + line.length <= lines.length);
      };
      return kind === "statsd"
        ? aggregator.ingestStatsd(tenant, lines, receivedAtMs, refuse)
        : aggregator.ingest(tenant, lines, receivedAtMs, refuse);
    });
    assert.deepEqual(this.#told[1], this.#told[0], "refusals and questions, in their order");
    assert.equal(same, counted, "lines that counted");
    assert.equal(this.#other.seriesCount, this.#one.seriesCount, "series");
    assert.equal(this.#other.openRows, this.#one.openRows, "open rows");
    return counted;
  }

  /** Answers the points in it. */
  commit(): number {
    if (this.#kept !== undefined)
      assert.equal(
        shown(this.#other, this.#kept.deltas),
        this.#kept.before,
        "columns stay until the next commit",
      );
    const one = this.#one.commit();
    const other = this.#other.commit();
    const text = shown(this.#other, other);
    assert.equal(text, shown(this.#one, one));
    this.#kept = { before: text, deltas: other };
    return one.points.reduce((sum, points) => sum + points, 0);
  }

  /** Tenants and names by local number. */
  compareNames(): void {
    for (let series = 0; series < this.#one.seriesCount; series++) {
      assert.equal(this.#other.seriesTenant(series), this.#one.seriesTenant(series));
      assert.equal(latin1(this.#other.seriesName(series)), latin1(this.#one.seriesName(series)));
    }
  }
}

/** Told apart to the bit, but for NaN. */
function exact(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** A commit as a text, in an order of its own: rows may come in any. */
function shown(aggregator: Aggregator, deltas: Deltas): string {
  const rows = Array.from({ length: deltas.count }, (_, i) => {
    const { series, bucket, points, sum, min, max, last, lastSeconds, lastReceivedAtMs } = deltas;
    const values = [sum, min, max, last, lastReceivedAtMs].map((column) => exact(column[i] ?? 0)).join(" ");
    const sketch = deltas.sketches?.get(i);
    const bytes = sketch === undefined ? "" : Buffer.from(sketch).toString("hex");
    return `${series[i]} ${bucket[i]} ${points[i]} ${values} ${lastSeconds[i]} ${bytes}`;
  });
  assert.equal(deltas.series.length, deltas.count);
  assert.ok(deltas.series.every((series) => series < aggregator.seriesCount));
  const gauges = (deltas.gauges ?? []).map((gauge) => JSON.stringify(gauge));
  return [...rows.toSorted(), ...gauges].join("\n");
}
