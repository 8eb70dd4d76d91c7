// Who has a name: `name.<name>` points at an id. Everything by compare-and-set.
//
// N1. Names are unique among the living. A name belongs to whom it points at, if that is a living tenant of this name;
//     everybody else who is pointed at can be replaced.
// N2. Who replaces a claim that has no tenant yet first makes its id void. So either the tenant came to be, or its
//     creation fails: an add that died halfway blocks nobody, and one that was only slow does not become a second
//     living tenant of the name.
// N3. Who takes a name that points at a deleted tenant first writes that one's record anew, as it is; who brings a deleted
//     tenant back reads its record before it claims the name. So of an undelete and an add of one name at the same time
//     one finds its compare-and-set lost, and looks again at whose the name is.
import { isOutage } from "../base/errors.ts";
import {
  decodeJson,
  decodeTenant,
  encodeJson,
  nameKeyOf,
  type TenantBucket,
  type TenantEntry,
  tenantKeyOf,
  voidRecord,
} from "./record.ts";
import type { Tenant } from "./tenant.ts";

/** How often a lost compare-and-set is tried again. */
export const triesMax = 16;

/** `lost`: somebody else moved; look again. */
export type Claimed = "claimed" | "taken" | "lost";

/** Points a name at an id. */
export async function claimName(bucket: TenantBucket, name: string, id: string): Promise<Claimed> {
  const key = nameKeyOf(name);
  const holder = await bucket.get(key);
  const held = holder === undefined ? undefined : holderOf(holder);
  if (held !== undefined && held !== id && !(await isFree(bucket, name, held))) return "taken";
  const claim = encodeJson({ id });
  const write = holder === undefined ? bucket.create(key, claim) : bucket.update(key, claim, holder.revision);
  return (await settles(write)) ? "claimed" : "lost";
}

/** The id that a name's entry points at; undefined: at nobody. */
export function holderOf(entry: TenantEntry): string | undefined {
  const id = entry.value === undefined ? undefined : decodeJson(entry.value)?.["id"];
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** May the name be taken from this id? Keeps it from coming to life under the name meanwhile (N2, N3). */
async function isFree(bucket: TenantBucket, name: string, id: string): Promise<boolean> {
  const key = tenantKeyOf(id);
  for (let tries = 0; tries < triesMax; tries++) {
    const entry = await bucket.get(key);
    if (entry?.value === undefined) {
      if (await settles(bucket.create(key, voidRecord))) return true;
      continue;
    }
    const record = decodeTenant(id, entry.value);
    if (record.kind === "invalid") return false; // nobody can say that it is dead
    if (record.kind === "void" || record.tenant.state === "purging") return true;
    if (isLiving(record.tenant)) return record.tenant.name !== name;
    if (await settles(bucket.update(key, entry.value, entry.revision))) return true; // N3
  }
  return false;
}

export function isLiving(tenant: Tenant): boolean {
  return tenant.state === "active" || tenant.state === "suspended";
}

/** false: the compare-and-set lost. Other outages are thrown on. */
export async function settles(write: Promise<number>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isOutage(error, "revision-conflict")) return false;
    throw error;
  }
}
