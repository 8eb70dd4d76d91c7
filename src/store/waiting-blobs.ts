// The blobs that wait for a round: how many bytes they are, and how many of them the next one takes up.
import type { View } from "./environment.ts";
import { blobPlace, stagedPlace, tableRange } from "./keys.ts";

export interface WaitingBlob {
  key: Buffer;
  /** In the order in which rounds take them. */
  number: number;
  bytes: number;
  /** Of staged ones not known. */
  minBucket: number;
  maxBucket: number;
}

export interface WaitingBlobs {
  list: WaitingBlob[];
  /** Bytes of all. */
  total: number;
}

/** What is kept from one look to the next is a cache: sizes by key. */
export class BlobLists {
  #sizes = new Map<string, number>();

  clear(): void {
    this.#sizes.clear();
  }

  /** `orphans`: staged blobs of other replays than this one. */
  of(
    view: View,
    replay: number | undefined,
  ): { blobs: WaitingBlobs; staged: WaitingBlobs; orphans: WaitingBlobs } {
    const sizes = new Map<string, number>();
    const lists = { blobs: none(), staged: none(), orphans: none() };
    const add = (to: WaitingBlobs, key: Buffer, about: Omit<WaitingBlob, "key" | "bytes">) => {
      const at = key.toString("latin1");
      const bytes = this.#sizes.get(at) ?? view.peek(key)?.length ?? 0;
      sizes.set(at, bytes);
      to.list.push({ key, bytes, ...about });
      to.total += bytes;
    };
    for (const key of keysOf(view, "blob")) {
      const { number, minBucket, maxBucket } = blobPlace(key);
      add(lists.blobs, key, { number, minBucket, maxBucket });
    }
    for (const key of keysOf(view, "staged")) {
      const place = stagedPlace(key);
      const to = place.replay === replay ? lists.staged : lists.orphans;
      add(to, key, { number: place.sequence, minBucket: 0, maxBucket: 0xffff_ffff });
    }
    this.#sizes = sizes;
    return lists;
  }
}

function none(): WaitingBlobs {
  return { list: [], total: 0 };
}

function keysOf(view: View, table: "blob" | "staged"): Buffer[] {
  const { start, end } = tableRange(table);
  return view.keys(start, end, Number.MAX_SAFE_INTEGER);
}

/** Those up to a number. */
export function upTo({ list }: WaitingBlobs, number: number): WaitingBlobs {
  const some = list.filter((each) => each.number <= number);
  return { list: some, total: some.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Number of the last blob that a round takes up: its memory is bounded. */
export function lastOfRound({ list }: WaitingBlobs, roundBytes: number): number | undefined {
  let sum = 0;
  let until: number | undefined;
  for (const { bytes, number } of list) {
    sum += bytes;
    if (until !== undefined && sum > 2 * roundBytes) break;
    until = number;
  }
  return until;
}
