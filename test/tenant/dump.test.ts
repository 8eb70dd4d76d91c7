import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock as clock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createMemoryBus } from "../../src/bus/memory.ts";
import { addTenant, adopt, findTenant, listTenants } from "../../src/tenant/admin.ts";
import {
  decodeDump,
  dumpBucket,
  dumpTenants,
  encodeDump,
  fillBucket,
  type DumpRow,
} from "../../src/tenant/dump.ts";

const random = seededRandom(1);
const parts = { clock, random };

async function bucket() {
  return await createMemoryBus({ clock, random }).kv("MR_TENANTS");
}

async function world(tenants: number) {
  const kv = await bucket();
  for (let i = 0; i < tenants; i++) await addTenant(kv, `tenant${i}`, parts);
  return kv;
}

test("a bucket comes back as it was, bytes that are no text and the adopt marker included", async () => {
  const from = await world(100);
  await adopt(from, clock);
  await from.put("tenant.odd", Buffer.of(0xff, 0x00, 0xfe));
  await from.put("tenant.gone", Buffer.from("x"));
  await from.delete("tenant.gone");
  const rows = decodeDump(encodeDump(await dumpBucket(from)));
  assert.ok(rows !== undefined);
  assert.equal(rows.length, 202);
  const to = await bucket();
  assert.equal(await fillBucket(to, rows), 202);
  for (const { key } of rows)
    assert.deepEqual(
      Buffer.from((await to.get(key))?.value ?? []),
      Buffer.from((await from.get(key))?.value ?? []),
    );
  assert.equal(await fillBucket(to, rows), 0, "again: nothing to do");
});

test("what the bucket has is newer and stays; an outage halfway is made good by the next try", async () => {
  const from = await world(40);
  const rows = await dumpBucket(from);
  const to = await bucket();
  const kept = rows[3]?.key ?? "";
  await to.put(kept, Buffer.from("newer"));
  let left = 25;
  const failing = {
    ...to,
    create: (key: string, value: Uint8Array) =>
      left-- > 0 ? to.create(key, value) : Promise.reject(new Error("connection lost")),
    get: (key: string) => to.get(key),
    update: to.update.bind(to),
    watch: to.watch.bind(to),
  };
  await assert.rejects(fillBucket(failing, rows), /connection lost/);
  const created = await fillBucket(to, rows);
  assert.ok(created > 0 && created < rows.length - 1);
  assert.equal(Buffer.from((await to.get(kept))?.value ?? []).toString(), "newer");
  assert.equal((await dumpBucket(to)).length, rows.length);
});

test("a local copy's tenants give a bucket that knows them by name; deleted ones have no name", async () => {
  const from = await world(5);
  const tenants = await listTenants(from);
  const [first, ...others] = tenants;
  assert.ok(first !== undefined);
  const rows = dumpTenants([{ ...first, state: "deleted" }, ...others]);
  const to = await bucket();
  assert.equal(await fillBucket(to, rows), 9);
  assert.equal(await findTenant(to, first.name), undefined);
  assert.equal((await findTenant(to, first.id))?.state, "deleted");
  for (const tenant of others) assert.deepEqual(await findTenant(to, tenant.name), tenant);
  assert.equal((await addTenant(to, others[0]?.name ?? "", parts)).kind, "name-taken");
});

test("what is no dump is said to be none", () => {
  const f = (value: unknown) => assert.equal(decodeDump(Buffer.from(JSON.stringify(value))), undefined);
  const row: DumpRow = { key: "a", text: "b" };
  f({ format: 2, rows: [row] });
  f({ rows: [row] });
  f({ format: 1 });
  f({ format: 1, rows: [{ key: "a" }] });
  f({ format: 1, rows: [{ key: "", text: "b" }] });
  f({ format: 1, rows: [null] });
  f([]);
  assert.deepEqual(decodeDump(encodeDump([row])), [row]);
});
