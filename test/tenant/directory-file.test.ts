// The directory's local copy on disk.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { CopyWriter, loadCopy } from "../../src/tenant/directory-file.ts";
import { Directory } from "../../src/tenant/directory.ts";
import { Heard } from "../bus/listen.ts";
import { answer, follow, settle, withWorld } from "./directory-world.ts";

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
