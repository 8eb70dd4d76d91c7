// Tenant to shard. Without an explicit home: the first four bytes of SHA-256 of the tenant's id, big-endian, modulo the
// number of shards. That is written down in every store by where the data lies, and must never change.
//
// R1. New points go to the newest home.
// R2. Keyed requests go to the home of ten minutes ago, so that a retry meets its first try.
// R3. Reading asks all homes there ever were.
import { createHash } from "node:crypto";
import { assert } from "../base/assert.ts";
import type { Tenant } from "./tenant.ts";

/** How long keyed requests stay with the old home after a change. */
export const keyedStayMs = 10 * 60_000;

/** The hash as a whole, by id: routing asks for each batch of lines. */
const hashes = new WeakMap<Tenant, number>();

function hashOf(tenant: Tenant): number {
  let hash = hashes.get(tenant);
  if (hash === undefined) {
    hash = createHash("sha256").update(tenant.id).digest().readUInt32BE(0);
    hashes.set(tenant, hash);
  }
  return hash;
}

/** The shard that the id alone gives. `shards` is how many there are. */
export function hashedHome(tenant: Tenant, shards: number): number {
  assert(Number.isInteger(shards) && shards >= 1, "there is at least one shard");
  return hashOf(tenant) % shards;
}

export function homeOf(tenant: Tenant, shards: number): number {
  return existing(tenant, shards).at(-1)?.shard ?? hashedHome(tenant, shards);
}

/** For requests with an Idempotency-Key. */
export function keyedHomeOf(tenant: Tenant, shards: number, nowMs: number): number {
  const settled = existing(tenant, shards).findLast((home) => home.sinceMs <= nowMs - keyedStayMs);
  return settled?.shard ?? hashedHome(tenant, shards);
}

/** Each shard that may hold something of the tenant, once. */
export function allHomes(tenant: Tenant, shards: number): number[] {
  const homes = existing(tenant, shards).map((home) => home.shard);
  return [...new Set([hashedHome(tenant, shards), ...homes])];
}

/** A home that is no shard of ours is a slip of somebody's hand, and must not take the tenant's data nowhere. */
function existing(tenant: Tenant, shards: number): Tenant["homes"] {
  return tenant.homes.filter((home) => home.shard < shards);
}
