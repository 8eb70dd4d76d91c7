// A blob's rows one after the other, through a window of plain columns: each column is widened in one tight loop for
// its own type, so that who walks the rows reads from the same few types of array whatever the blob's widths are.
import { firstRowOf, type Blob, type Column } from "./blob.ts";

const windowRows = 512;
/** Of which a loop costs less than a view. */
const fewRows = 32;

export class BlobRows {
  readonly #blob: Blob;
  /** Row of the blob that the window ends before. */
  #loaded: number;
  /** Row of the window that is next; there is one iff at < count. */
  at = 0;
  count = 0;
  readonly series = new Uint32Array(windowRows);
  readonly bucket = new Uint32Array(windowRows);
  readonly points = new Float64Array(windowRows);
  readonly sum = new Float64Array(windowRows);
  readonly min = new Float64Array(windowRows);
  readonly max = new Float64Array(windowRows);
  readonly last = new Float64Array(windowRows);
  readonly lastAfterBucket = new Float64Array(windowRows);
  readonly lastReceivedAtMs = new Float64Array(windowRows);

  constructor(blob: Blob) {
    this.#blob = blob;
    this.#loaded = 0;
    this.#load();
  }

  /** To the first row whose series is at least `series`. */
  seek(series: number): void {
    this.#loaded = firstRowOf(this.#blob, series, 0);
    this.#load();
  }

  /** Call when at === count: the next window, if there are rows left. */
  more(): boolean {
    this.#load();
    return this.count > 0;
  }

  #load(): void {
    const blob = this.#blob;
    const from = this.#loaded;
    const count = Math.min(windowRows, blob.rows - from);
    this.at = 0;
    this.count = count;
    this.#loaded = from + count;
    if (count === 0) return;
    fill(this.series, blob.series, from, count);
    fill(this.bucket, blob.bucket, from, count);
    fill(this.points, blob.points, from, count);
    fill(this.sum, blob.sum, from, count);
    // A column that equals another one is the same object (blob.ts, V2).
    if (blob.min === blob.sum) this.min.set(this.sum);
    else fill(this.min, blob.min, from, count);
    if (blob.max === blob.sum) this.max.set(this.sum);
    else fill(this.max, blob.max, from, count);
    if (blob.last === blob.sum) this.last.set(this.sum);
    else fill(this.last, blob.last, from, count);
    fill(this.lastAfterBucket, blob.lastAfterBucket, from, count);
    fill(this.lastReceivedAtMs, blob.lastReceivedAtMs, from, count);
  }
}

/** Rows [from, from + count) of a column. */
export function fill(
  out: Uint32Array | Float64Array,
  { base, values }: Column,
  from: number,
  count: number,
): void {
  if (values === undefined) out.fill(base, 0, count);
  else if (values instanceof Float64Array) {
    if (count > fewRows) out.set(values.subarray(from, from + count));
    else for (let i = 0; i < count; i++) out[i] = values[from + i] as number;
  } else if (values instanceof Uint8Array)
    for (let i = 0; i < count; i++) out[i] = base + (values[from + i] as number);
  else if (values instanceof Uint16Array)
    for (let i = 0; i < count; i++) out[i] = base + (values[from + i] as number);
  else for (let i = 0; i < count; i++) out[i] = base + (values[from + i] as number);
}
