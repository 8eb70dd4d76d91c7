// The directory: what it answers while the bucket changes, is lost, is wiped; on the memory bus and on a real server.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../../src/base/clock.ts";
import { Counters } from "../../src/base/counters.ts";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { createMemoryBus, type MemoryBus } from "../../src/bus/memory.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { tenantsBucket } from "../../src/bus/subjects.ts";
import { type Added, addKey, addTenant, adopt, removeKey } from "../../src/tenant/admin.ts";
import { CopyWriter, loadCopy } from "../../src/tenant/directory-file.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { hashKey } from "../../src/tenant/keys.ts";
import { encodeJson } from "../../src/tenant/record.ts";
import { bytes, Heard } from "../bus/listen.ts";
import { ManualClock } from "../bus/manual-clock.ts";
import { startNatsServer } from "../harness/nats-server.ts";

interface World {
  bus: MemoryBus;
  clock: ManualClock;
  counters: Counters;
  folder: string;
  file: string;
  open(): Promise<Directory>;
  add(name: string): Promise<Extract<Added, { kind: "added" }>>;
}

const random = seededRandom(5);

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-directory-"));
  const file = join(folder, "tenants.json");
  const clock = new ManualClock();
  const counters = new Counters();
  const bus = createMemoryBus({ clock, random });
  const kv = await bus.kv(tenantsBucket);
  try {
    await body({
      bus,
      clock,
      counters,
      folder,
      file,
      open: () => Directory.open({ file, clock, counters }),
      async add(name) {
        const added = await addTenant(kv, name, { clock, random });
        assert.ok(added.kind === "added");
        return added;
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Settles when the condition holds, looked at after each change. */
async function until(directory: Directory, holds: () => boolean): Promise<void> {
  const heard = new Heard();
  const forget = directory.onChange(() => heard.changed());
  await heard.until(holds);
  forget();
}

async function follow(directory: Directory, bus: MemoryBus): Promise<void> {
  directory.follow(await bus.kv(tenantsBucket));
  await settle();
}

/** Lets everything that the memory bus has scheduled happen. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

function answer(directory: Directory, key: string): string {
  const found = directory.lookupKey(key);
  return found.kind === "known" ? `${found.tenant.name} ${found.key}` : found.kind;
}

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

test("the local copy outlives NATS and the process: whole at any time, mode 600, no key in it", async () => {
  await withWorld(async (world) => {
    const first = await world.open();
    await follow(first, world.bus);
    const acme = await world.add("acme");
    await settle();
    await first.close();
    assert.deepEqual(await readdir(world.folder), ["tenants.json"]);
    assert.equal((await stat(world.file)).mode & 0o777, 0o600);
    const content = await readFile(world.file, "utf8");
    for (const key of [acme.writeKey, acme.readKey]) assert.ok(!content.includes(key));
    const second = await world.open();
    assert.equal(answer(second, acme.writeKey), "acme write");
    assert.equal(answer(second, "nonsense"), "unavailable");
    assert.deepEqual(second.all(), [acme.tenant]);
    await second.close();
  });
});

test("changes are saved together, a moment later, without close", async () => {
  await withWorld(async (world) => {
    const directory = await world.open();
    await follow(directory, world.bus);
    for (const name of ["a", "b", "c"]) await world.add(name);
    await settle();
    assert.deepEqual(await readdir(world.folder), []);
    assert.equal(world.clock.timers, 1);
    world.clock.advance(200);
    await directory.close();
    const again = await world.open();
    assert.equal(again.all().length, 3);
    await again.close();
  });
});

test("a copy that can't be written costs nothing but the copy", async () => {
  await withWorld(async (world) => {
    const file = join(world.folder, "missing", "tenants.json");
    const directory = await Directory.open({ file, clock: world.clock, counters: world.counters });
    await follow(directory, world.bus);
    const acme = await world.add("acme");
    await settle();
    await directory.close();
    assert.equal(answer(directory, acme.writeKey), "acme write");
    assert.match(world.counters.text(), /^tenant_copy_failures_total 1$/m);
  });
});

test("a write of the copy that failed is tried again", async () => {
  await withWorld(async (world) => {
    const file = join(world.folder, "later", "tenants.json");
    let asked = 0;
    const content = () => {
      asked += 1;
      return { tenants: [], adoptMs: asked };
    };
    const failures = new Heard();
    let failed = 0;
    const writer = new CopyWriter(file, world.clock, content, () => {
      failed += 1;
      failures.changed();
    });
    writer.changed();
    world.clock.advance(200);
    await failures.until(() => failed === 1);
    await mkdir(join(world.folder, "later"));
    while (world.clock.timers === 0) await setImmediate(); // its clearing away ends first
    world.clock.advance(5_000);
    world.clock.advance(0);
    await writer.close();
    assert.deepEqual([failed, asked], [1, 2]);
    assert.equal((await loadCopy(file)).kind, "copy");
  });
});

function asNone(content: string): Promise<void> {
  return withWorld(async (world) => {
    await writeFile(world.file, content);
    const acme = await world.add("acme");
    const directory = await world.open();
    assert.deepEqual(directory.all(), [], content);
    await follow(directory, world.bus);
    assert.equal(answer(directory, acme.writeKey), "acme write", content);
    await directory.close();
  });
}

test("a copy that can't be read is as none", async () => {
  await asNone("");
  await asNone("{");
  await asNone("[]");
  await asNone('{"version":2,"tenants":[]}');
  await asNone('{"version":1,"tenants":{}}');
  await asNone('{"version":1,"tenants":[null,7,"x",{},{"id":"a"},[]]}');
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

test("on the real server: it outlives NATS, and sees after it what was deleted meanwhile", async () => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-directory-"));
  const server = await startNatsServer();
  const real = { clock: systemClock, random: systemRandom };
  const bus = await connectNats({ url: server.url, name: "test", ...real });
  const operator = await connectNats({ url: server.url, name: "operator", ...real });
  const kv = await bus.kv(tenantsBucket);
  const made: Extract<Added, { kind: "added" }>[] = [];
  for (const name of ["a", "b", "c"]) {
    const added = await addTenant(kv, name, real);
    assert.ok(added.kind === "added");
    made.push(added);
  }
  const directory = await Directory.open({ file: join(folder, "tenants.json"), clock: systemClock });
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

  const operatorKv = await operator.kv(tenantsBucket);
  await bus.close(); // this process' connection is gone while the operator works
  assert.equal(directory.live, false);
  await operatorKv.delete(`tenant.${made[1]?.tenant.id}`);
  await directory.close();
  const again = await Directory.open({ file: join(folder, "tenants.json"), clock: systemClock });
  assert.equal(answer(again, made[1]?.writeKey ?? ""), "b write");
  again.follow(operatorKv);
  await until(again, () => again.live);
  assert.equal(answer(again, made[1]?.writeKey ?? ""), "unknown");
  assert.equal(again.all().length, 2);
  await again.close();
  await operator.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
