// Who a key belongs to, from a local copy of MR_TENANTS that outlives NATS. Known, unknown and unavailable are three
// different answers: nobody may be refused for good because a part of ours can't say.
//
// D1. A key of the copy is known, whatever NATS does. A miss is `unknown` only while the watch is live and caught up.
// D2. A snapshot that lacks more than half of the copy's tenants is not believed: look-ups go on from the copy, misses
//     are unavailable, until the bucket holds an adopt marker newer than any the copy has followed.
// D3. A record that can't be read costs that tenant only: its last good version stays, and it is counted. Rules, limits
//     and addresses within it that can't be read cost themselves only: the last good ones stay, or there are none.
// D4. `generation` changes with every change of an answer, so caches of answers can compare it.
import type { Clock } from "../base/clock.ts";
import { type Cell, Counters } from "../base/counters.ts";
import type { Log } from "../base/log.ts";
import { CopyWriter, loadCopy } from "./directory-file.ts";
import { hashKey } from "./keys.ts";
import { adoptKey, adoptMsOf, decodeTenant, idOfKey, type TenantBucket, type TenantEntry } from "./record.ts";
import { NetworkIndex, readNetworks } from "./networks.ts";
import { readLimits } from "./limits.ts";
import { readRules } from "./rules.ts";
import type { KeyKind, Tenant, TenantLookup } from "./tenant.ts";

export interface DirectoryOptions {
  /** Where the local copy lies. Its folder exists. */
  file: string;
  clock: Clock;
  log?: Log;
  counters?: Counters;
}

/** More tenants than this are not taken in: a bucket gone wild must not fill the memory of every process. */
const tenantsMax = 1_000_000;

/** A state of the bucket: every tenant it holds, those with an unreadable record in their last good version. */
interface Seen {
  tenants: Map<string, Tenant>;
  /** Unreadable and without a good version; they count as there. */
  unreadable: Set<string>;
  adoptMs: number;
}

export class Directory {
  readonly #log: Log | undefined;
  readonly #writer: CopyWriter;
  readonly #invalid: Cell;
  readonly #liveGauge: Cell;
  readonly #sizeGauge: Cell;
  readonly #onChange = new Set<() => void>();
  #believed: Seen = nothing();
  /** A state of the bucket that is not believed (D2). */
  #doubted: Seen | undefined;
  #byHash = new Map<string, { tenant: Tenant; kind: KeyKind }>();
  #byName = new Map<string, Tenant>();
  #networks = new NetworkIndex();
  #watch: { stop(): void } | undefined;
  #live = false;
  #generation = 1;

  private constructor(options: DirectoryOptions) {
    const counters = options.counters ?? new Counters();
    this.#log = options.log;
    this.#invalid = counters.counter(
      "tenant_records_invalid_total",
      "tenants' records that could not be read",
    );
    this.#liveGauge = counters.gauge("tenant_directory_live", "1: the watch is caught up and believed");
    this.#sizeGauge = counters.gauge("tenant_directory_tenants", "tenants in the local copy");
    const failures = counters.counter("tenant_copy_failures_total", "writes of the local copy that failed");
    this.#writer = new CopyWriter(
      options.file,
      options.clock,
      () => ({ tenants: this.all(), adoptMs: this.#believed.adoptMs }),
      (error) => {
        failures.value += 1;
        this.#log?.error({ err: error, file: options.file }, "directory: the local copy can't be written");
      },
    );
  }

  /** With what the local copy holds; needs no NATS. Never rejects: a copy that can't be used is logged. */
  static async open(options: DirectoryOptions): Promise<Directory> {
    const directory = new Directory(options);
    const loaded = await loadCopy(options.file);
    if (loaded.kind === "unreadable")
      options.log?.error({ file: options.file, why: loaded.why }, "directory: the local copy can't be used");
    if (loaded.kind === "copy") {
      directory.#invalid.value += loaded.invalid;
      const tenants = new Map(loaded.content.tenants.map((tenant) => [tenant.id, tenant]));
      directory.#believed = { ...nothing(), tenants, adoptMs: loaded.content.adoptMs };
      directory.#indexAll();
      directory.#sizeGauge.value = tenants.size;
    }
    return directory;
  }

