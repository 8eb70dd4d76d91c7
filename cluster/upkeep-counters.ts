// What upkeep says of itself on /metrics.
import type { Cell, Counters } from "../src/base/counters.ts";
import type { OutageCode } from "../src/base/errors.ts";
import type { UpkeepDone, UpkeepWork } from "../workers/messages.ts";

export class UpkeepCounters {
  readonly #counters: Counters;
  readonly seconds: Cell;
  readonly overtaken: Cell;
  readonly bugs: Cell;

  constructor(counters: Counters) {
    this.#counters = counters;
    this.seconds = counters.counter("upkeep_seconds_total", "Time that upkeep has taken, all threads");
    this.overtaken = counters.counter(
      "upkeep_overtaken_total",
      "Slices thrown away because another owner of the shard was quicker",
    );
    this.bugs = counters.counter("upkeep_bugs_total", "Slices that ended with a bug or with their thread");
  }

  did(done: Partial<Record<UpkeepWork, UpkeepDone>>): void {
    for (const [work, { steps, rows, bytes }] of Object.entries(done)) {
      const count = (name: string, help: string) => this.#counters.counter(name, help, { work });
      count("upkeep_steps_total", "Steps of upkeep").value += steps;
      count("upkeep_rows_total", "Rows that upkeep has read").value += rows;
      count("upkeep_written_bytes_total", "Bytes that upkeep has written").value += bytes;
    }
  }

  outage(code: OutageCode): void {
    const help = "Slices of upkeep that ended with an outage of the store";
    this.#counters.counter("upkeep_outages_total", help, { code }).value += 1;
  }

  backlog(shard: number): Cell {
    const help = "Bytes of commits that are not in fragments yet";
    return this.#counters.gauge("upkeep_backlog_bytes", help, { shard });
  }

  /** The shard is no business of this node any more. */
  gone(shard: number): void {
    this.backlog(shard).value = 0;
  }
}
