// Active, suspended, deleted, purging: what leads where, and that two operators at once leave one living tenant a name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addTenant, changeTenant, findGone, findTenant, listTenants } from "../../src/tenant/admin.ts";
import { isLiving } from "../../src/tenant/names.ts";
import { encodeJson, nameKeyOf, type TenantBucket } from "../../src/tenant/record.ts";
import {
  activateTenant,
  beginPurge,
  deleteTenant,
  endPurge,
  suspendTenant,
  undeleteTenant,
} from "../../src/tenant/states.ts";
import type { Tenant } from "../../src/tenant/tenant.ts";
import { ManualClock } from "../harness/clock.ts";
import { Turns } from "./turns.ts";

const graceMs = 1000;

interface World {
  clock: ManualClock;
  bucket: TenantBucket;
  tenant: Tenant;
  parts: { clock: ManualClock; random: ReturnType<typeof seededRandom> };
}

async function world(): Promise<World> {
  const clock = new ManualClock();
  const parts = { clock, random: seededRandom(3) };
  const bucket = await createMemoryBus(parts).kv(tenantsBucket);
  const added = await addTenant(bucket, "acme", parts);
  assert.ok(added.kind === "added");
  return { clock, bucket, tenant: added.tenant, parts };
}

const verbs = {
  suspend: ({ bucket, tenant }: World) => suspendTenant(bucket, tenant.id),
  activate: ({ bucket, tenant }: World) => activateTenant(bucket, tenant.id),
  delete: ({ bucket, tenant, clock }: World) => deleteTenant(bucket, tenant.id, { clock, graceMs }),
  undelete: ({ bucket, tenant }: World) => undeleteTenant(bucket, tenant.id),
  purge: ({ bucket, tenant, clock }: World) => beginPurge(bucket, tenant.id, { clock, now: false }),
  "purge now": ({ bucket, tenant, clock }: World) => beginPurge(bucket, tenant.id, { clock, now: true }),
  "end purge": ({ bucket, tenant, clock }: World) => endPurge(bucket, tenant.id, clock),
};

test("from each state each verb leads where it should, or says why not", async () => {
  const ways = {
    active: [],
    suspended: ["suspend"],
    deleted: ["delete"],
    "deleted, was suspended": ["suspend", "delete"],
    purging: ["delete", "purge now"],
    purged: ["delete", "purge now", "end purge"],
  } as const satisfies Record<string, readonly (keyof typeof verbs)[]>;
  const f = async (from: keyof typeof ways, verb: keyof typeof verbs, kind: string, state: string) => {
    const w = await world();
    for (const step of ways[from]) assert.equal((await verbs[step](w)).kind, "changed");
    const { kind: got } = await verbs[verb](w);
    const now = (await findTenant(w.bucket, w.tenant.id))?.state;
    assert.deepEqual([got, now], [kind, state], `${from}: ${verb}`);
  };
  await f("active", "suspend", "changed", "suspended");
  await f("active", "activate", "unchanged", "active");
  await f("active", "delete", "changed", "deleted");
  await f("active", "undelete", "unchanged", "active");
  await f("active", "purge now", "wrong-state", "active");
  await f("active", "end purge", "wrong-state", "active");
  await f("suspended", "suspend", "unchanged", "suspended");
  await f("suspended", "activate", "changed", "active");
  await f("suspended", "delete", "changed", "deleted");
  await f("suspended", "undelete", "unchanged", "suspended");
  await f("deleted", "suspend", "wrong-state", "deleted");
  await f("deleted", "activate", "wrong-state", "deleted");
  await f("deleted", "delete", "unchanged", "deleted");
  await f("deleted", "undelete", "changed", "active");
  await f("deleted", "purge", "too-early", "deleted");
  await f("deleted", "purge now", "changed", "purging");
  await f("deleted", "end purge", "wrong-state", "deleted");
  await f("deleted, was suspended", "undelete", "changed", "suspended");
  for (const from of ["purging", "purged"] as const) {
    for (const verb of ["suspend", "activate", "delete", "undelete"] as const)
      await f(from, verb, "wrong-state", "purging");
    await f(from, "purge", "unchanged", "purging");
  }
  await f("purging", "end purge", "changed", "purging");
  await f("purged", "end purge", "unchanged", "purging");
  const w = await world();
  w.tenant.id = "nobody";
  for (const verb of Object.keys(verbs) as (keyof typeof verbs)[])
    assert.equal((await verbs[verb](w)).kind, "unknown-tenant", verb);
});