  /** Begins to follow the bucket; once. */
  follow(bucket: TenantBucket): void {
    this.#watch ??= bucket.watch({
      onSnapshot: (entries) => this.#snapshot(entries),
      onChange: (entry) => this.#change(entry),
      onLost: () => this.#lost(),
    });
  }

  /** What the key opens. Costs a SHA-256: doors keep answers as long as `generation` stays. */
  lookupKey(key: string): TenantLookup {
    const found = this.#byHash.get(hashKey(key));
    if (found !== undefined) return { kind: "known", tenant: found.tenant, key: found.kind };
    return this.#live ? { kind: "unknown" } : { kind: "unavailable" }; // D1
  }

  byId(id: string): Tenant | undefined {
    return this.#believed.tenants.get(id);
  }

  /** Among the living (active or suspended); a deleted tenant is found by its id. */
  byName(name: string): Tenant | undefined {
    return this.#byName.get(name);
  }

  /** Whose raw lines come from this address without a key; nobody's: they need one. */
  byAddress(address: string): Tenant | undefined {
    return this.#networks.of(address);
  }

  /** Some tenant has addresses: look-ups by address are worth while. */
  get hasAddresses(): boolean {
    return !this.#networks.empty;
  }

  /** Among those that are not living any more: the one made last. */
  goneByName(name: string): Tenant | undefined {
    const gone = this.all().filter((tenant) => tenant.name === name && this.byName(name) !== tenant);
    return gone.sort((a, b) => b.createdMs - a.createdMs)[0];
  }

  all(): Tenant[] {
    return [...this.#believed.tenants.values()];
  }

  /** Changes whenever an answer may have. */
  get generation(): number {
    return this.#generation;
  }

  /** The watch is caught up, and what it says is believed. */
  get live(): boolean {
    return this.#live;
  }

  /** Calls back after each change of `generation`; the answer unsubscribes. */
  onChange(callback: () => void): () => void {
    this.#onChange.add(callback);
    return () => this.#onChange.delete(callback);
  }

  /** Stops following and writes the copy. */
  async close(): Promise<void> {
    this.#watch?.stop();
    this.#live = false;
    await this.#writer.close();
  }

  #snapshot(entries: TenantEntry[]): void {
    const seen = nothing();
    for (const entry of entries) this.#take(seen, entry);
    this.#judge(seen);
  }

  #change(entry: TenantEntry): void {
    if (this.#doubted !== undefined) {
      this.#take(this.#doubted, entry);
      this.#judge(this.#doubted);
      return;
    }
    const id = idOfKey(entry.key) ?? "";
    const before = this.#believed.tenants.get(id);
    this.#take(this.#believed, entry);
    if (before !== undefined) this.#unindex(before);
    const after = this.#believed.tenants.get(id);
    if (after !== undefined) this.#index(after);
    this.#changed();
  }

  #lost(): void {
    this.#doubted = undefined; // a new snapshot will come
    if (!this.#live) return;
    this.#live = false;
    this.#tell();
  }

  #judge(seen: Seen): void {
    const known = this.#believed.tenants;
    let missing = 0;
    for (const id of known.keys()) if (!seen.tenants.has(id) && !seen.unreadable.has(id)) missing += 1;
    if (missing * 2 <= known.size || seen.adoptMs > this.#believed.adoptMs) return this.#believe(seen);
    if (this.#doubted === undefined)
      this.#log?.error(
        { known: known.size, missing },
        "directory: MR_TENANTS lacks more than half of the known tenants and is not believed; if that is right, run: millrace tenant adopt",
      );
    this.#doubted = seen; // D2
  }

  #believe(seen: Seen): void {
    const adoptMs = Math.max(seen.adoptMs, this.#believed.adoptMs);
    this.#doubted = undefined;
    this.#believed = { ...seen, adoptMs };
    this.#live = true;
    this.#indexAll();
    this.#changed();
  }

  #changed(): void {
    this.#sizeGauge.value = this.#believed.tenants.size;
    this.#writer.changed();
    this.#tell();
  }

  /** Applies one entry of the bucket to a state of it. */
  #take(seen: Seen, entry: TenantEntry): void {
    if (entry.key === adoptKey) {
      seen.adoptMs = Math.max(seen.adoptMs, adoptMsOf(entry.value));
      return;
    }
    const id = idOfKey(entry.key);
    if (id === undefined) return;
    const record = entry.value === undefined ? ({ kind: "void" } as const) : decodeTenant(id, entry.value);
    if (record.kind === "invalid") {
      this.#invalid.value += 1;
      this.#log?.error({ tenant: id, why: record.why }, "directory: a tenant's record can't be read");
      const good = seen.tenants.get(id) ?? this.#believed.tenants.get(id);
      if (good === undefined) seen.unreadable.add(id);
      else seen.tenants.set(id, good); // D3
      return;
    }
    seen.unreadable.delete(id);
    if (record.kind === "void") seen.tenants.delete(id);
    else if (seen.tenants.has(id) || seen.tenants.size < tenantsMax)
      seen.tenants.set(id, this.#withGoodParts(record.tenant, seen.tenants.get(id)));
  }

  /** D3. */
  #withGoodParts(tenant: Tenant, before: Tenant | undefined): Tenant {
    const good = before ?? this.#believed.tenants.get(tenant.id);
    let out = tenant;
    const rules = readRules(tenant.rules);
    if (rules.kind === "invalid") {
      this.#unreadable(tenant, "rules", rules.why);
      const { rules: _unreadable, ...rest } = out;
      out = good?.rules === undefined ? rest : { ...rest, rules: good.rules };
    }
    const limits = readLimits(tenant.limits);
    if (limits.kind === "invalid") {
      this.#unreadable(tenant, "limits", limits.why);
      const { limits: _unreadable, ...rest } = out;
      out = good?.limits === undefined ? rest : { ...rest, limits: good.limits };
    }
    const addresses = readNetworks(tenant.addresses);
    if (addresses.kind === "invalid") {
      this.#unreadable(tenant, "addresses", addresses.why);
      const { addresses: _unreadable, ...rest } = out;
      out = good?.addresses === undefined ? rest : { ...rest, addresses: good.addresses };
    }
    return out;
  }

  #unreadable(tenant: Tenant, part: string, why: string): void {
    this.#invalid.value += 1;
    this.#log?.error({ tenant: tenant.id, why }, `directory: a tenant's ${part} can't be read`);
  }

  #indexAll(): void {
    this.#byHash = new Map();
    this.#byName = new Map();
    this.#networks = new NetworkIndex();
    for (const tenant of this.#believed.tenants.values()) this.#index(tenant);
  }

  #index(tenant: Tenant): void {
    for (const key of tenant.keys) this.#byHash.set(key.hash, { tenant, kind: key.kind });
    if (tenant.state === "active" || tenant.state === "suspended") this.#byName.set(tenant.name, tenant);
    this.#networks.add(tenant);
  }

  #unindex(tenant: Tenant): void {
    for (const key of tenant.keys)
      if (this.#byHash.get(key.hash)?.tenant === tenant) this.#byHash.delete(key.hash);
    if (this.#byName.get(tenant.name) === tenant) this.#byName.delete(tenant.name);
    this.#networks.remove(tenant);
  }

  #tell(): void {
    this.#generation += 1; // D4
    this.#liveGauge.value = this.#live ? 1 : 0;
    for (const callback of this.#onChange) callback();
  }
}

function nothing(): Seen {
  return { tenants: new Map(), unreadable: new Set(), adoptMs: 0 };
}
