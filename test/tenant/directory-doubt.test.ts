// D2: which snapshots the directory believes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { adopt } from "../../src/tenant/admin.ts";
import { encodeJson } from "../../src/tenant/record.ts";
import { answer, follow, settle, withWorld } from "./directory-world.ts";

test("D2: a snapshot without more than half of the known tenants is not believed until adopted", async () => {
  await withWorld(async (world) => {
    const old = [await world.add("a"), await world.add("b"), await world.add("c"), await world.add("d")];
    const directory = await world.open();
    await follow(directory, world.bus);
    const kv = await world.bus.kv(tenantsBucket);
    const keys = old.map((each) => each.writeKey);
    const answers = (...more: string[]) => [...keys, ...more].map((key) => answer(directory, key));

    world.bus.disconnect();
    world.bus.wipeBucket(tenantsBucket);
    world.bus.reconnect();
    await settle();
    assert.equal(directory.live, false);
    assert.deepEqual(answers("x"), ["a write", "b write", "c write", "d write", "unavailable"]);

    const young = await world.add("young"); // what comes now is held back as well
    await settle();
    assert.deepEqual(answers(young.writeKey), ["a write", "b write", "c write", "d write", "unavailable"]);

    await adopt(kv, world.clock);
    await settle();
    assert.equal(directory.live, true);
    assert.deepEqual(answers(young.writeKey), ["unknown", "unknown", "unknown", "unknown", "young write"]);
    await directory.close();
  });
});

test("D2: half may be missing, and a doubted bucket that gets its tenants back is believed", async () => {
  await withWorld(async (world) => {
    const old = [await world.add("a"), await world.add("b"), await world.add("c"), await world.add("d")];
    const directory = await world.open();
    await follow(directory, world.bus);
    const kv = await world.bus.kv(tenantsBucket);
    world.bus.disconnect();
    world.bus.wipeBucket(tenantsBucket);
    world.bus.reconnect();
    await settle();
    assert.equal(directory.live, false);
    const [a, b] = old.map((each) => each.tenant);
    assert.ok(a !== undefined && b !== undefined);
    await kv.put(`tenant.${a.id}`, encodeJson(a));
    await settle();
    assert.equal(directory.live, false);
    await kv.put(`tenant.${b.id}`, encodeJson(b));
    await settle();
    assert.equal(directory.live, true);
    assert.deepEqual(
      old.map((each) => answer(directory, each.writeKey)),
      ["a write", "b write", "unknown", "unknown"],
    );
    await directory.close();
  });
});

test("D2: an old adopt marker vouches for nothing, one made while a process was away does", async () => {
  await withWorld(async (world) => {
    const kv = await world.bus.kv(tenantsBucket);
    const lose = () => {
      world.bus.disconnect();
      world.bus.wipeBucket(tenantsBucket);
      world.bus.reconnect();
    };
    await adopt(kv, world.clock);
    const marker = (await kv.get("adopt"))?.value;
    assert.ok(marker !== undefined);
    for (const name of ["a", "b"]) await world.add(name);
    const before = await world.open();
    await follow(before, world.bus);
    await before.close();

    lose();
    await kv.put("adopt", marker); // came back with a backup
    const after = await world.open();
    await follow(after, world.bus);
    assert.equal(after.live, false);
    assert.equal(after.all().length, 2);
    await after.close();

    world.clock.advance(60_000);
    await adopt(kv, world.clock);
    const later = await world.open();
    await follow(later, world.bus);
    assert.equal(later.live, true);
    assert.deepEqual(later.all(), []);
    await later.close();

    for (const name of ["c", "d"]) await world.add(name);
    const last = await world.open();
    await follow(last, world.bus);
    await last.close();
    lose(); // the marker that was followed does not vouch for the next loss
    await kv.put("adopt", (await kv.get("adopt"))?.value ?? marker);
    const again = await world.open();
    await follow(again, world.bus);
    assert.equal(again.live, false);
    await again.close();
  });
});
