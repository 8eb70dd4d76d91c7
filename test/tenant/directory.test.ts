// The directory: what it answers while the bucket changes, is lost, is wiped; on the memory bus and on a real server.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { type Added, addKey, addTenant, removeKey } from "../../src/tenant/admin.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { hashKey } from "../../src/tenant/keys.ts";
import { encodeJson } from "../../src/tenant/record.ts";
import { bytes, connectedAgain } from "../bus/listen.ts";
import { busFor, limit, serverFor } from "../bus/real.ts";
import { answer, follow, random, settle, until, withWorld } from "./directory-world.ts";

test("D1: keys are known with their kind; a miss is unknown only while live", async () => {
  await withWorld(async (world) => {
    const acme = await world.add("acme");
    const directory = await world.open();
    const f = (expected: string[]) =>
      assert.deepEqual(
        [acme.writeKey, acme.readKey, "nonsense", ""].map((key) => answer(directory, key)),
        expected,
      );
    assert.equal(directory.live, false);
    f(["unavailable", "unavailable", "unavailable", "unavailable"]);
    await follow(directory, world.bus);
    assert.equal(directory.live, true);
    f(["acme write", "acme read", "unknown", "unknown"]);
    world.bus.disconnect();
    assert.equal(directory.live, false);
    f(["acme write", "acme read", "unavailable", "unavailable"]);
    world.bus.reconnect();
    await settle();
    f(["acme write", "acme read", "unknown", "unknown"]);
    await directory.close();
    f(["acme write", "acme read", "unavailable", "unavailable"]);
  });
});

test("changes arrive: tenants, keys, states, deletions", async () => {
  await withWorld(async (world) => {
    const directory = await world.open();
    await follow(directory, world.bus);
    const kv = await world.bus.kv(tenantsBucket);
    const { tenant, writeKey, readKey } = await world.add("acme");
    await settle();
    assert.equal(answer(directory, writeKey), "acme write");
    assert.deepEqual(directory.byId(tenant.id), tenant);
    assert.deepEqual(directory.byName("acme"), tenant);
    assert.deepEqual(directory.all(), [tenant]);
    const more = await addKey(kv, tenant.id, "write", { clock: world.clock, random });
    assert.ok(more.kind === "added");
    await removeKey(kv, tenant.id, hashKey(writeKey));
    await settle();
    assert.deepEqual(
      [more.key, writeKey, readKey].map((key) => answer(directory, key)),
      ["acme write", "unknown", "acme read"],
    );
    await kv.put(`tenant.${tenant.id}`, encodeJson({ ...tenant, state: "deleted" }));
    await settle();
    const deleted = directory.lookupKey(readKey);
    assert.ok(deleted.kind === "known" && deleted.tenant.state === "deleted");
    assert.equal(directory.byName("acme"), undefined);
    await kv.delete(`tenant.${tenant.id}`);
    await settle();
    assert.equal(answer(directory, readKey), "unknown");
    assert.equal(directory.byId(tenant.id), undefined);
    await directory.close();
  });
});

test("D4: the generation changes with each change, and with nothing else", async () => {
  await withWorld(async (world) => {
    const directory = await world.open();
    const seen = [directory.generation];
    const step = async (act: () => unknown) => {
      await act();
      await settle();
      seen.push(directory.generation);
    };
    await step(() => follow(directory, world.bus));
    await step(() => world.add("acme"));
    await step(() => world.bus.disconnect());
    await step(() => world.bus.reconnect());
    assert.equal(new Set(seen).size, seen.length);
    await step(() => answer(directory, "nonsense"));
    assert.equal(seen.at(-1), seen.at(-2));
    await directory.close();
  });
});

