// `millrace tenant ...`: who may send and read. Keys are shown once, when they are made.
import { type AdminClient, withAdmin } from "./admin/client.ts";
import { type Holdings, holdingsText } from "./holdings.ts";
import type { Flags } from "./directory.ts";
import { say, type Output } from "./say.ts";
import { countText } from "./words.ts";

interface Added {
  id: string;
  name: string;
  writeKey: string;
  readKey: string;
}

interface Listed {
  id: string;
  name: string;
  state: string;
  keys: number;
  purgeMs?: number;
  purgedMs?: number;
}

export interface Shown extends Holdings {
  id: string;
  name: string;
  state: string;
  createdMs: number;
  keys: { hash: string; kind: string; createdMs: number }[];
  addresses?: string[];
  shards: number[];
  purgeMs?: number;
}

export function pathOf(name: string, verb = ""): string {
  return `/v1/tenants/${encodeURIComponent(name)}${verb === "" ? "" : `/${verb}`}`;
}

export function tenantAdd(name: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { id, writeKey, readKey } = await admin.post<Added>("/v1/tenants", { name });
    say(output, { id, name, writeKey, readKey }, [
      `tenant ${name} (${id})`,
      `write key  ${writeKey}`,
      `read key   ${readKey}`,
      "The keys are not shown again.",
    ]);
  });
}

export function tenantList(output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { tenants } = await admin.get<{ tenants: Listed[] }>("/v1/tenants");
    say(output, tenants, tenants.map(listLine));
  });
}

function listLine({ id, name, state, keys, purgeMs, purgedMs }: Listed): string {
  const until = purgedMs ?? (state === "deleted" ? purgeMs : undefined);
  const word = purgedMs === undefined ? "until" : "purged";
  const when = until === undefined ? "" : `  ${word} ${new Date(until).toISOString()}`;
  return `${id}  ${state.padEnd(9)}  ${countText(keys, "key").padStart(7)}  ${name}${when}`;
}

export function getTenant(admin: AdminClient, name: string): Promise<Shown> {
  return admin.get<Shown>(pathOf(name));
}

export function tenantShow(name: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const tenant = await getTenant(admin, name);
    const at = (ms: number) => new Date(ms).toISOString();
    const until =
      tenant.purgeMs === undefined ? "" : `, gone for good on ${at(tenant.purgeMs)} unless undeleted`;
    say(output, tenant, [
      `tenant ${tenant.name} (${tenant.id}), ${tenant.state}, since ${at(tenant.createdMs)}${until}`,
      `shards ${tenant.shards.join(", ")}`,
      ...holdingsText(tenant),
      ...tenant.keys.map((key) => `key ${key.hash}  ${key.kind.padEnd(5)}  ${at(key.createdMs)}`),
    ]);
  });
}

export function tenantKeyAdd(
  name: string,
  kind: "write" | "read",
  output: Output,
  flags: Flags,
): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const added = await admin.post<{ id: string; name: string; key: string }>(pathOf(name, "keys"), { kind });
    const { id, key } = added;
    say(output, { id, name: added.name, kind, key }, [
      `${kind} key of ${added.name}  ${key}`,
      "It is not shown again.",
    ]);
  });
}

export function tenantKeyRemove(name: string, hash: string, output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const removed = await admin.post<{ id: string; name: string }>(pathOf(name, "keys/remove"), { hash });
    say(output, { id: removed.id, name: removed.name, removed: hash }, [`removed key ${hash} of ${name}`]);
  });
}

export function tenantAdopt(output: Output, flags: Flags): Promise<void> {
  return withAdmin(flags, async (admin) => {
    const { tenants, done } = await admin.post<{ tenants: number; done: string }>("/v1/tenants/adopt", {});
    say(output, { tenants }, [done]);
  });
}
