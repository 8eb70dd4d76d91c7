// `millrace tenant ...`: who may send and read. Keys are shown once, when they are made.
import { isOutage, messageOf } from "../src/base/errors.ts";
import { makeLog } from "../src/base/log.ts";
import { systemRandom } from "../src/base/random.ts";
import { connectNats } from "../src/bus/nats.ts";
import type { Bus, Kv } from "../src/bus/bus.ts";
import { tenantsBucket } from "../src/bus/subjects.ts";
import { natsUrlOf } from "../src/config/places.ts";
import { readSettings, type SettingName, type Settings } from "../src/config/settings.ts";
import { addKey, addTenant, adopt, findTenant, listTenants, removeKey } from "../src/tenant/admin.ts";
import { allHomes } from "../src/tenant/routing.ts";
import type { KeyKind, Tenant } from "../src/tenant/tenant.ts";
import { holdingsOf, holdingsText } from "./holdings.ts";
import { clock, exitFinal } from "./process.ts";
import { withoutSecrets } from "./processes.ts";

export type Flags = Partial<Record<SettingName, string>>;
export interface Output {
  json: boolean;
}

const connectMsMax = 5000;
const parts = { clock, random: systemRandom };

export function tenantAdd(name: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const added = await addTenant(kv, name, parts);
    if (added.kind === "name-taken") throw new Refusal(`there is a tenant ${name} already`);
    if (added.kind === "name-invalid")
      throw new Refusal(`"${name}" is no name for a tenant: 1 to 64 letters, digits, -, _ and .`);
    const { tenant, writeKey, readKey } = added;
    const { id } = tenant;
    say(output, { id, name, writeKey, readKey }, [
      `tenant ${name} (${id})`,
      `write key  ${writeKey}`,
      `read key   ${readKey}`,
      "The keys are not shown again.",
    ]);
  });
}

export function tenantList(output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const tenants = await listTenants(kv);
    const rows = tenants.map(({ id, name, state, keys }) => ({ id, name, state, keys: keys.length }));
    say(
      output,
      rows,
      rows.map(
        (row) => `${row.id}  ${row.state.padEnd(9)}  ${String(row.keys).padStart(2)} keys  ${row.name}`,
      ),
    );
  });
}

export function tenantShow(name: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv, settings, bus) => {
    const tenant = await find(kv, name);
    const shards = allHomes(tenant, settings.shards);
    const keys = tenant.keys.map((key) => ({ ...key, hash: key.hash.slice(0, 12) }));
    const holdings = await holdingsOf(bus, tenant.id, shards);
    say(output, { ...tenant, keys, shards, ...holdings }, [
      `tenant ${tenant.name} (${tenant.id}), ${tenant.state}, since ${new Date(tenant.createdMs).toISOString()}`,
      `shards ${shards.join(", ")}`,
      ...holdingsText(holdings),
      ...keys.map(
        (key) => `key ${key.hash}  ${key.kind.padEnd(5)}  ${new Date(key.createdMs).toISOString()}`,
      ),
    ]);
  });
}

export function tenantKeyAdd(name: string, kind: KeyKind, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const tenant = await find(kv, name);
    const added = await addKey(kv, tenant.id, kind, parts);
    if (added.kind === "too-many-keys")
      throw new Refusal(`${name} has as many keys as it may have: remove one first`);
    if (added.kind === "unknown-tenant") throw new Refusal(`there is no tenant ${name} any more`);
    const { key } = added;
    say(output, { id: tenant.id, name: tenant.name, kind, key }, [
      `${kind} key of ${tenant.name}  ${key}`,
      "It is not shown again.",
    ]);
  });
}

export function tenantKeyRemove(name: string, hash: string, output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    const tenant = await find(kv, name);
    const removed = await removeKey(kv, tenant.id, hash.toLowerCase());
    if (removed.kind !== "removed")
      throw new Refusal(
        `not exactly one key of ${name} has a hash that begins with ${hash}: give 8 characters or more`,
      );
    say(output, { id: tenant.id, name: tenant.name, removed: hash }, [`removed key ${hash} of ${name}`]);
  });
}

export function tenantAdopt(output: Output, flags: Flags): Promise<void> {
  return withDirectory(flags, async (kv) => {
    await adopt(kv, clock);
    const count = (await listTenants(kv)).length;
    say(output, { tenants: count }, [
      `the directory as it is now, with ${count} tenants, is the one to believe`,
    ]);
  });
}

/** What the caller asked for can't be: said as it is, exit code 1. */
export class Refusal extends Error {}

export async function find(kv: Kv, name: string): Promise<Tenant> {
  const tenant = await findTenant(kv, name);
  if (tenant === undefined) throw new Refusal(`there is no tenant ${name}: see millrace tenant list`);
  return tenant;
}

export function say(output: Output, json: unknown, lines: string[]): void {
  process.stdout.write(output.json ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join(""));
}

/** Ends the process: with the code that `action` answers, 0 for none. */
export async function withDirectory(
  flags: Flags,
  action: (kv: Kv, settings: Settings, bus: Bus) => Promise<number | void>,
): Promise<void> {
  let code: number;
  try {
    const settings = readSettings(process.env, flags);
    const url = natsUrlOf(settings);
    const log = makeLog("cli", "error");
    const connecting = connectNats({ url, name: "millrace-cli", clock, random: systemRandom, log });
    const bus = await Promise.race([connecting, clock.sleep(connectMsMax)]);
    if (bus === undefined)
      throw new Refusal(`NATS at ${withoutSecrets(url)} does not answer: does the system run?`);
    try {
      code = (await action(await bus.kv(tenantsBucket), settings, bus)) ?? 0;
    } finally {
      await bus.close();
    }
    process.exit(code);
  } catch (error) {
    process.stderr.write(`millrace: ${messageOf(error)}\n`);
    process.exit(isOutage(error, "settings-invalid") ? exitFinal : 1);
  }
}
