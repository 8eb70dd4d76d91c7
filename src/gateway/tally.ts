// Counts of one door: accepted lines by shard, refused ones by reason. The cells are kept: lines only add to them.
import type { Cell, Counters } from "../base/counters.ts";
import type { Door } from "../metric/frame.ts";
import type { Reason } from "../metric/reason.ts";

export class Tally {
  readonly #counters: Counters;
  readonly #door: Door;
  readonly #accepted: Cell[] = [];
  readonly #refused = new Map<Reason, Cell>();

  constructor(counters: Counters, door: Door) {
    this.#counters = counters;
    this.#door = door;
  }

  accepted(shard: number, lines: number): void {
    let cell = this.#accepted[shard];
    if (cell === undefined) {
      const labels = { door: this.#door, shard };
      cell = this.#counters.counter("gateway_lines_accepted_total", "Lines accepted", labels);
      this.#accepted[shard] = cell;
    }
    cell.value += lines;
  }

  refused(reason: Reason, lines: number): void {
    let cell = this.#refused.get(reason);
    if (cell === undefined) {
      const labels = { door: this.#door, reason };
      cell = this.#counters.counter("gateway_lines_refused_total", "Lines refused", labels);
      this.#refused.set(reason, cell);
    }
    cell.value += lines;
  }
}
