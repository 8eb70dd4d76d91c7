// The bucket MR_TENANTS as this room sees it, and what lies in it:
//
//   tenant.<id>    the tenant, or the mark that the id never became one
//   name.<name>    who has the name
//   adopt          that an operator vouches for what the bucket holds
//
// This room may not know the bus; what it needs of a bucket is the interface here, which the bus' Kv satisfies.
import { type Tenant, tenantStates } from "./tenant.ts";

export interface TenantEntry {
  key: string;
  /** undefined: deleted. */
  value: Uint8Array | undefined;
  revision: number;
}

export interface TenantBucket {
  get(key: string): Promise<TenantEntry | undefined>;
  create(key: string, value: Uint8Array): Promise<number>;
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  watch(handler: {
    onSnapshot(entries: TenantEntry[]): void;
    onChange(entry: TenantEntry): void;
    onLost(): void;
  }): { stop(): void };
}

export const adoptKey = "adopt";
const tenantPrefix = "tenant.";

export function tenantKeyOf(id: string): string {
  return tenantPrefix + id;
}

export function nameKeyOf(name: string): string {
  return `name.${name}`;
}

/** The id in a key `tenant.<id>`; undefined for other keys. */
export function idOfKey(key: string): string | undefined {
  return key.startsWith(tenantPrefix) ? key.slice(tenantPrefix.length) : undefined;
}

export type TenantRecord =
  | { kind: "tenant"; tenant: Tenant }
  /** An id that was claimed and given up: whoever claimed it can't make a tenant of it any more. */
  | { kind: "void" }
  | { kind: "invalid"; why: string };

export const voidRecord: Uint8Array = encodeJson({ void: true });

export function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** What a value holds as a JSON object; undefined: it is none. */
export function decodeJson(value: Uint8Array): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

export function decodeTenant(id: string, value: Uint8Array): TenantRecord {
  return tenantFrom(id, decodeJson(value));
}

/** Fields that we don't know stay in it: a newer version may have written them. */
export function tenantFrom(id: string, raw: Record<string, unknown> | undefined): TenantRecord {
  if (raw === undefined) return invalid("no JSON object");
  if (raw["void"] === true) return { kind: "void" };
  if (raw["id"] !== id || id === "") return invalid("another id inside");
  const { name, state, createdMs, keys, homes } = raw;
  if (typeof name !== "string" || !isTenantName(name)) return invalid("name");
  if (!(tenantStates as readonly unknown[]).includes(state)) return invalid("state");
  if (!isNumber(createdMs)) return invalid("createdMs");
  if (!Array.isArray(keys) || !keys.every(isKey)) return invalid("keys");
  if (!Array.isArray(homes) || !homes.every(isHome)) return invalid("homes");
  return { kind: "tenant", tenant: raw as unknown as Tenant };
}

/** 1 to 64 letters, digits, `-`, `_`, `.`. */
export function isTenantName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(name);
}

/** The marker's time, 0 where there is none or it can't be read. */
export function adoptMsOf(value: Uint8Array | undefined): number {
  const atMs = value === undefined ? undefined : decodeJson(value)?.["atMs"];
  return isNumber(atMs) ? atMs : 0;
}

function invalid(why: string): TenantRecord {
  return { kind: "invalid", why };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isKey(value: unknown): boolean {
  if (!isObject(value) || typeof value["hash"] !== "string") return false;
  if (!/^[0-9a-f]{64}$/.test(value["hash"]) || !isNumber(value["createdMs"])) return false;
  return value["kind"] === "write" || value["kind"] === "read";
}

function isHome(value: unknown): boolean {
  if (!isObject(value) || !isNumber(value["sinceMs"])) return false;
  const shard = value["shard"];
  return isNumber(shard) && Number.isInteger(shard) && shard >= 0;
}
