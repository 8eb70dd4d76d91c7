// Which frames of a shard's record were counted so far, to count on up to a place that its store says.
//
// R1. In a place are the frames up to its offset, without those in gaps, and the first lines of those that it has in part.
// R2. A store only goes forward: what was counted once stays counted. Where it does not, the count is void.
import type { Clock } from "../src/base/clock.ts";
import type { Bus, RecordedFrame } from "../src/bus/bus.ts";
import { readRange } from "../src/bus/read-range.ts";
import { mergeIntervals, withoutIntervals } from "../src/store/intervals.ts";
import type { Interval, ShardState } from "../src/store/store.ts";

/** Counts lines [from, to) of a frame, and what ends with it. `to` undefined: up to its end. */
export type CountLines = (frame: RecordedFrame, from: number, to?: number) => void;

const wholeRecord = { bytesMax: Number.POSITIVE_INFINITY, msMax: 6 * 3600_000 };

export class CountedRecord {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #shard: number;
  readonly #count: CountLines;
  #whole: Interval[] = [];
  /** By sequence: lines of frames that were counted in part. */
  readonly #parts = new Map<number, number>();

  constructor(bus: Bus, clock: Clock, shard: number, count: CountLines) {
    this.#bus = bus;
    this.#clock = clock;
    this.#shard = shard;
    this.#count = count;
  }

  /** false: the place lies behind what was counted (R2). Rejects with an Outage. */
  async upTo({ offset, gaps, parts }: Pick<ShardState, "offset" | "gaps" | "parts">): Promise<boolean> {
    const place = withoutIntervals([[0, offset]], gaps);
    if (withoutIntervals(this.#whole, place).length > 0) return false;
    for (const [from, to] of withoutIntervals(place, this.#whole)) {
      const read = await readRange(this.#bus, this.#clock, this.#shard, from, to, wholeRecord, (frame) =>
        this.#count(frame, this.#parts.get(frame.sequence) ?? 0),
      );
      if (read < to) return false;
    }
    this.#whole = mergeIntervals(this.#whole, place);
    for (const { sequence, lines } of parts) {
      const before = this.#parts.get(sequence) ?? 0;
      if (lines < before) return false;
      const frame = lines > before ? await this.#bus.frameAt(this.#shard, sequence) : undefined;
      if (frame !== undefined) this.#count(frame, before, lines);
      this.#parts.set(sequence, lines);
    }
    return true;
  }
}
