// What the verbs of the admin API work with, and the small things that all of them do.
import { Refused, type Asked } from "../../src/api/operate.ts";
import type { Bus, Kv } from "../../src/bus/bus.ts";
import type { Log } from "../../src/base/log.ts";
import type { Settings } from "../../src/config/settings.ts";
import { Outage } from "../../src/base/errors.ts";
import { findTenant, listTenants } from "../../src/tenant/admin.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";

export interface Operator {
  bus: Bus;
  tenants: Kv;
  cluster: Kv;
  settings: Settings;
  log: Log;
}

/** Throws bus-unavailable while there is no connection yet. */
export type OperatorOf = () => Promise<Operator>;

/** A server that hangs holds a connection open for minutes: nobody at night waits for that. */
const directoryMsMax = 5000;

/** Rejects with an Outage where it takes longer. It may go on all the same. */
export async function within<T>(work: Promise<T>, what: string, msMax: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Outage("bus-timeout", `${what} takes longer than ${msMax} ms`)),
      msMax,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** All tenants, those that are gone too. */
export function tenantsOf({ tenants }: Pick<Operator, "tenants">, msMax = directoryMsMax): Promise<Tenant[]> {
  return within(listTenants(tenants), "listing the tenants", msMax);
}

/** The living tenant of this name, or the one of this id. */
export async function tenantOf(
  { tenants }: Pick<Operator, "tenants">,
  name: string,
  msMax = directoryMsMax,
): Promise<Tenant> {
  const tenant = await within(findTenant(tenants, name), "looking for the tenant", msMax);
  if (tenant === undefined) throw new Refused(404, `there is no tenant ${name}: see millrace tenant list`);
  return tenant;
}

export function shardOf({ settings }: Pick<Operator, "settings">, text: string | undefined): number {
  const shard = /^\d{1,4}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (!(shard < settings.shards))
    throw new Refused(404, `there is no shard ${text ?? ""}: this system has ${settings.shards}, from 0`);
  return shard;
}

export function allShards({ settings }: Pick<Operator, "settings">): number[] {
  return Array.from({ length: settings.shards }, (_, shard) => shard);
}

/** A text of the body. */
export function textOf({ body }: Pick<Asked, "body">, name: string): string {
  const value = body[name];
  if (typeof value !== "string" || value === "") throw new Refused(400, `"${name}" is missing: a text`);
  return value;
}

export function maybeTextOf({ body }: Pick<Asked, "body">, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new Refused(400, `"${name}" is no text`);
  return value;
}

export function flagOf({ body }: Pick<Asked, "body">, name: string): boolean {
  const value = body[name] ?? false;
  if (typeof value !== "boolean") throw new Refused(400, `"${name}" is true or false`);
  return value;
}
