// Who runs which shard: the map, as it lies in KV, and the nodes' heartbeats. What can't be read is `undefined`, and
// whoever reads goes on with what it knew.

export interface ShardMap {
  /** Grows by one with each change; claims in the store name it. */
  version: number;
  /** Fixed when the system is made: tenants are hashed onto it. */
  shards: number;
  /** Node by shard number. */
  owners: Record<string, string>;
}

export interface NodeBeat {
  node: string;
  /** Random per process: two processes with one name are told apart. */
  instance: string;
  startedMs: number;
}

export const mapKey = "map";

export function nodeKey(node: string): string {
  return `node.${node}`;
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export function decodeMap(bytes: Uint8Array | undefined): ShardMap | undefined {
  const value = parse(bytes);
  if (value === undefined || typeof value["owners"] !== "object" || value["owners"] === null)
    return undefined;
  const { version, shards } = value;
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(shards)) return undefined;
  const owners: Record<string, string> = {};
  for (const [shard, node] of Object.entries(value["owners"]))
    if (typeof node === "string") owners[shard] = node;
  return { version: version as number, shards: shards as number, owners };
}

export function decodeBeat(bytes: Uint8Array | undefined): NodeBeat | undefined {
  const value = parse(bytes);
  if (value === undefined) return undefined;
  const { node, instance, startedMs } = value;
  if (typeof node !== "string" || typeof instance !== "string" || typeof startedMs !== "number")
    return undefined;
  return { node, instance, startedMs };
}

export function shardsOf(map: ShardMap, node: string): number[] {
  return Object.entries(map.owners)
    .filter(([, owner]) => owner === node)
    .map(([shard]) => Number(shard))
    .toSorted((a, b) => a - b);
}

function parse(bytes: Uint8Array | undefined): Record<string, unknown> | undefined {
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
