// Facts in, map out: pure. Today's rule is the fixed one of a single machine: every shard belongs to the one node.
//
// A shard keeps its owner for as long as the owner is the node we know; a node that is gone for a moment (a restart)
// keeps its shards, for nobody else could open its store.
import type { NodeBeat, ShardMap } from "./shard-map.ts";

export interface Facts {
  shards: number;
  map: ShardMap | undefined;
  alive: readonly NodeBeat[];
}

/** The map that should be written, or undefined when the present one is right or nobody is there to run anything. */
export function decide(facts: Facts): ShardMap | undefined {
  const { map, shards } = facts;
  const node = Object.values(map?.owners ?? {})[0] ?? facts.alive.map((beat) => beat.node).toSorted()[0];
  if (node === undefined) return undefined;
  const owners = Object.fromEntries(Array.from({ length: shards }, (_, shard) => [String(shard), node]));
  const same =
    map !== undefined && map.shards === shards && JSON.stringify(map.owners) === JSON.stringify(owners);
  return same ? undefined : { version: (map?.version ?? 0) + 1, shards, owners };
}
