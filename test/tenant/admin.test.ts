// Changes to tenants: on the memory bus, whose every step can be interleaved, and once on the real server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Outage } from "../../src/base/errors.ts";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addKey, addTenant, adopt, findTenant, listTenants, removeKey } from "../../src/tenant/admin.ts";
import { hashKey } from "../../src/tenant/keys.ts";
import { encodeJson, type TenantBucket } from "../../src/tenant/record.ts";
import { ManualClock } from "../harness/clock.ts";
import { busFor, limit, serverFor } from "../bus/real.ts";
import { Turns } from "./turns.ts";

const clock = new ManualClock();
const parts = { clock, random: seededRandom(11) };

async function newBucket(): Promise<TenantBucket> {
  return createMemoryBus(parts).kv(tenantsBucket);
}

async function names(bucket: TenantBucket): Promise<string[]> {
  return (await listTenants(bucket)).map((tenant) => tenant.name);
}

test("an added tenant is listed, found by name and id, and has the hashes of the keys that were shown", async () => {
  const bucket = await newBucket();
  const added = await addTenant(bucket, "acme", parts);
  assert.ok(added.kind === "added");
  assert.match(added.tenant.id, /^[a-z2-7]{12}$/);
  assert.deepEqual(added.tenant.keys, [
    { hash: hashKey(added.writeKey), kind: "write", createdMs: clock.nowMs() },
    { hash: hashKey(added.readKey), kind: "read", createdMs: clock.nowMs() },
  ]);
  await addTenant(bucket, "aaa", parts);
  assert.deepEqual(await names(bucket), ["aaa", "acme"]);
  assert.deepEqual(await findTenant(bucket, "acme"), added.tenant);
  assert.deepEqual(await findTenant(bucket, added.tenant.id), added.tenant);
  for (const unknown of ["acm", "", "a b", "nobody.knows"])
    assert.equal(await findTenant(bucket, unknown), undefined);
});

test("names: 1 to 64 letters, digits, - _ ., and each once", async () => {
  const bucket = await newBucket();
  const f = async (name: string, expected: string) =>
    assert.equal((await addTenant(bucket, name, parts)).kind, expected, name);
  await f("a", "added");
  await f("a", "name-taken");
  await f("A", "added");
  await f("a.b_c-9", "added");
  await f("..", "added");
  await f(".", "added");
  await f("x".repeat(64), "added");
  await f("x".repeat(65), "name-invalid");
  for (const bad of ["", " ", "a b", "ä", "a/b", "a*", ">", "a\n", "a=b"]) await f(bad, "name-invalid");
});

test("keys are added and removed; the others stay", async () => {
  const bucket = await newBucket();
  const made = await addTenant(bucket, "acme", parts);
  assert.ok(made.kind === "added");
  const { id } = made.tenant;
  const more = await addKey(bucket, id, "read", parts);
  assert.ok(more.kind === "added");
  assert.match(more.key, /^r/);
  assert.equal(more.tenant.keys.length, 3);
  const f = async (hash: string, expected: string) =>
    assert.equal((await removeKey(bucket, id, hash)).kind, expected);
  await f("", "unknown-key"); // the beginning of all
  await f(hashKey("other"), "unknown-key");
  await f(hashKey(made.readKey).slice(0, 7), "unknown-key");
  await f(hashKey(made.readKey).slice(0, 8), "removed");
  await f(hashKey(made.readKey), "unknown-key");
  const kept = (await findTenant(bucket, id))?.keys.map((key) => key.hash);
  assert.deepEqual(kept, [hashKey(made.writeKey), hashKey(more.key)]);
  assert.equal((await addKey(bucket, "nobody", "read", parts)).kind, "unknown-tenant");
  assert.equal((await removeKey(bucket, "nobody", hashKey("x"))).kind, "unknown-tenant");
  for (let i = 2; i < 100; i++) assert.equal((await addKey(bucket, id, "write", parts)).kind, "added");
  assert.equal((await addKey(bucket, id, "write", parts)).kind, "too-many-keys");
});

test("what a newer version wrote into a tenant stays when a key is added", async () => {
  const bucket = await newBucket();
  const made = await addTenant(bucket, "acme", parts);
  assert.ok(made.kind === "added");
  const key = `tenant.${made.tenant.id}`;
  const entry = await bucket.get(key);
  await bucket.update(
    key,
    encodeJson({ ...made.tenant, limits: { pointsPerSecond: 5 } }),
    entry?.revision ?? 0,
  );
  await addKey(bucket, made.tenant.id, "read", parts);
  assert.deepEqual(Object.entries((await findTenant(bucket, "acme")) ?? {}).at(-1), [
    "limits",
    { pointsPerSecond: 5 },
  ]);
});

