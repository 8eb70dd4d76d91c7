// Verbs of the admin API about what becomes of a tenant: suspended and active again, deleted and back, gone for good.
import { Refused, type Asked, type Verb } from "../../src/api/operate.ts";
import { unreachable } from "../../src/base/assert.ts";
import { systemClock as clock } from "../../src/base/clock.ts";
import { findGone, findTenant } from "../../src/tenant/admin.ts";
import { allHomes } from "../../src/tenant/routing.ts";
import {
  activateTenant,
  beginPurge,
  deleteTenant,
  suspendTenant,
  undeleteTenant,
  type PurgeBegun,
  type Undeleted,
} from "../../src/tenant/states.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { readPurge } from "../../cluster/purge-progress.ts";
import { deletePreview, purgePreview, weightOf, type TenantWeight } from "../tenant-leaving.ts";
import { flagOf, maybeTextOf, tenantOf, type Operator, type OperatorOf } from "./operator.ts";

const url = "/v1/tenants/:name";

export function stateVerbs(operator: OperatorOf): Verb[] {
  const changes = { method: "POST", effect: "changes" } as const;
  return [
    { ...changes, url: `${url}/suspend`, answer: (asked) => suspend(operator, asked) },
    { ...changes, url: `${url}/activate`, answer: (asked) => activate(operator, asked) },
    { method: "POST", effect: "discards", url: `${url}/delete`, answer: (asked) => remove(operator, asked) },
    { ...changes, url: `${url}/undelete`, answer: (asked) => undelete(operator, asked) },
    { method: "GET", url: `${url}/purge`, effect: "none", answer: (asked) => purge(operator, asked) },
  ];
}

async function suspend(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const { id, name } = await tenantOf(at, asked.params["name"] ?? "");
  if (asked.dryRun) return { preview: `the lines and queries of ${name} would be refused` };
  return moved(await suspendTenant(at.tenants, id), `${name} is suspended: its lines are refused`, name);
}

async function activate(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const { id, name } = await tenantOf(at, asked.params["name"] ?? "");
  if (asked.dryRun) return { preview: `${name} could send and read again` };
  return moved(await activateTenant(at.tenants, id), `${name} is active`, name);
}

async function remove(operator: OperatorOf, asked: Asked): Promise<object> {
  const now = flagOf(asked, "now");
  const at = await operator();
  const tenant = await livingOrGone(at, asked.params["name"] ?? "");
  const { id, name } = tenant;
  const purgeMs = tenant.purgeMs ?? clock.nowMs() + at.settings.tenantGrace;
  if (asked.dryRun) {
    const weight = await weighed(at, id);
    return { preview: now ? purgePreview(name, weight) : deletePreview(name, weight, purgeMs), id, name };
  }
  const deleted = await deleteTenant(at.tenants, id, { clock, graceMs: at.settings.tenantGrace });
  // One that is being purged is on its way already.
  if (deleted.kind === "wrong-state" && deleted.state !== "purging") return moved(deleted, "", name);
  if (deleted.kind === "unknown-tenant") return moved(deleted, "", name);
  if (!now) {
    if (deleted.kind === "wrong-state") return moved(deleted, "", name);
    const when = new Date(deleted.tenant.purgeMs ?? purgeMs).toISOString();
    const done = `${name} is deleted: its lines are refused; gone for good on ${when} unless undeleted (id ${id})`;
    return { done, id, name, outcome: deleted.kind, purgeMs: deleted.tenant.purgeMs };
  }
  const begun = await beginPurge(at.tenants, id, { clock, now: true });
  return moved(begun, `${name} is deleted, and its series go now`, name);
}

async function undelete(operator: OperatorOf, asked: Asked): Promise<object> {
  const as = maybeTextOf(asked, "as");
  const at = await operator();
  const said = asked.params["name"] ?? "";
  const [tenant, ...others] = await findGone(at.tenants, said);
  if (tenant === undefined) {
    await tenantOf(at, said);
    throw new Refused(409, `${said} is not deleted`);
  }
  if (others.some(({ state }) => state === "deleted") && tenant.id !== said)
    throw new Refused(
      409,
      `several deleted tenants had the name ${said}: give the id, ${[tenant, ...others].map(({ id }) => id).join(" or ")}`,
    );
  const { id } = tenant;
  const name = as ?? tenant.name;
  if (asked.dryRun) return { preview: `the tenant ${name} (${id}) would be back, with all it had`, id, name };
  return moved(await undeleteTenant(at.tenants, id, as), `${name} is back, with all it had`, name);
}

async function purge(operator: OperatorOf, asked: Asked): Promise<object> {
  const at = await operator();
  const {
    id,
    name,
    state,
    purgeMs = null,
    purgedMs = null,
  } = await livingOrGone(at, asked.params["name"] ?? "");
  const progress = await readPurge(at.cluster, id);
  return { id, name, state, purgeMs, purgedMs, of: at.settings.shards, progress };
}

async function livingOrGone(at: Operator, name: string): Promise<Tenant> {
  const tenant = (await findTenant(at.tenants, name)) ?? (await findGone(at.tenants, name))[0];
  if (tenant === undefined) throw new Refused(404, `there is no tenant ${name}: see millrace tenant list`);
  return tenant;
}

async function weighed(at: Operator, id: string): Promise<TenantWeight> {
  const shards = allHomes(await livingOrGone(at, id), at.settings.shards);
  return weightOf(at.bus, id, shards, clock.nowMs());
}

function moved(result: Undeleted | PurgeBegun, done: string, name: string): object {
  switch (result.kind) {
    case "changed":
      return { done, id: result.tenant.id, name: result.tenant.name, outcome: result.kind };
    case "unchanged":
      return { done: `${done}, as before`, id: result.tenant.id, name, outcome: result.kind };
    case "unknown-tenant":
      throw new Refused(404, `there is no tenant ${name} any more`);
    case "wrong-state":
      throw new Refused(409, `${name} is ${result.state}: that can't be done`);
    case "name-taken":
      throw new Refused(
        409,
        `another tenant has the name ${result.name} now: bring it back with --as NEWNAME`,
      );
    case "name-invalid":
      throw new Refused(400, "that is no name for a tenant: 1 to 64 letters, digits, -, _ and .");
    case "too-early":
      throw new Refused(409, `${name} can still be undeleted`);
    default:
      return unreachable(result);
  }
}
