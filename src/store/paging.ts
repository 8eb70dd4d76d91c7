// Ranges of rows, whatever their number: page by page, each page a bounded read.
import type { Rows } from "./names.ts";

const pageRows = 1024;

/** All rows of the range. */
export function* rowsOf(
  rows: Rows,
  { start, end }: { start: Buffer; end: Buffer },
): Generator<{ key: Buffer; value: Buffer }> {
  for (let from = start; ; ) {
    const page = rows.range(from, end, pageRows);
    yield* page;
    const last = page.at(-1);
    if (page.length < pageRows || last === undefined) return;
    from = justAfter(last.key);
  }
}

/** The smallest key above this one. */
export function justAfter(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}
