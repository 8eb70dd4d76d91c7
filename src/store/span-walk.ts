// Which blocks of series a tenant has, and a walk over some blocks of all spans in slices: how upkeep takes rows out of
// pieces.
import type { View } from "./environment.ts";
import { blockKey, spanPlace, tableRange, u32OfKey, type SpanPlace } from "./keys.ts";
import type { SliceBounds } from "./round.ts";
import type { Slice } from "./slice.ts";

const pageRows = 4096;
/** Looks for a piece in a slice. */
const looksPerSlice = 2000;

/** Ascending. At most `most`, where somebody waits. */
export function blocksOf(
  view: Pick<View, "range">,
  tenant: string,
  most = Number.POSITIVE_INFINITY,
): number[] {
  const { end } = tableRange("block");
  const out: number[] = [];
  for (let from = 0; out.length < most; ) {
    const page = view.range(blockKey(from), end, pageRows);
    for (const { key, value } of page) if (value.toString() === tenant) out.push(u32OfKey(key));
    const last = page.at(-1);
    if (page.length < pageRows || last === undefined) break;
    from = u32OfKey(last.key) + 1;
  }
  return out;
}

/** Where it is lies in memory: doing a part twice changes nothing. */
export class SpanWalk {
  readonly #blocks: readonly number[];
  /** The spans from this key on are not done; of the first of them, `#current`, the blocks before `#at` are. */
  #span = tableRange("span").start;
  #current: Buffer | undefined;
  #at = 0;

  constructor(blocks: readonly number[]) {
    this.#blocks = blocks;
  }

  /** Goes on for a slice; `piecesOf` says which pieces of a span to visit. true: it came to the end. */
  plan(
    slice: Slice,
    bounds: SliceBounds,
    piecesOf: (place: SpanPlace) => readonly number[],
    visit: (place: SpanPlace, block: number, piece: number) => void,
  ): boolean {
    const { view } = slice;
    const { end } = tableRange("span");
    let looked = 0;
    for (;;) {
      const [key] = view.keys(this.#span, end, 1);
      if (key === undefined) return true;
      // Between two slices retention may have taken the span, or a round brought one before it.
      if (this.#current?.equals(key) !== true) this.#at = 0;
      this.#current = key;
      const place = spanPlace(key);
      const pieces = piecesOf(place);
      const blocks = pieces.length === 0 ? 0 : this.#blocks.length;
      for (; this.#at < blocks; this.#at++) {
        if (looked > looksPerSlice || slice.bytes >= bounds.sliceBytes || slice.puts >= bounds.slicePuts)
          return false;
        looked += pieces.length;
        for (const piece of pieces) visit(place, this.#blocks[this.#at] as number, piece);
      }
      if (++looked > looksPerSlice) return false;
      this.#span = Buffer.concat([key, Buffer.of(0)]);
    }
  }
}
