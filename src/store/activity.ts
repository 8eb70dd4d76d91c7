// From which day on nothing is left of a series (keys.ts: activity): noted by rounds, asked by retire.ts.
import { activityKey, idsPerChunk } from "./keys.ts";
import type { Slice } from "./slice.ts";

/** The rows of a slice. Written only where a day changes. */
export class Activity {
  readonly #slice: Slice;
  readonly #chunks = new Map<number, { row: Buffer; changed: boolean }>();

  constructor(slice: Slice) {
    this.#slice = slice;
  }

  note(series: number, day: number): void {
    const chunk = Math.floor(series / idsPerChunk);
    let known = this.#chunks.get(chunk);
    if (known === undefined) {
      const stored = this.#slice.view.get(activityKey(chunk));
      known = { row: stored ?? Buffer.alloc(2 * idsPerChunk), changed: false };
      this.#chunks.set(chunk, known);
    }
    const at = 2 * (series % idsPerChunk);
    const noted = Math.min(day, 0xffff);
    if (known.row.readUInt16LE(at) >= noted) return;
    known.row.writeUInt16LE(noted, at);
    known.changed = true;
  }

  finish(): void {
    for (const [chunk, { row, changed }] of this.#chunks)
      if (changed) this.#slice.put(activityKey(chunk), row);
  }
}
