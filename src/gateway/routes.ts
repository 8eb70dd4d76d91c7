// Whose line is this? The key in front of a name, or a request's credential, to a route: the tenant and the batcher
// of its home, or the reason why not. Answers are cached per key until the directory changes; both caches are bounded.
import { LRUCache } from "lru-cache";
import { unreachable } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Ladder } from "../metric/bucket.ts";
import type { Reach } from "../metric/ladder-rules.ts";
import type { Kind } from "../metric/frame.ts";
import type { Reason } from "../metric/reason.ts";
import type { Directory } from "../tenant/directory.ts";
import { hashKey } from "../tenant/keys.ts";
import { tenantReach } from "../tenant/rules.ts";
import { homeOf, keyedHomeOf } from "../tenant/routing.ts";
import type { Tenant } from "../tenant/tenant.ts";
import type { ShardBatcher } from "./batch.ts";

/** What a tenant's limits say of what is good otherwise (limits.ts). */
export interface LineGate {
  /** bytes[from, to) is a raw door's line, key stripped. Answers a reason's code; 0: it may pass, and counts as sent. */
  judge(bytes: Buffer, from: number, to: number, kind?: Kind): number;
  /** The same for a line of a request, which was admitted as a whole: only its name is judged. */
  judgeName(bytes: Buffer, from: number, to: number, kind?: Kind): number;
  /**
   * So many plaintext lines at once, of which this is the longest name: whether all may pass, and then they count as
   * sent. With no, nothing is said of any: each must be judged.
   */
  passRun(lines: number, longestNameBytes: number): boolean;
  /** The same for lines of a request: only their names are judged. */
  passNames(longestNameBytes: number): boolean;
  /** Whether a request may come in: 0, or ms after which it should be tried again. Then say one of these two: */
  waitMs(): number;
  /** Its lines that count as sent. */
  took(lines: number): void;
  /** It was refused for the rate, with so many lines. */
  refused(lines: number): void;
}

export type Route =
  /** `reach`: how far back points of the tenant may lie. `gate`: its own limits; undefined: it has none. */
  | { kind: "tenant"; tenant: Tenant; batcher: ShardBatcher; reach: Reach; gate?: LineGate }
  /** `tenant` is there when the refusal belongs into somebody's books. */
  | { kind: "refused"; reason: Reason; tenant?: Tenant; batcher?: ShardBatcher }
  /** The directory can't say: nobody may be refused for good. */
  | { kind: "unavailable" };

const addressesMax = 100_000;
const knownKeysMax = 100_000;
const unknownKeysMax = 10_000;
/** Longer than any key we give out: not worth a look-up, and never kept. */
const keyCharsMax = 200;
/** Lines from the address need a key. */
const namesMax = 10_000;
const nobodys = "nobody's";
const unknownKey: Route = { kind: "refused", reason: "unknown-key" };

export class Routes {
  readonly #directory: Directory;
  readonly #batchers: readonly ShardBatcher[];
  readonly #clock: Clock;
  readonly #standard: Ladder;
  readonly #gateOf: (tenant: Tenant) => LineGate | undefined;
  /** By SHA-256 of the key: the caches of a process that is dumped or read hold no keys. */
  readonly #known = new LRUCache<string, Route>({ max: knownKeysMax });
  readonly #unknown = new LRUCache<string, Route>({ max: unknownKeysMax });
  readonly #addresses = new LRUCache<string, Route | typeof nobodys>({ max: addressesMax });
  readonly #names = new LRUCache<string, Route>({ max: namesMax });
  #generation = -1;

  /** `standard` is the default ladder. */
  constructor(
    directory: Directory,
    batchers: readonly ShardBatcher[],
    clock: Clock,
    standard: Ladder,
    gateOf: (tenant: Tenant) => LineGate | undefined = () => undefined,
  ) {
    this.#standard = standard;
    this.#gateOf = gateOf;
    this.#directory = directory;
    this.#batchers = batchers;
    this.#clock = clock;
  }

  /** Changes when any answer may have changed: what a connection remembers of its last key is void then. */
  get generation(): number {
    return this.#directory.generation;
  }

  of(key: string): Route {
    if (key.length === 0 || key.length > keyCharsMax) return unknownKey;
    this.#renew();
    const hash = hashKey(key);
    const cached = this.#known.get(hash) ?? this.#unknown.get(hash);
    if (cached !== undefined) return cached;
    const route = this.#lookUp(key);
    if (route === unknownKey) this.#unknown.set(hash, route);
    else if (route.kind !== "unavailable") this.#known.set(hash, route);
    return route;
  }

  /** Whose lines come from this address without a key; undefined: they need one. */
  ofAddress(address: string): Route | undefined {
    if (!this.#directory.hasAddresses) return undefined;
    this.#renew();
    let route = this.#addresses.get(address);
    if (route === undefined) {
      const tenant = this.#directory.byAddress(address);
      route = tenant === undefined ? nobodys : this.#ofTenant(tenant, true);
      this.#addresses.set(address, route);
    }
    return route === nobodys ? undefined : route;
  }

  /** Of a tenant's name, where that is proof enough of who sends. */
  ofName(name: string): Route {
    this.#renew();
    const cached = this.#names.get(name);
    if (cached !== undefined) return cached;
    const tenant = this.#directory.byName(name) ?? this.#directory.goneByName(name);
    if (tenant === undefined && !this.#directory.live) return { kind: "unavailable" };
    const route: Route = tenant === undefined ? unknownKey : this.#ofTenant(tenant, true);
    this.#names.set(name, route);
    return route;
  }

  /** Where a keyed request of this tenant goes: the old home for a while after a move, so a retry meets its first try. */
  keyed(tenant: Tenant): ShardBatcher {
    return this.#batcher(keyedHomeOf(tenant, this.#batchers.length, this.#clock.nowMs()));
  }

  #renew(): void {
    if (this.#generation === this.#directory.generation) return;
    this.#known.clear();
    this.#unknown.clear();
    this.#addresses.clear();
    this.#names.clear();
    this.#generation = this.#directory.generation;
  }

  #lookUp(key: string): Route {
    const found = this.#directory.lookupKey(key);
    switch (found.kind) {
      case "unknown":
        return unknownKey;
      case "unavailable":
        return { kind: "unavailable" };
      case "known":
        return this.#ofTenant(found.tenant, found.key === "write");
      default:
        return unreachable(found);
    }
  }

  #ofTenant(tenant: Tenant, writes: boolean): Route {
    const batcher = this.#batcher(homeOf(tenant, this.#batchers.length));
    if (tenant.state === "suspended") return { kind: "refused", reason: "tenant-suspended", tenant, batcher };
    if (tenant.state !== "active") return { kind: "refused", reason: "tenant-deleted", tenant, batcher };
    if (!writes) return { kind: "refused", reason: "key-not-for-writing", tenant, batcher };
    const gate = this.#gateOf(tenant);
    const reach = tenantReach(tenant, this.#standard);
    return { kind: "tenant", tenant, batcher, reach, ...(gate !== undefined && { gate }) };
  }

  #batcher(shard: number): ShardBatcher {
    const batcher = this.#batchers[shard];
    if (batcher === undefined)
      throw new Error(`shard ${shard} is outside the ${this.#batchers.length} shards`);
    return batcher;
  }
}
