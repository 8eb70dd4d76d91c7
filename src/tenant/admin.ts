// What operators do to tenants: everything by compare-and-set, so two of them, or one whose process dies halfway, leave
// nothing broken.
//
// T1. Names are unique among the living (names.ts). Their states are states.ts's.
// T2. An outage (bus-unavailable, bus-timeout) leaves open whether it happened: list, then decide.
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import type { AggregationRule } from "../graphite/default-view.ts";
import type { Ladder } from "../metric/bucket.ts";
import type { SchemaRule } from "../metric/ladder-rules.ts";
import { hashKey, makeKey, makeTenantId } from "./keys.ts";
import { isLimit, limitNames, readLimits, type LimitName } from "./limits.ts";
import { claimName, holderOf, isLiving, settles, triesMax } from "./names.ts";
import {
  adoptKey,
  adoptMsOf,
  decodeTenant,
  encodeJson,
  idOfKey,
  isTenantName,
  nameKeyOf,
  type TenantBucket,
  type TenantEntry,
  tenantKeyOf,
} from "./record.ts";
import { changeSchemas, noRules, rulesOf, storeRules } from "./rules.ts";
import type { KeyKind, Tenant } from "./tenant.ts";

export interface AdminParts {
  clock: Clock;
  /** The system's: keys and ids come from it. */
  random: Random;
}

const keysMax = 100;

export type Added =
  /** The keys are shown this once. */
  | { kind: "added"; tenant: Tenant; writeKey: string; readKey: string }
  | { kind: "name-taken" }
  /** Not 1 to 64 letters, digits, `-`, `_`, `.`. */
  | { kind: "name-invalid" };

/** A new tenant with one write and one read key. Rejects with an Outage. */
export async function addTenant(bucket: TenantBucket, name: string, parts: AdminParts): Promise<Added> {
  if (!isTenantName(name)) return { kind: "name-invalid" };
  for (let tries = 0; tries < triesMax; tries++) {
    const made = newTenant(name, parts);
    const claimed = await claimName(bucket, name, made.tenant.id);
    if (claimed === "taken") return { kind: "name-taken" };
    if (claimed === "lost") continue;
    const created = await settles(bucket.create(tenantKeyOf(made.tenant.id), encodeJson(made.tenant)));
    // Made void meanwhile: somebody who wants the same name took us for dead, and has it now.
    return created ? { kind: "added", ...made } : { kind: "name-taken" };
  }
  throw new Outage("revision-conflict", `the name ${name} is fought for; try again`);
}

function newTenant(name: string, parts: AdminParts) {
  const createdMs = parts.clock.nowMs();
  const writeKey = makeKey("write", parts.random);
  const readKey = makeKey("read", parts.random);
  const tenant: Tenant = {
    id: makeTenantId(parts.random),
    name,
    state: "active",
    createdMs,
    keys: [
      { hash: hashKey(writeKey), kind: "write", createdMs },
      { hash: hashKey(readKey), kind: "read", createdMs },
    ],
    homes: [],
  };
  return { tenant, writeKey, readKey };
}

/** All tenants that can be read, by name. Rejects with bus-unavailable when the connection is lost meanwhile. */
export function listTenants(bucket: TenantBucket): Promise<Tenant[]> {
  return new Promise((resolve, reject) => {
    const watch = bucket.watch({
      onSnapshot(entries) {
        resolve(tenantsOf(entries));
        queueMicrotask(() => watch.stop());
      },
      onChange: () => undefined,
      onLost() {
        reject(new Outage("bus-unavailable", "connection lost while listing tenants"));
        queueMicrotask(() => watch.stop());
      },
    });
  });
}

function tenantsOf(entries: readonly TenantEntry[]): Tenant[] {
  const tenants: Tenant[] = [];
  for (const entry of entries) {
    const id = idOfKey(entry.key);
    if (id === undefined || entry.value === undefined) continue;
    const record = decodeTenant(id, entry.value);
    if (record.kind === "tenant") tenants.push(record.tenant);
  }
  return tenants.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.createdMs - b.createdMs));
}

