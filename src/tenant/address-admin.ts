// What operators do to a tenant's addresses, by compare-and-set as everything of admin.ts.
import { changeTenant, listTenants } from "./admin.ts";
import { networksMax, networksOf, readNetwork } from "./networks.ts";
import type { TenantBucket } from "./record.ts";
import type { Tenant } from "./tenant.ts";

export type AddressChanged =
  /** `address`: as the record has it. */
  | { kind: "changed" | "unchanged"; tenant: Tenant; address: string }
  | { kind: "unknown-tenant" }
  | { kind: "invalid"; why: string }
  /** Another living tenant has this very network; a part of it, or one around it, would be fine. */
  | { kind: "taken"; by: Tenant }
  | { kind: "too-many" };

export async function addAddress(bucket: TenantBucket, id: string, text: string): Promise<AddressChanged> {
  const read = readNetwork(text);
  if (read.kind === "invalid") return read;
  const address = read.network.text;
  const by = (await listTenants(bucket)).find(
    (tenant) =>
      tenant.id !== id &&
      (tenant.state === "active" || tenant.state === "suspended") &&
      networksOf(tenant).some((network) => network.text === address),
  );
  if (by !== undefined) return { kind: "taken", by };
  return await change(bucket, id, address, (addresses) =>
    addresses.includes(address) ? addresses : [...addresses, address],
  );
}

export async function removeAddress(bucket: TenantBucket, id: string, text: string): Promise<AddressChanged> {
  const read = readNetwork(text);
  if (read.kind === "invalid") return read;
  const address = read.network.text;
  return await change(bucket, id, address, (addresses) => addresses.filter((one) => one !== address));
}

/** A list that could not be read is replaced by what was changed. */
async function change(
  bucket: TenantBucket,
  id: string,
  address: string,
  next: (addresses: string[]) => string[],
): Promise<AddressChanged> {
  const refused: AddressChanged[] = [];
  const result = await changeTenant(bucket, id, (tenant) => {
    const before = networksOf(tenant).map((network) => network.text);
    const after = next(before);
    if (after.length <= networksMax && after.length !== before.length) return { ...tenant, addresses: after };
    refused.push(after.length > networksMax ? { kind: "too-many" } : { kind: "unchanged", tenant, address });
    return undefined;
  });
  if (result === "unknown-tenant") return { kind: "unknown-tenant" };
  if (result !== "unchanged") return { kind: "changed", tenant: result, address };
  return refused.at(-1) ?? { kind: "unknown-tenant" };
}