test("an undelete brings everything back; the grace is the one that was said", async () => {
  const w = await world();
  const before = await changeTenant(w.bucket, w.tenant.id, (tenant) => ({
    ...tenant,
    limits: { pointsPerSecond: 5 },
    addresses: ["10.0.0.0/8"],
  }));
  await verbs.delete(w);
  const [gone] = await findGone(w.bucket, "acme");
  assert.equal(gone?.purgeMs, w.clock.nowMs() + graceMs);
  assert.equal(await findTenant(w.bucket, "acme"), undefined);
  w.clock.advance(graceMs - 1);
  assert.deepEqual(await verbs.purge(w), { kind: "too-early", purgeMs: gone.purgeMs });
  assert.deepEqual(await verbs.undelete(w), { kind: "changed", tenant: before });
  assert.deepEqual(await findTenant(w.bucket, "acme"), before);

  await verbs.delete(w);
  w.clock.advance(graceMs);
  assert.equal((await verbs.purge(w)).kind, "changed");
  const ended = await verbs["end purge"](w);
  const { limits: _limits, addresses: _addresses, ...small } = before as Tenant;
  const purgedMs = w.clock.nowMs();
  const deletedMs = purgedMs - graceMs;
  assert.deepEqual(ended, {
    kind: "changed",
    tenant: { ...small, state: "purging", keys: [], deletedMs, purgeMs: purgedMs, purgedMs },
  });
});

test("a deleted tenant of which nobody said until when is purged only when an operator says so", async () => {
  const w = await world();
  await changeTenant(w.bucket, w.tenant.id, (tenant) => ({ ...tenant, state: "deleted" }));
  w.clock.advance(1e12);
  assert.deepEqual(await verbs.purge(w), { kind: "too-early", purgeMs: undefined });
  assert.equal((await verbs["purge now"](w)).kind, "changed");
});

test("the name was given away: it comes back under another one, which must be a free name", async () => {
  const w = await world();
  await verbs.delete(w);
  const young = await addTenant(w.bucket, "acme", w.parts);
  assert.ok(young.kind === "added");
  assert.deepEqual(await verbs.undelete(w), { kind: "name-taken", name: "acme" });
  assert.deepEqual(await undeleteTenant(w.bucket, w.tenant.id, "a b"), { kind: "name-invalid" });
  assert.equal((await undeleteTenant(w.bucket, w.tenant.id, "acme.old")).kind, "changed");
  assert.equal((await findTenant(w.bucket, "acme"))?.id, young.tenant.id);
  assert.equal((await findTenant(w.bucket, "acme.old"))?.id, w.tenant.id);
  assert.equal((await addTenant(w.bucket, "acme.old", w.parts)).kind, "name-taken");
});

test("several of one name can be gone; the one deleted last comes first", async () => {
  const w = await world();
  await verbs.delete(w);
  w.clock.advance(1);
  const young = await addTenant(w.bucket, "acme", w.parts);
  assert.ok(young.kind === "added");
  w.clock.advance(1);
  await deleteTenant(w.bucket, young.tenant.id, { clock: w.clock, graceMs });
  const ids = async (name: string) => (await findGone(w.bucket, name)).map(({ id }) => id);
  assert.deepEqual(await ids("acme"), [young.tenant.id, w.tenant.id]);
  assert.deepEqual(await ids(w.tenant.id), [w.tenant.id]);
  await undeleteTenant(w.bucket, w.tenant.id);
  assert.deepEqual(await ids("acme"), [young.tenant.id]);
});

test("adds, undeletes and deletes of one name at once leave one living tenant, whom the name points at", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const w = await world();
    const second = await addTenant(w.bucket, "other", w.parts);
    assert.ok(second.kind === "added");
    for (const id of [w.tenant.id, second.tenant.id])
      await deleteTenant(w.bucket, id, { clock: w.clock, graceMs });
    const turns = new Turns(seed);
    const bucket = () => turns.bucket(w.bucket);
    await turns.run(
      Promise.allSettled([
        addTenant(bucket(), "acme", w.parts),
        addTenant(bucket(), "acme", w.parts),
        undeleteTenant(bucket(), w.tenant.id),
        undeleteTenant(bucket(), second.tenant.id, "acme"),
        deleteTenant(bucket(), w.tenant.id, { clock: w.clock, graceMs }),
      ]),
    );
    const living = (await listTenants(w.bucket)).filter(isLiving).filter(({ name }) => name === "acme");
    assert.ok(living.length <= 1, `seed ${seed}: ${JSON.stringify(living)}`);
    const found = await findTenant(w.bucket, "acme");
    assert.deepEqual(found === undefined ? [] : [found], living, `seed ${seed}`);
  }
});

test("an undelete that died when it had the name blocks nobody", async () => {
  const w = await world();
  await verbs.delete(w);
  const claim = await w.bucket.get(nameKeyOf("acme"));
  await w.bucket.update(nameKeyOf("acme"), encodeJson({ id: w.tenant.id }), claim?.revision ?? 0);
  assert.equal((await addTenant(w.bucket, "acme", w.parts)).kind, "added");
});
