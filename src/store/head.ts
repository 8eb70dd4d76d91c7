// The one row of a shard that every change rewrites: who owns it, how far it is, which ids come next. Its version in
// the table counts the changes; a change is made on condition that the version is still the one it was made from.
import { Outage } from "../base/errors.ts";
import { count, intervals, pack, text, unpack } from "./rows.ts";
import type { LaneState, Owner, ShardProgress } from "./store.ts";
import { freshLane, freshProgress } from "./lanes.ts";

/** Of the whole layout. A store with another one is not touched. */
export const storeFormat = 2;

export interface ShardHead extends ShardProgress {
  /** The last who claimed; undefined before the first. */
  owner: Owner | undefined;
  /** Block of ids that is given next (keys.ts). */
  nextBlock: number;
  nextNode: number;
  /** The last blob's number (keys.ts). */
  blobs: number;
  /** The same when the latest replay began, and that replay's id (replays.ts). */
  barrier: number;
  lastReplay: number;
}

export function freshHead(): ShardHead {
  return {
    ...freshProgress(),
    owner: undefined,
    nextBlock: 1,
    nextNode: 1,
    blobs: 0,
    barrier: 0,
    lastReplay: 0,
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
    encodeLanes(head),
  ]);
}

export function decodeHead(bytes: Uint8Array): ShardHead {
  const what = "the shard's head";
  const row = unpack(bytes, 12, what);
  const [epoch, claims, offset, incarnation, frameTimeMs, receivedAtMs] = row;
  const [gaps, holes, node, mapVersion, nextBlock, nextNode] = row.slice(6);
  return {
    ...freshProgress(),
    ...decodeLanes(row[12], count(claims, what), count(offset, what)),
    epoch: count(epoch, what),
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

type Lanes = Pick<
  ShardHead,
  "era" | "lanes" | "parts" | "poison" | "replays" | "removals" | "blobs" | "barrier" | "lastReplay"
>;

/** As values of their own kinds: what is added later has a name, and who does not know it leaves it out. */
function encodeLanes(head: ShardHead): string {
  const { era, lanes, parts, poison, replays, removals, blobs, barrier, lastReplay } = head;
  const written: Lanes = { era, lanes, parts, poison, replays, removals, blobs, barrier, lastReplay };
  return JSON.stringify(written);
}

/**
 * A head of the version before has none: nothing is set aside there, no lane has died but of claims, and blobs had the
 * offset for a number.
 */
function decodeLanes(value: unknown, claims: number, offset: number): Lanes {
  const { era, lanes, parts, poison, replays, removals } = freshProgress();
  if (value === undefined)
    return {
      era,
      lanes: { ...lanes, live: { ...freshLane(), starts: claims } },
      parts,
      poison,
      replays,
      removals,
      blobs: offset,
      barrier: 0,
      lastReplay: 0,
    };
  const said = parsedLanes(text(value, "the shard's lanes"));
  const laneOf = (lane: LaneState): LaneState => ({ ...freshLane(), ...lane });
  return {
    era: said.era,
    lanes: { live: laneOf(said.lanes.live), fill: laneOf(said.lanes.fill) },
    parts: said.parts,
    poison: said.poison,
    replays: said.replays,
    removals: said.removals ?? removals,
    blobs: said.blobs,
    barrier: said.barrier,
    lastReplay: said.lastReplay,
  };
}

function parsedLanes(written: string): Lanes {
  try {
    return JSON.parse(written) as Lanes;
  } catch (error) {
    throw new Outage("store-corrupt", "the shard's lanes can't be read", { cause: error });
  }
}
