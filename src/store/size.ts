// What a tenant has in a shard: its living series, what its fragments hold (a row per tenant, kept by the slices of
// upkeep that change them), and what lies in blobs beside them.
//
// Z1. A row of points counts once: in the size row when it lies in a fragment, else as a row of a blob; the upkeep's
//     cursor (work.ts, W1) says which.
// Z2. Rows of series that were deleted don't count while they lie in blobs, and no round takes them up later. What was in
//     fragments already counts until the purge.
// Z3. While a replay is about, its staged pieces are counted in its own row, and count for the tenant from the swap on;
//     old rows that it replaced, and that still lie there, don't any more.
import { assert } from "../base/assert.ts";
import { decodeBlob, firstRowOf, valueAt, type Blob } from "./blob.ts";
import type { View } from "./environment.ts";
import {
  blobPlace,
  blockKey,
  blockOf,
  purgeKey,
  seriesPerBlock,
  sizeKey,
  tableRange,
  tenantKey,
  u32OfKey,
} from "./keys.ts";
import { decodeTenant } from "./names.ts";
import { Generations } from "./replays.ts";
import { replacedPoints } from "./replay-size.ts";
import { count, pack, unpack } from "./rows.ts";
import type { TenantSize } from "./store.ts";
import { passedSeries, type ShardWork } from "./work.ts";

export interface SizeRow {
  /** Keys and values of its pieces. */
  bytes: number;
  /** In the coarsest rungs, which hold every point that is still held. */
  points: number;
  /** Epoch seconds of the oldest and newest bucket; 0: none. */
  oldest: number;
  newest: number;
}

export function encodeSize({ bytes, points, oldest, newest }: SizeRow): Buffer {
  return pack([bytes, points, oldest, newest]);
}

export function decodeSize(value: Uint8Array): SizeRow {
  const what = "a tenant's size row";
  const [bytes, points, oldest, newest] = unpack(value, 4, what);
  return {
    bytes: count(bytes, what),
    points: count(points, what),
    oldest: count(oldest, what),
    newest: count(newest, what),
  };
}

/** What was counted apart. */
export function addSize(to: SizeRow, more: Readonly<SizeRow>): void {
  if (more.points > 0) {
    to.oldest = to.points === 0 ? more.oldest : Math.min(to.oldest, more.oldest);
    to.newest = Math.max(to.newest, more.newest);
  }
  to.bytes += more.bytes;
  to.points += more.points;
}

const pageRows = 1024;
/** Blobs counted before others get a turn. */
const blobsPerTurn = 16;

/** `turn` lets others run. */
export async function sizeOfTenant(
  view: View,
  tenant: string,
  turn: () => Promise<void>,
): Promise<TenantSize> {
  const row = view.get(tenantKey(tenant));
  const { work } = view.work();
  const stored = view.get(sizeKey(tenant));
  const size = stored === undefined ? { bytes: 0, points: 0, oldest: 0, newest: 0 } : decodeSize(stored);
  const generations = work.replay?.tenant === tenant ? Generations.of(view, work) : undefined;
  if (work.replay !== undefined && generations?.swapped === true) {
    addSize(size, work.replay.size);
    size.points = Math.max(0, size.points - (await replacedPoints(view, work, generations, turn)));
  }
  const counting = new Counting(view, work, tenant, size);
  const { start, end } = tableRange("blob");
  let taken = 0;
  for (let from = start; ; ) {
    const keys = view.keys(from, end, pageRows);
    for (const key of keys) {
      counting.add(key);
      if (++taken % blobsPerTurn === 0) await turn();
    }
    const last = keys.at(-1);
    if (keys.length < pageRows || last === undefined) break;
    from = Buffer.concat([last, Buffer.of(0)]);
  }
  const { bytes, points, oldest, newest } = counting.size;
  const series = row === undefined ? 0 : decodeTenant(row).series;
  const none = points === 0;
  return { series, bytes, points, oldest: none ? undefined : oldest, newest: none ? undefined : newest };
}

class Counting {
  readonly #view: View;
  readonly #tenant: string;
  readonly #work: ShardWork;
  readonly size: SizeRow;
  /** By block: whether it is the tenant's. */
  readonly #mine = new Map<number, boolean>();
  /** Series of the tenant's blocks that were deleted. */
  readonly #deleted = new Set<number>();

  constructor(view: View, work: ShardWork, tenant: string, size: SizeRow) {
    this.#view = view;
    this.#tenant = tenant;
    this.#work = work;
    this.size =
      size.points === 0
        ? { bytes: size.bytes, points: 0, oldest: Number.POSITIVE_INFINITY, newest: 0 }
        : size;
  }

  /** Twice over a blob: whose its blocks are is read from the store, and then its own bytes are valid no more. */
  add(key: Buffer): void {
    const passed = passedSeries(this.#work, blobPlace(key).number);
    const unknown: number[] = [];
    for (const { block } of blocksOf(this.#open(key), passed))
      if (!this.#mine.has(block)) unknown.push(block);
    for (const block of unknown) this.#learn(block);
    const blob = this.#open(key);
    for (const { block, from, to } of blocksOf(blob, passed))
      if (this.#mine.get(block) === true) this.#addRows(blob, from, to);
  }

  #open(key: Buffer): Blob {
    const bytes = this.#view.peek(key);
    assert(bytes !== undefined, "a blob whose key is there");
    return decodeBlob(bytes);
  }

  #learn(block: number): void {
    const mine = this.#view.get(blockKey(block))?.toString() === this.#tenant;
    this.#mine.set(block, mine);
    if (!mine) return;
    const first = block * seriesPerBlock;
    for (const key of this.#view.keys(purgeKey(first), purgeKey(first + seriesPerBlock), seriesPerBlock))
      this.#deleted.add(u32OfKey(key));
  }

  #addRows(blob: Blob, from: number, to: number): void {
    const { size } = this;
    for (let row = from; row < to; row++) {
      if (this.#deleted.size > 0 && this.#deleted.has(valueAt(blob.series, row))) continue;
      const bucket = valueAt(blob.bucket, row);
      size.points += valueAt(blob.points, row);
      size.oldest = Math.min(size.oldest, bucket);
      size.newest = Math.max(size.newest, bucket);
    }
  }
}

/** Rows [from, to) of each block, from series `first` on. */
function* blocksOf(blob: Blob, first: number): Generator<{ block: number; from: number; to: number }> {
  for (let from = firstRowOf(blob, first, 0); from < blob.rows; ) {
    const block = blockOf(valueAt(blob.series, from));
    const to = firstRowOf(blob, (block + 1) * seriesPerBlock, from);
    yield { block, from, to };
    from = to;
  }
}
