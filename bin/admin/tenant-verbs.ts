// Verbs of the admin API about tenants: who may send and read, what, and from where. Keys are answered once, when they
// are made.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { unreachable } from "../../src/base/assert.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import { systemRandom as random } from "../../src/base/random.ts";
import { addAddress, removeAddress } from "../../src/tenant/address-admin.ts";
import { addKey, addTenant, adopt, removeKey } from "../../src/tenant/admin.ts";
import { networksMax, networksOf } from "../../src/tenant/networks.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { holdingsOf } from "../holdings.ts";
import { tenantOf, tenantsOf, textOf, type OperatorOf } from "./operator.ts";
import { countText } from "../words.ts";

const parts = { clock, random };
const url = "/v1/tenants";

export function tenantVerbs(operator: OperatorOf): Verb[] {
  const changes = { method: "POST", effect: "changes" } as const;
  return [
    { method: "GET", url, effect: "none", answer: () => list(operator) },
    { ...changes, url, answer: (asked) => add(operator, asked) },
    { method: "GET", url: `${url}/:name`, effect: "none", answer: (asked) => show(operator, asked) },
    { method: "POST", effect: "discards", url: `${url}/adopt`, answer: (asked) => believe(operator, asked) },
    { ...changes, url: `${url}/:name/keys`, answer: (asked) => keyAdd(operator, asked) },
    { ...changes, url: `${url}/:name/keys/remove`, answer: (asked) => keyRemove(operator, asked) },
    { ...changes, url: `${url}/:name/addresses`, answer: (asked) => address(operator, asked, "add") },
    {
      ...changes,
      url: `${url}/:name/addresses/remove`,
      answer: (asked) => address(operator, asked, "remove"),
    },
  ];
}

/** As it is shown: of its keys only the beginning of the hash. */
export function shownTenant(tenant: Tenant) {
  return { ...tenant, keys: tenant.keys.map((key) => ({ ...key, hash: key.hash.slice(0, 12) })) };
}

async function list(operator: OperatorOf): Promise<object> {
  const { tenants } = await operator();
  const rows = (await tenantsOf({ tenants })).map(({ id, name, state, keys, purgeMs, purgedMs }) => ({
    id,
    name,
    state,
    keys: keys.length,
    ...(purgeMs !== undefined && { purgeMs }),
    ...(purgedMs !== undefined && { purgedMs }),
  }));
  return { tenants: rows };
}

async function add(operator: OperatorOf, asked: Asked): Promise<object> {
  const name = textOf(asked, "name");
  if (asked.dryRun) return { preview: `the tenant ${name} would be added` };
  const added = await addTenant((await operator()).tenants, name, parts);
  if (added.kind === "name-taken") throw new Refused(409, `there is a tenant ${name} already`);
  if (added.kind === "name-invalid")
    throw new Refused(400, `"${name}" is no name for a tenant: 1 to 64 letters, digits, -, _ and .`);
  const { tenant, writeKey, readKey } = added;
  return { done: `tenant ${name} (${tenant.id}) was added`, id: tenant.id, name, writeKey, readKey };
}

async function show(operator: OperatorOf, { params }: Asked): Promise<object> {
  const at = await operator();
  const tenant = await tenantOf(at, params["name"] ?? "");
  const shards = allHomes(tenant, at.settings.shards);
  return { ...shownTenant(tenant), shards, ...(await holdingsOf(at.bus, tenant.id, shards)) };
}

async function believe(operator: OperatorOf, asked: Asked): Promise<object> {
  const { tenants } = await operator();
  const count = async () => (await tenantsOf({ tenants })).length;
  if (asked.dryRun)
    return { preview: `a directory with ${countText(await count(), "tenant")} would be believed` };
  await adopt(tenants, clock);
  const known = await count();
  return {
    done: `the directory as it is now, with ${countText(known, "tenant")}, is the one to believe`,
    tenants: known,
  };
}

async function keyAdd(operator: OperatorOf, asked: Asked): Promise<object> {
  const kind = asked.body["kind"] ?? "write";
  if (kind !== "write" && kind !== "read") throw new Refused(400, '"kind" is write or read');
  const at = await operator();
  const tenant = await tenantOf(at, asked.params["name"] ?? "");
  const { id, name } = tenant;
  if (asked.dryRun) return { preview: `${name} would get a ${kind} key more` };
  const added = await addKey(at.tenants, id, kind, parts);
  if (added.kind === "too-many-keys")
    throw new Refused(409, `${name} has as many keys as it may have: remove one first`);
  if (added.kind === "unknown-tenant") throw new Refused(404, `there is no tenant ${name} any more`);
  return { done: `${name} has a ${kind} key more`, id, name, kind, key: added.key };
}

async function keyRemove(operator: OperatorOf, asked: Asked): Promise<object> {
  const hash = textOf(asked, "hash");
  const at = await operator();
  const { id, name } = await tenantOf(at, asked.params["name"] ?? "");
  if (asked.dryRun) return { preview: `the key ${hash} of ${name} would be removed` };
  const removed = await removeKey(at.tenants, id, hash.toLowerCase());
  if (removed.kind !== "removed")
    throw new Refused(
      409,
      `not exactly one key of ${name} has a hash that begins with ${hash}: give 8 characters or more`,
    );
  return { done: `removed key ${hash} of ${name}`, id, name, removed: hash };
}

async function address(operator: OperatorOf, asked: Asked, verb: "add" | "remove"): Promise<object> {
  const text = textOf(asked, "address");
  const at = await operator();
  const { id, name } = await tenantOf(at, asked.params["name"] ?? "");
  if (asked.dryRun)
    return { preview: `${text} would be ${verb === "add" ? "added to" : "taken from"} ${name}` };
  const result = await (verb === "add" ? addAddress : removeAddress)(at.tenants, id, text);
  switch (result.kind) {
    case "changed":
    case "unchanged": {
      const does = verb === "add" ? "is taken as" : "is not taken as";
      const more = result.kind === "unchanged" ? ", as before" : "";
      const done = `what ${result.address} sends to raw doors without a key ${does} ${name}'s${more}`;
      const addresses = networksOf(result.tenant).map((network) => network.text);
      return { done, id, name, outcome: result.kind, addresses };
    }
    case "invalid":
      throw new Refused(400, result.why);
    case "taken":
      throw new Refused(
        409,
        `${result.by.name} has this very network: give a part of it, or remove it there first`,
      );
    case "too-many":
      throw new Refused(409, `${name} has ${networksMax} addresses, which is the most`);
    case "unknown-tenant":
      throw new Refused(404, `there is no tenant ${name} any more`);
    default:
      return unreachable(result);
  }
}
