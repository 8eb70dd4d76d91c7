// A tenant: a customer, who owns API keys and series. Ids are random and never used again; names are unique among
// the living. Keys are stored as SHA-256 of the key (a key is 160 random bits, so no salt or stretching is needed).

export const tenantStates = ["active", "suspended", "deleted", "purging"] as const;
export type TenantState = (typeof tenantStates)[number];

export type KeyKind = "write" | "read";

export interface TenantKey {
  /** SHA-256 of the key, hex. */
  hash: string;
  kind: KeyKind;
  createdMs: number;
}

export interface Tenant {
  id: string;
  name: string;
  state: TenantState;
  createdMs: number;
  keys: TenantKey[];
  /** Explicit homes, newest last; none: the stable hash decides. Past homes stay listed, for reading and for retries. */
  homes: { shard: number; sinceMs: number }[];
}

/** The three answers of a look-up. `unavailable` is not `unknown`: nobody may be refused for good because of it. */
export type TenantLookup =
  | { kind: "known"; tenant: Tenant; key: KeyKind }
  | { kind: "unknown" }
  | { kind: "unavailable" };