/** The living tenant of this name, or the tenant of this id in any state. */
export async function findTenant(bucket: TenantBucket, nameOrId: string): Promise<Tenant | undefined> {
  if (!isTenantName(nameOrId)) return undefined;
  const holder = await bucket.get(nameKeyOf(nameOrId));
  const id = holder === undefined ? undefined : holderOf(holder);
  if (id !== undefined) {
    const named = await readTenant(bucket, id);
    if (named !== undefined && named.tenant.name === nameOrId && isLiving(named.tenant)) return named.tenant;
  }
  return (await readTenant(bucket, nameOrId))?.tenant;
}

/** Those of this name, or of this id, that are deleted or being purged; the one deleted last comes first. */
export async function findGone(bucket: TenantBucket, nameOrId: string): Promise<Tenant[]> {
  const gone = (await listTenants(bucket)).filter(
    (tenant) => !isLiving(tenant) && (tenant.id === nameOrId || tenant.name === nameOrId),
  );
  return gone.sort((a, b) => (b.deletedMs ?? b.createdMs) - (a.deletedMs ?? a.createdMs));
}

export type KeyAdded =
  | { kind: "added"; key: string; tenant: Tenant }
  | { kind: "unknown-tenant" }
  /** 100 are enough for anybody; remove one first. */
  | { kind: "too-many-keys" };

export async function addKey(
  bucket: TenantBucket,
  id: string,
  kind: KeyKind,
  parts: AdminParts,
): Promise<KeyAdded> {
  const key = makeKey(kind, parts.random);
  const added = { hash: hashKey(key), kind, createdMs: parts.clock.nowMs() };
  const result = await changeTenant(bucket, id, (tenant) =>
    tenant.keys.length >= keysMax ? undefined : { ...tenant, keys: [...tenant.keys, added] },
  );
  if (result === "unknown-tenant") return { kind: "unknown-tenant" };
  if (result === "unchanged") return { kind: "too-many-keys" };
  return { kind: "added", key, tenant: result };
}

export type KeyRemoved =
  | { kind: "removed"; tenant: Tenant }
  | { kind: "unknown-tenant" }
  /** No key of the tenant has this hash, or several begin with it. */
  | { kind: "unknown-key" };

/** `hash`: of the key, or its first characters, at least 8. */
export async function removeKey(bucket: TenantBucket, id: string, hash: string): Promise<KeyRemoved> {
  const result = await changeTenant(bucket, id, (tenant) => {
    const [meant, ...more] = tenant.keys.filter((key) => hash.length >= 8 && key.hash.startsWith(hash));
    if (meant === undefined || more.length > 0) return undefined;
    return { ...tenant, keys: tenant.keys.filter((key) => key !== meant) };
  });
  if (result === "unknown-tenant") return { kind: "unknown-tenant" };
  if (result === "unchanged") return { kind: "unknown-key" };
  return { kind: "removed", tenant: result };
}

export interface RulesChange {
  /** undefined: as they are. */
  schemas?: readonly SchemaRule[] | undefined;
  aggregation?: readonly AggregationRule[] | undefined;
}

export type RulesChanged =
  | { kind: "changed" | "unchanged"; tenant: Tenant }
  | { kind: "unknown-tenant" }
  /** Together they don't fit a record. */
  | { kind: "too-big" };

const rulesBytesMax = 256 << 10;

/** New rules; those that were unreadable before are gone. `standard` is the default ladder. */
export async function changeRules(
  bucket: TenantBucket,
  id: string,
  change: RulesChange,
  clock: Clock,
  standard: Ladder,
): Promise<RulesChanged> {
  const refused: RulesChanged[] = [];
  const result = await changeTenant(bucket, id, (tenant) => {
    const next = withRules(tenant, change, Math.floor(clock.nowMs() / 1000), standard);
    if (typeof next !== "string") return next;
    refused.push(next === "too-big" ? { kind: "too-big" } : { kind: "unchanged", tenant });
    return undefined;
  });
  if (result === "unknown-tenant") return { kind: "unknown-tenant" };
  if (result !== "unchanged") return { kind: "changed", tenant: result };
  return refused.at(-1) ?? { kind: "unknown-tenant" };
}