test("D3: a record that can't be read costs that tenant only, and its last good version stays", async () => {
  await withWorld(async (world) => {
    const [good, bad] = [await world.add("good"), await world.add("bad")];
    const directory = await world.open();
    await follow(directory, world.bus);
    const kv = await world.bus.kv(tenantsBucket);
    const f = async (value: Uint8Array, invalid: number) => {
      await kv.put(`tenant.${bad.tenant.id}`, value);
      await kv.put("tenant.newcomer", value);
      await settle();
      assert.equal(answer(directory, bad.writeKey), "bad write");
      assert.equal(answer(directory, good.writeKey), "good write");
      assert.equal(directory.byId("newcomer"), undefined);
      assert.match(world.counters.text(), new RegExp(`^tenant_records_invalid_total ${invalid}$`, "m"));
    };
    await f(bytes("{"), 2);
    await f(Uint8Array.of(0xff, 0xfe), 4);
    await f(encodeJson({ ...bad.tenant, id: "other" }), 6);
    await f(encodeJson({ ...bad.tenant, state: "asleep" }), 8);
    await f(encodeJson({ ...bad.tenant, keys: [{ hash: "short", kind: "write", createdMs: 1 }] }), 10);
    await f(encodeJson({ ...bad.tenant, homes: [{ shard: -1, sinceMs: 1 }] }), 12);
    world.bus.disconnect();
    world.bus.reconnect(); // also a whole snapshot keeps the last good version
    await settle();
    assert.equal(directory.live, true);
    assert.equal(answer(directory, bad.writeKey), "bad write");
    await kv.put(`tenant.${bad.tenant.id}`, encodeJson({ ...bad.tenant, keys: [] }));
    await settle();
    assert.equal(answer(directory, bad.writeKey), "unknown");
    await directory.close();
  });
});

test("an id that was made void is no tenant", async () => {
  await withWorld(async (world) => {
    const kv = await world.bus.kv(tenantsBucket);
    await kv.put("tenant.abc", encodeJson({ void: true }));
    const directory = await world.open();
    await follow(directory, world.bus);
    assert.deepEqual(directory.all(), []);
    assert.match(world.counters.text(), /^tenant_records_invalid_total 0$/m);
    await directory.close();
  });
});

test(
  "on the real server: it outlives NATS, and sees after it what was deleted meanwhile",
  limit,
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "millrace-directory-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, "tenants.json");
    const server = await serverFor(t);
    const bus = await busFor(t, server);
    const operator = await busFor(t, server);
    const kv = await bus.kv(tenantsBucket);
    const made: Extract<Added, { kind: "added" }>[] = [];
    for (const name of ["a", "b", "c"]) {
      const added = await addTenant(kv, name, { clock: systemClock, random: systemRandom });
      assert.ok(added.kind === "added");
      made.push(added);
    }
    const directory = await Directory.open({ file, clock: systemClock });
    t.after(() => directory.close());
    directory.follow(kv);
    await until(directory, () => directory.live);
    const answers = () => [...made.map((each) => each.writeKey), "x"].map((key) => answer(directory, key));
    assert.deepEqual(answers(), ["a write", "b write", "c write", "unknown"]);

    await server.kill9();
    await until(directory, () => !directory.live);
    assert.deepEqual(answers(), ["a write", "b write", "c write", "unavailable"]);

    await server.restart();
    await until(directory, () => directory.live);
    assert.deepEqual(answers(), ["a write", "b write", "c write", "unknown"]);

    await connectedAgain(operator);
    const operatorKv = await operator.kv(tenantsBucket);
    await bus.close(); // this process is away while the operator works
    assert.equal(directory.live, false);
    await operatorKv.delete(`tenant.${made[1]?.tenant.id}`);
    assert.deepEqual(answers(), ["a write", "b write", "c write", "unavailable"]);
    await directory.close();

    const again = await Directory.open({ file, clock: systemClock });
    t.after(() => again.close());
    assert.equal(answer(again, made[1]?.writeKey ?? ""), "b write");
    again.follow(operatorKv);
    await until(again, () => again.live);
    assert.equal(answer(again, made[1]?.writeKey ?? ""), "unknown");
    assert.equal(again.all().length, 2);
  },
);
