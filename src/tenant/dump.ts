// The whole bucket MR_TENANTS as rows of JSON, for backups, and back into a bucket.
//
// D1. Filling only creates: what the bucket holds already is newer, and stays. So it may be done again, from the
//     beginning, after whatever interrupted it.
// D2. Tenants go before names: a name that points at nobody could be taken by another tenant (names.ts, N2).
import { isOutage, Outage } from "../base/errors.ts";
import {
  decodeJson,
  encodeJson,
  nameKeyOf,
  type TenantBucket,
  type TenantEntry,
  tenantKeyOf,
} from "./record.ts";
import type { Tenant } from "./tenant.ts";

/** An entry; its value as text where it is text, so that a person can read the file. */
export type DumpRow = { key: string; text: string } | { key: string; base64: string };

const format = 1;
const createsAtOnce = 32;

/** Rejects with bus-unavailable when the connection is lost meanwhile. */
export function dumpBucket(bucket: TenantBucket): Promise<DumpRow[]> {
  return new Promise((resolve, reject) => {
    const watch = bucket.watch({
      onSnapshot(entries) {
        resolve(entries.flatMap(rowOf));
        queueMicrotask(() => watch.stop());
      },
      onChange: () => undefined,
      onLost() {
        reject(new Outage("bus-unavailable", "connection lost while reading the tenants"));
        queueMicrotask(() => watch.stop());
      },
    });
  });
}

/** What a process's local copy of the directory gives: without ids that never became tenants, and the adopt marker. */
export function dumpTenants(tenants: readonly Tenant[]): DumpRow[] {
  const living = tenants.filter(({ state }) => state === "active" || state === "suspended");
  const text = (key: string, value: object): DumpRow => ({ key, text: JSON.stringify(value) });
  return [
    ...tenants.map((tenant) => text(tenantKeyOf(tenant.id), tenant)),
    ...living.map(({ id, name }) => text(nameKeyOf(name), { id })),
  ];
}

function rowOf({ key, value }: TenantEntry): DumpRow[] {
  if (value === undefined) return [];
  const bytes = Buffer.from(value);
  const text = bytes.toString("utf8");
  return [Buffer.from(text).equals(bytes) ? { key, text } : { key, base64: bytes.toString("base64") }];
}

export function encodeDump(rows: readonly DumpRow[]): Uint8Array {
  return encodeJson({ format, rows });
}

/** undefined: it is none. */
export function decodeDump(bytes: Uint8Array): DumpRow[] | undefined {
  const dump = decodeJson(bytes);
  const rows = dump?.["rows"];
  return dump?.["format"] === format && isDump(rows) ? rows : undefined;
}

export function isDump(rows: unknown): rows is DumpRow[] {
  return Array.isArray(rows) && rows.every(isRow);
}

function isRow(row: unknown): boolean {
  if (typeof row !== "object" || row === null || !("key" in row) || typeof row.key !== "string") return false;
  if (row.key === "") return false;
  return (
    ("text" in row && typeof row.text === "string") || ("base64" in row && typeof row.base64 === "string")
  );
}

/** D1, D2. Answers how many were not there yet. Rejects with an Outage. */
export async function fillBucket(bucket: TenantBucket, rows: readonly DumpRow[]): Promise<number> {
  const tenant = tenantKeyOf("");
  const ordered = [
    ...rows.filter(({ key }) => key.startsWith(tenant)),
    ...rows.filter(({ key }) => !key.startsWith(tenant)),
  ];
  let created = 0;
  for (let i = 0; i < ordered.length; i += createsAtOnce) {
    const made = await Promise.all(ordered.slice(i, i + createsAtOnce).map((row) => create(bucket, row)));
    created += made.filter(Boolean).length;
  }
  return created;
}

async function create(bucket: TenantBucket, row: DumpRow): Promise<boolean> {
  const value = "text" in row ? Buffer.from(row.text) : Buffer.from(row.base64, "base64");
  try {
    await bucket.create(row.key, value);
    return true;
  } catch (error) {
    if (isOutage(error, "revision-conflict")) return false;
    throw error;
  }
}
