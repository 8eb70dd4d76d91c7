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
  /** Not judged yet: src/tenant/rules.ts reads them. None: the default ladder, and averages. */
  rules?: StoredRules;
  /** What the tenant may send; what is not named has the settings' value, or none. */
  limits?: TenantLimits;
  /** Networks (`10.1.0.0/16`, `2001:db8::7`) whose raw lines are this tenant's, without a key in front. */
  addresses?: string[];
  /** When it was deleted. */
  deletedMs?: number;
  /** Of a deleted one: it can be undeleted until then at least, whatever the setting says later. None: nobody has said. */
  purgeMs?: number;
  /** Of a deleted one: it was suspended when it was deleted, and will be again. */
  wasSuspended?: true;
  /** Of a purging one: nothing is left of it in any shard. */
  purgedMs?: number;
}

/** "off": not limited. */
export interface TenantLimits {
  /** Over all gateways. */
  pointsPerSecond?: number | "off";
  /** Live ones. */
  series?: number | "off";
  nameBytes?: number;
  tags?: number;
}

/** The ladders of a tenant's series from a time on, until the next set's. Ladders as text: `60s:86400s,300s:2592000s`. */
export interface StoredSchemas {
  /** Epoch seconds; 0 in the first. */
  fromSeconds: number;
  rules: { name: string; pattern: string; ladder: string }[];
}

/** storage-schemas.conf and storage-aggregation.conf as the record holds them. */
export interface StoredRules {
  schemas: StoredSchemas[];
  aggregation: { name: string; pattern: string; view: string; xFilesFactor: number }[];
}

/** The three answers of a look-up. `unavailable` is not `unknown`: nobody may be refused for good because of it. */
export type TenantLookup =
  | { kind: "known"; tenant: Tenant; key: KeyKind }
  | { kind: "unknown" }
  | { kind: "unavailable" };
