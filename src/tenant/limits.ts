// What a tenant may send: its record's own limits, and the settings' where the record says nothing.
//
// What can't be read costs the limits, not the tenant: it goes on with those of the settings.
import { nameBytesMax } from "../metric/line.ts";
import type { Tenant, TenantLimits } from "./tenant.ts";

/** Infinity: not limited. */
export interface Limits {
  /** Over all gateways. */
  pointsPerSecond: number;
  /** Live ones, in each shard that the tenant is or was at home on. */
  series: number;
  nameBytes: number;
  tags: number;
}

/** The settings MILLRACE_TENANT_POINTS and MILLRACE_TENANT_SERIES. */
export interface StandardLimits {
  tenantPoints: number | "off";
  tenantSeries: number | "off";
}

/** [least, most, may be off] */
export const limitBounds = {
  pointsPerSecond: [1, 1e9, true],
  series: [1, 1e8, true],
  nameBytes: [1, nameBytesMax, false],
  tags: [0, nameBytesMax, false],
} as const;

export type LimitName = keyof typeof limitBounds;

export const limitNames = Object.keys(limitBounds) as LimitName[];

export type ReadLimits = { kind: "limits"; limits: TenantLimits } | { kind: "invalid"; why: string };

/** Judges what a record holds. Nothing there is no limits of its own; fields that we don't know are left alone. */
export function readLimits(raw: unknown): ReadLimits {
  if (raw === undefined) return { kind: "limits", limits: {} };
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    return { kind: "invalid", why: "no object" };
  const limits: { -readonly [Name in LimitName]?: number | "off" } = {};
  for (const name of limitNames) {
    const value: unknown = Reflect.get(raw, name);
    if (value === undefined) continue;
    if (!isLimit(name, value)) return { kind: "invalid", why: name };
    limits[name] = value;
  }
  return { kind: "limits", limits: limits as TenantLimits };
}

export function isLimit(name: LimitName, value: unknown): value is number | "off" {
  const [least, most, maybeOff] = limitBounds[name];
  if (value === "off") return maybeOff;
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

/** The record's own; none where they can't be read. */
export function ownLimits(tenant: Tenant): TenantLimits {
  const read = readLimits(tenant.limits);
  return read.kind === "limits" ? read.limits : {};
}

export function limitsOf(tenant: Tenant, standard: StandardLimits): Limits {
  const own = ownLimits(tenant);
  const number = (value: number | "off") => (value === "off" ? Number.POSITIVE_INFINITY : value);
  return {
    pointsPerSecond: number(own.pointsPerSecond ?? standard.tenantPoints),
    series: number(own.series ?? standard.tenantSeries),
    nameBytes: own.nameBytes ?? nameBytesMax,
    tags: own.tags ?? Number.POSITIVE_INFINITY,
  };
}
