// The one row of a shard that every change rewrites: who owns it, how far it is, which ids come next. Its version in
// the table counts the changes; a change is made on condition that the version is still the one it was made from.
import { count, intervals, pack, text, unpack } from "./rows.ts";
import type { ShardState } from "./store.ts";

/** Of the whole layout. A store with another one is not touched. */
export const storeFormat = 2;

export interface ShardHead extends Omit<ShardState, "boots"> {
  /** The last who claimed; undefined before the first. */
  owner: { node: string; mapVersion: number } | undefined;
  /** Block of ids that is given next (keys.ts). */
  nextBlock: number;
  nextNode: number;
}

export function freshHead(): ShardHead {
  return {
    epoch: 0,
    claims: 0,
    offset: 0,
    incarnation: "",
    frameTimeMs: 0,
    receivedAtMs: 0,
    gaps: [],
    holes: [],
    owner: undefined,
    nextBlock: 1,
    nextNode: 1,
  };
}

export function encodeHead(head: ShardHead): Buffer {
  return pack([
    head.epoch,
    head.claims,
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
    epoch: count(epoch, what),
    claims: count(claims, what),
    offset: count(offset, what),
    incarnation: text(incarnation, what),
    frameTimeMs: count(frameTimeMs, what),
    receivedAtMs: count(receivedAtMs, what),
    gaps: intervals(gaps, what),
    holes: intervals(holes, what),
    owner: node === null ? undefined : { node: text(node, what), mapVersion: count(mapVersion, what) },
    nextBlock: count(nextBlock, what),
    nextNode: count(nextNode, what),
  };
}
