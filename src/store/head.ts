// The one row of a shard that every change rewrites: who owns it, how far it is, which ids come next. Its version in
// the table counts the changes; a change is made on condition that the version is still the one it was made from.
import { count, intervals, pack, text, unpack } from "./rows.ts";
import type { Owner, ShardState } from "./store.ts";
import { freshLane, freshState } from "./lanes.ts";

/** Of the whole layout. A store with another one is not touched. */
export const storeFormat = 2;

export interface ShardHead extends Omit<ShardState, "boots"> {
  /** The last who claimed; undefined before the first. */
  owner: Owner | undefined;
  /** Block of ids that is given next (keys.ts). */
  nextBlock: number;
  nextNode: number;
}

export function freshHead(): ShardHead {
  return {
    ...freshState(),
    owner: undefined,
    nextBlock: 1,
    nextNode: 1,
  };
}

export function encodeHead(head: ShardHead): Buffer {
  return pack([
    head.epoch,
    head.lanes.live.starts,
    head.offset,
    head.incarnation,
    head.frameTimeMs,
    head.receivedAtMs,
    head.gaps,
    head.holes,
    head.owner?.node ?? null,
    head.owner?.mapVersion ?? 0,
    head.nextBlock,
    head.nextNode,
  ]);
}

export function decodeHead(bytes: Uint8Array): ShardHead {
  const what = "the shard's head";
  const row = unpack(bytes, 12, what);
  const [epoch, claims, offset, incarnation, frameTimeMs, receivedAtMs] = row;
  const [gaps, holes, node, mapVersion, nextBlock, nextNode] = row.slice(6);
  return {
    ...freshState(),
    epoch: count(epoch, what),
    lanes: { live: { ...freshLane(), starts: count(claims, what) }, fill: freshLane() },
    offset: count(offset, what),
    incarnation: text(incarnation, what),
    frameTimeMs: count(frameTimeMs, what),
    receivedAtMs: count(receivedAtMs, what),
    gaps: intervals(gaps, what),
    holes: intervals(holes, what),
    owner:
      node === null
        ? undefined
        : { node: text(node, what), mapVersion: count(mapVersion, what), instance: "" },
    nextBlock: count(nextBlock, what),
    nextNode: count(nextNode, what),
  };
}