/** The tenant as a change made at this moment would leave it. */
export function withRules(
  tenant: Tenant,
  { schemas, aggregation }: RulesChange,
  nowSeconds: number,
  standard: Ladder,
): Tenant | "unchanged" | "too-big" {
  const before = rulesOf(tenant);
  const rules = storeRules({
    schemas:
      schemas === undefined ? before.schemas : changeSchemas(before.schemas, schemas, nowSeconds, standard),
    aggregation: aggregation ?? before.aggregation,
  });
  const bytes = encodeJson(rules).length;
  if (bytes > rulesBytesMax) return "too-big";
  if (JSON.stringify(rules) === JSON.stringify(tenant.rules ?? storeRules(noRules))) return "unchanged";
  return { ...tenant, rules };
}

/** What is not named stays as it is; "default": the settings' value, or none. */
export type LimitsChange = { readonly [Name in LimitName]?: number | "off" | "default" };

export type LimitsChanged = { kind: "changed" | "unchanged"; tenant: Tenant } | { kind: "unknown-tenant" };

/** Other limits; those that were unreadable before are gone. */
export async function changeLimits(
  bucket: TenantBucket,
  id: string,
  change: LimitsChange,
): Promise<LimitsChanged> {
  let seen: Tenant | undefined;
  const result = await changeTenant(bucket, id, (tenant) => {
    seen = tenant;
    return withLimits(tenant, change);
  });
  if (result === "unknown-tenant") return { kind: "unknown-tenant" };
  if (result !== "unchanged") return { kind: "changed", tenant: result };
  return seen === undefined ? { kind: "unknown-tenant" } : { kind: "unchanged", tenant: seen };
}

/** The tenant as a change leaves it; undefined: nothing changes. */
export function withLimits(tenant: Tenant, change: LimitsChange): Tenant | undefined {
  // Fields that a newer version wrote stay.
  const read = readLimits(tenant.limits);
  const limits: Record<string, unknown> = read.kind === "limits" ? { ...tenant.limits } : {};
  for (const name of limitNames) {
    const value = change[name];
    if (value === undefined) continue;
    assert(value === "default" || isLimit(name, value), `${name} is a limit, got ${value}`);
    if (value === "default") delete limits[name];
    else limits[name] = value;
  }
  if (JSON.stringify(limits) === JSON.stringify(tenant.limits ?? {})) return undefined;
  return { ...tenant, limits };
}

/** Vouches for what the bucket holds now: directories that did not believe it do. Answers the marker's time, in ms. */
export async function adopt(bucket: TenantBucket, clock: Clock): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const entry = await bucket.get(adoptKey);
    // Newer than the last one, also where a clock was set back.
    const atMs = Math.max(clock.nowMs(), adoptMsOf(entry?.value) + 1);
    const value = encodeJson({ atMs });
    if (
      await settles(
        entry === undefined ? bucket.create(adoptKey, value) : bucket.update(adoptKey, value, entry.revision),
      )
    )
      return atMs;
  }
  throw new Outage("revision-conflict", "several adopt at the same time; try again");
}

/** Reads, changes and compares-and-sets until it holds. `change` answers undefined for: leave it. */
export async function changeTenant(
  bucket: TenantBucket,
  id: string,
  change: (tenant: Tenant) => Tenant | undefined,
): Promise<Tenant | "unknown-tenant" | "unchanged"> {
  for (let tries = 0; tries < triesMax; tries++) {
    const found = await readTenant(bucket, id);
    if (found === undefined) return "unknown-tenant";
    const changed = change(found.tenant);
    if (changed === undefined) return "unchanged";
    assert(changed.id === id, "a tenant keeps its id");
    if (await settles(bucket.update(tenantKeyOf(id), encodeJson(changed), found.revision))) return changed;
  }
  throw new Outage("revision-conflict", `tenant ${id} is changed by others; try again`);
}

async function readTenant(
  bucket: TenantBucket,
  id: string,
): Promise<{ tenant: Tenant; revision: number } | undefined> {
  if (id === "") return undefined;
  const entry = await bucket.get(tenantKeyOf(id));
  if (entry?.value === undefined) return undefined;
  const record = decodeTenant(id, entry.value);
  return record.kind === "tenant" ? { tenant: record.tenant, revision: entry.revision } : undefined;
}