/** Fails the nth write and everything after it, before or after it took place, as a process that dies does. */
function dying(bucket: TenantBucket, nth: number, when: "before" | "after"): TenantBucket {
  let writes = 0;
  const write = async (act: () => Promise<number>): Promise<number> => {
    writes += 1;
    if (writes === nth && when === "after") await act();
    if (writes >= nth) throw new Outage("bus-unavailable", "died");
    return act();
  };
  return {
    get: (key) => bucket.get(key),
    create: (key, value) => write(() => bucket.create(key, value)),
    update: (key, value, revision) => write(() => bucket.update(key, value, revision)),
    watch: (handler) => bucket.watch(handler),
  };
}

test("an add that died at any step leaves the name free or one living tenant", async () => {
  for (const when of ["before", "after"] as const) {
    for (const nth of [1, 2]) {
      const bucket = await newBucket();
      await assert.rejects(addTenant(dying(bucket, nth, when), "acme", parts), { code: "bus-unavailable" });
      const came = nth === 2 && when === "after";
      assert.deepEqual(await names(bucket), came ? ["acme"] : []);
      assert.equal((await addTenant(bucket, "acme", parts)).kind, came ? "name-taken" : "added");
      assert.equal((await addTenant(bucket, "acme", parts)).kind, "name-taken");
      assert.deepEqual(await names(bucket), ["acme"]);
    }
  }
});

test("a take-over that died at any step can be taken over as well", async () => {
  for (const when of ["before", "after"] as const) {
    for (const nth of [1, 2, 3]) {
      const bucket = await newBucket();
      await assert.rejects(addTenant(dying(bucket, 2, "before"), "acme", parts));
      await assert.rejects(addTenant(dying(bucket, nth, when), "acme", parts));
      await addTenant(bucket, "acme", parts);
      assert.deepEqual(await names(bucket), ["acme"], `${when} ${nth}`);
    }
  }
});

test("several that add one name at once make one living tenant, in any order of their steps", async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const bucket = await newBucket();
    const turns = new Turns(seed);
    const adds = [1, 2, 3, 4].map(() => addTenant(turns.bucket(bucket), "acme", parts));
    await turns.run(Promise.all(adds));
    const added = (await Promise.all(adds)).flatMap((each) => (each.kind === "added" ? [each.tenant] : []));
    const living = await listTenants(bucket);
    assert.deepEqual(living, added, `seed ${seed}`);
    assert.equal(living.length, 1, `seed ${seed}`);
    assert.deepEqual(await findTenant(bucket, "acme"), living[0], `seed ${seed}`);
  }
});

test("the name of a deleted tenant is free, and its record stays", async () => {
  const bucket = await newBucket();
  const old = await addTenant(bucket, "acme", parts);
  assert.ok(old.kind === "added");
  const key = `tenant.${old.tenant.id}`;
  await bucket.update(
    key,
    encodeJson({ ...old.tenant, state: "deleted" }),
    (await bucket.get(key))?.revision ?? 0,
  );
  assert.equal(await findTenant(bucket, "acme"), undefined);
  const young = await addTenant(bucket, "acme", parts);
  assert.ok(young.kind === "added");
  assert.notEqual(young.tenant.id, old.tenant.id);
  assert.deepEqual(await findTenant(bucket, "acme"), young.tenant);
  assert.equal((await findTenant(bucket, old.tenant.id))?.state, "deleted");
});

test("a record that can't be read keeps its name taken, and is left out of the list", async () => {
  const bucket = await newBucket();
  const made = await addTenant(bucket, "acme", parts);
  assert.ok(made.kind === "added");
  const key = `tenant.${made.tenant.id}`;
  await bucket.update(key, encodeJson({ nonsense: 1 }), (await bucket.get(key))?.revision ?? 0);
  assert.equal((await addTenant(bucket, "acme", parts)).kind, "name-taken");
  assert.deepEqual(await names(bucket), []);
});

test("each adopt marker is newer than the one before, also when the clock was set back", async () => {
  const bucket = await newBucket();
  const first = await adopt(bucket, new ManualClock(1_000));
  const second = await adopt(bucket, new ManualClock(500));
  const third = await adopt(bucket, new ManualClock(9_000));
  assert.deepEqual([first, second, third], [1_000, 1_001, 9_000]);
});

test("on the real server: adds at the same time, keys, adopt", limit, async (t) => {
  const server = await serverFor(t);
  const bus = await busFor(t, server);
  const bucket: TenantBucket = await bus.kv(tenantsBucket);
  const real = { clock: systemClock, random: systemRandom };
  const all = await Promise.all(
    ["a.b", "..", "a.b", "c", "a.b"].map((name) => addTenant(bucket, name, real)),
  );
  assert.equal(all.filter((each) => each.kind === "added").length, 3);
  assert.deepEqual(await names(bucket), ["..", "a.b", "c"]);
  const found = await findTenant(bucket, "a.b");
  const keys = await Promise.all([1, 2, 3].map(() => addKey(bucket, found?.id ?? "", "write", real)));
  assert.ok(keys.every((each) => each.kind === "added"));
  assert.equal((await findTenant(bucket, "a.b"))?.keys.length, 5);
  assert.ok((await adopt(bucket, systemClock)) > 0);
});
