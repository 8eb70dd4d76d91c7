import assert from "node:assert/strict";
import { test } from "node:test";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { addAddress, type AddressChanged, removeAddress } from "../../src/tenant/address-admin.ts";
import { NetworkIndex, networksMax, readNetwork } from "../../src/tenant/networks.ts";
import { encodeJson, tenantKeyOf } from "../../src/tenant/record.ts";
import type { Tenant, TenantState } from "../../src/tenant/tenant.ts";
import { follow, settle, withWorld } from "./directory-world.ts";

test("a network as it is written, and as it is kept", () => {
  const f = (text: string, expected: string | RegExp) => {
    const read = readNetwork(text);
    if (typeof expected === "string") assert.equal(read.kind === "network" && read.network.text, expected);
    else assert.match(read.kind === "invalid" ? read.why : "it was taken", expected);
  };
  f("10.1.2.3", "10.1.2.3");
  f("10.1.2.3/32", "10.1.2.3");
  f("10.1.2.3/16", "10.1.0.0/16");
  f("255.255.255.255/8", "255.0.0.0/8");
  f("::ffff:10.1.2.3", "10.1.2.3");
  f("::ffff:a01:203/112", "10.1.0.0/16");
  f("2001:DB8:0:0::7", "2001:db8::7");
  f("2001:db8::7/32", "2001:db8::/32");
  f("::1", "::1");
  f("1:2:3:4:5:6:7:9/127", "1:2:3:4:5:6:7:8/127");
  f("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
  for (const text of ["", "10.1", "10.1.2.256", "host.example", "fe80::1%eth0", "10.0.0.0/8/8", ":::"])
    f(text, /is no address and no network/);
  for (const text of ["10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/1e1", "10.0.0.0/ 8"])
    f(text, /a prefix is a number/);
  f("10.0.0.0/33", /at most 32 bits/);
  f("2001:db8::/129", /at most 128 bits/);
  f("0.0.0.0/0", /too wide: give \/8/);
  f("::ffff:0.0.0.0/96", /too wide: give \/8/);
  f("::/0", /too wide: give \/16/);
  f("::/16", /would hold all addresses of IPv4/);
});

function tenantOf(id: string, addresses: string[], state: TenantState = "active", createdMs = 0): Tenant {
  return { id, name: id, state, createdMs, keys: [], homes: [], addresses };
}

test("N1, N2: the longest prefix decides, then the living, then the older one, in any order of coming", () => {
  const tenants = [
    tenantOf("wide", ["10.0.0.0/8", "2001:db8::/32"]),
    tenantOf("narrow", ["10.1.0.0/16"]),
    tenantOf("one", ["10.1.2.3", "2001:db8::7"]),
    tenantOf("dead", ["10.1.0.0/16", "192.0.2.0/24"], "deleted", -1),
    tenantOf("young", ["10.1.0.0/16"], "active", 5),
    tenantOf("broken", ["nonsense"]),
  ];
  for (const order of [tenants, tenants.toReversed()]) {
    const index = new NetworkIndex();
    assert.equal(index.empty, true);
    for (const tenant of order) index.add(tenant);
    const f = (address: string, expected: string | undefined) =>
      assert.equal(index.of(address)?.id, expected, address);
    f("10.1.2.3", "one");
    f("::ffff:10.1.2.3", "one");
    f("::FFFF:0a01:0203", "one");
    f("10.1.2.4", "narrow");
    f("10.2.0.1", "wide");
    f("11.0.0.1", undefined);
    f("2001:db8::7", "one");
    f("2001:db8::7%eth0", "one");
    f("2001:db8::8", "wide");
    f("2001:db9::8", undefined);
    f("192.0.2.9", "dead");
    f("", undefined);
    f("nonsense", undefined);
    index.remove(tenants[1] as Tenant);
    f("10.1.2.4", "young");
    for (const tenant of tenants) index.remove(tenant);
    assert.equal(index.empty, true);
    f("10.1.2.4", undefined);
  }
});

test("addresses are added and removed; one network has one living tenant", async () => {
  await withWorld(async (world) => {
    const [a, b] = [(await world.add("a")).tenant, (await world.add("b")).tenant];
    const kv = await world.bus.kv(tenantsBucket);
    const f = async (result: Promise<AddressChanged>, kind: AddressChanged["kind"], addresses?: string[]) => {
      const got = await result;
      assert.equal(got.kind, kind);
      if (addresses !== undefined) assert.deepEqual("tenant" in got && got.tenant.addresses, addresses);
    };
    await f(addAddress(kv, a.id, "10.1.2.3/16"), "changed", ["10.1.0.0/16"]);
    await f(addAddress(kv, a.id, "::ffff:10.1.0.0/112"), "unchanged");
    await f(addAddress(kv, b.id, "10.1.0.0/16"), "taken");
    await f(addAddress(kv, b.id, "10.1.1.0/24"), "changed", ["10.1.1.0/24"]);
    await f(addAddress(kv, b.id, "x"), "invalid");
    await f(addAddress(kv, "nobody", "10.9.9.9"), "unknown-tenant");
    await f(removeAddress(kv, a.id, "10.2.0.0/16"), "unchanged");
    await f(removeAddress(kv, a.id, "10.1.9.9/16"), "changed", []);
    await f(addAddress(kv, b.id, "10.1.0.0/16"), "changed", ["10.1.1.0/24", "10.1.0.0/16"]);
    const many = Array.from({ length: networksMax }, (_, n) => `10.9.${n >> 8}.${n & 255}`);
    await kv.put(tenantKeyOf(a.id), encodeJson({ ...a, addresses: many }));
    await f(addAddress(kv, a.id, "10.1.2.3"), "too-many");
  });
});

test("D3: addresses that can't be read cost the addresses only, and the last good ones stay", async () => {
  await withWorld(async (world) => {
    const { tenant } = await world.add("a");
    const directory = await world.open();
    await follow(directory, world.bus);
    const kv = await world.bus.kv(tenantsBucket);
    const f = async (addresses: unknown, expected: string | undefined) => {
      await kv.put(tenantKeyOf(tenant.id), encodeJson({ ...tenant, addresses }));
      await settle();
      assert.equal(directory.byAddress("10.1.2.3")?.name, expected);
      assert.equal(directory.byId(tenant.id)?.name, "a");
    };
    await f(["x"], undefined);
    assert.equal(directory.hasAddresses, false);
    await f(["10.0.0.0/8"], "a");
    for (const bad of [["10.0.0.0/8", 5], ["10.0.0.0/99"], "10.0.0.0/8", {}, null]) await f(bad, "a");
    await f(["10.2.0.0/16"], undefined);
    await f([], undefined);
    assert.match(world.counters.text(), /^tenant_records_invalid_total 6$/m);
    await directory.close();
  });
});
