// Names of frames that a sender may send again: by what it sent, not by who took it.
import { createHash } from "node:crypto";

/**
 * Id of one part of a keyed request: the same tenant, key, body, shard and part always give the same id, so a retry
 * is recognised however late it comes.
 */
export function keyedId(
  tenant: string,
  key: string,
  bodyHash: Uint8Array,
  shard: number,
  part: number,
): Uint8Array {
  const hash = createHash("sha256");
  for (const field of [tenant, key, String(shard), String(part)]) hash.update(`${field.length}:${field}`);
  return hash.update(bodyHash).digest().subarray(0, 16);
}
