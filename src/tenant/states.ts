// What becomes of a tenant: active, suspended, deleted, purging. Everything by compare-and-set.
//
//   active <--> suspended      its lines are refused, nothing else changes
//      |            |
//      v            v
//     deleted                  its lines are refused, its name is free; it can be undeleted, with everything back
//      |
//      v
//     purging                  for good: its series go (cluster/purges.ts); then `purgedMs`, and its keys are nobody's
//
// S1. Nothing leads out of purging, and a purged tenant's record stays: its id is never another's.
// S2. The time at which a deleted tenant may be purged is fixed when it is deleted, for that is what was said. One whose
//     record has no such time is purged only where an operator says so.
// S3. An undelete brings back what was there: keys, rules, limits, addresses, and the suspension.
import type { Clock } from "../base/clock.ts";
import { Outage } from "../base/errors.ts";
import { changeTenant } from "./admin.ts";
import { claimName, isLiving, settles, triesMax } from "./names.ts";
import { decodeTenant, encodeJson, isTenantName, type TenantBucket, tenantKeyOf } from "./record.ts";
import type { Tenant, TenantState } from "./tenant.ts";

export type StateChanged =
  /** `unchanged`: it was so already. */
  | { kind: "changed" | "unchanged"; tenant: Tenant }
  | { kind: "unknown-tenant" }
  /** Not from the state that it is in. */
  | { kind: "wrong-state"; state: TenantState };

export type Undeleted =
  | StateChanged
  /** Its name is another living tenant's: it can come back under another one. */
  | { kind: "name-taken"; name: string }
  /** Not 1 to 64 letters, digits, `-`, `_`, `.`. */
  | { kind: "name-invalid" };

/** `too-early`: it may still be undeleted, until then. */
export type PurgeBegun = StateChanged | { kind: "too-early"; purgeMs: number | undefined };

export function suspendTenant(bucket: TenantBucket, id: string): Promise<StateChanged> {
  return move(bucket, id, "suspended", (tenant) =>
    tenant.state === "active" ? { ...tenant, state: "suspended" } : undefined,
  );
}

export function activateTenant(bucket: TenantBucket, id: string): Promise<StateChanged> {
  return move(bucket, id, "active", (tenant) =>
    tenant.state === "suspended" ? { ...tenant, state: "active" } : undefined,
  );
}

export function deleteTenant(
  bucket: TenantBucket,
  id: string,
  { clock, graceMs }: { clock: Clock; graceMs: number },
): Promise<StateChanged> {
  return move(bucket, id, "deleted", (tenant) => {
    if (!isLiving(tenant)) return undefined;
    const deletedMs = clock.nowMs();
    const wasSuspended = tenant.state === "suspended" ? { wasSuspended: true as const } : {};
    return { ...tenant, ...wasSuspended, state: "deleted", deletedMs, purgeMs: deletedMs + graceMs }; // S2
  });
}

/** `as`: under this name; else under its own. */
export async function undeleteTenant(bucket: TenantBucket, id: string, as?: string): Promise<Undeleted> {
  if (as !== undefined && !isTenantName(as)) return { kind: "name-invalid" };
  const key = tenantKeyOf(id);
  for (let tries = 0; tries < triesMax; tries++) {
    const entry = id === "" ? undefined : await bucket.get(key);
    const record = entry?.value === undefined ? undefined : decodeTenant(id, entry.value);
    if (entry === undefined || record?.kind !== "tenant") return { kind: "unknown-tenant" };
    const { tenant } = record;
    if (isLiving(tenant)) return { kind: "unchanged", tenant };
    if (tenant.state !== "deleted") return { kind: "wrong-state", state: tenant.state };
    const name = as ?? tenant.name;
    const claimed = await claimName(bucket, name, id); // after its record was read: N3 of names.ts
    if (claimed === "taken") return { kind: "name-taken", name };
    if (claimed === "lost") continue;
    const back = living({ ...tenant, name });
    if (await settles(bucket.update(key, encodeJson(back), entry.revision)))
      return { kind: "changed", tenant: back };
  }
  throw new Outage("revision-conflict", `tenant ${id} is changed by others; try again`);
}

/** S3. */
function living({ deletedMs: _at, purgeMs: _until, wasSuspended, ...kept }: Tenant): Tenant {
  return { ...kept, state: wasSuspended === true ? "suspended" : "active" };
}

/** `now`: an operator does not want to wait for the time that was said. */
export async function beginPurge(
  bucket: TenantBucket,
  id: string,
  { clock, now }: { clock: Clock; now: boolean },
): Promise<PurgeBegun> {
  let early: PurgeBegun | undefined;
  const result = await move(bucket, id, "purging", (tenant) => {
    early = undefined;
    if (tenant.state !== "deleted") return undefined;
    if (now || isDue(tenant, clock.nowMs())) return { ...tenant, state: "purging" };
    early = { kind: "too-early", purgeMs: tenant.purgeMs };
    return undefined;
  });
  return early ?? result;
}

/** Its grace is over (S2). */
export function isDue({ state, purgeMs }: Tenant, nowMs: number): boolean {
  return state === "deleted" && typeof purgeMs === "number" && nowMs >= purgeMs;
}

/** Nothing is left of it in any shard: what stays is that its id was once given. */
export function endPurge(bucket: TenantBucket, id: string, clock: Clock): Promise<StateChanged> {
  return move(bucket, id, "purging", (tenant) => {
    if (tenant.state !== "purging" || tenant.purgedMs !== undefined) return undefined;
    const { rules: _rules, limits: _limits, addresses: _addresses, ...kept } = tenant;
    return { ...kept, keys: [], purgedMs: clock.nowMs() };
  });
}

async function move(
  bucket: TenantBucket,
  id: string,
  to: TenantState,
  change: (tenant: Tenant) => Tenant | undefined,
): Promise<StateChanged> {
  let seen: Tenant | undefined;
  const result = await changeTenant(bucket, id, (tenant) => {
    seen = tenant;
    return change(tenant);
  });
  if (result === "unknown-tenant" || seen === undefined) return { kind: "unknown-tenant" };
  if (result !== "unchanged") return { kind: "changed", tenant: result };
  return seen.state === to ? { kind: "unchanged", tenant: seen } : { kind: "wrong-state", state: seen.state };
}
