// What one process has once for all who open a store in it. LMDB's locks are the process's, and easily lost: closing any
// handle of the lock file lets go of them. Its environment is, too, and the first who opens it decides whether it writes.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { engineIn, withFolder } from "./lmdb-helpers.ts";

/** Of this process on the shard's lock file, as the kernel lists them. */
function locksOn(folder: string): string[] {
  const { ino } = statSync(join(folder, "shard-0", "lock.mdb"));
  return readFileSync("/proc/locks", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , , pid, file]) => pid === String(process.pid) && file?.endsWith(`:${ino}`) === true)
    .map(([, kind, , how, , , from, to]) => `${kind} ${how} ${from}-${to}`)
    .sort();
}

test("whoever else opens a store in this process, the locks of those who have it open stay", {
  skip: existsSync("/proc/locks") ? false : "the kernel does not list locks",
}, async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const store = await engine.openShard(0);
    const reader = await engine.openReader(0);
    (await reader.snapshot()).close();
    // The table of readers is in use, and so is a place in it.
    const locks = [`POSIX READ 0-0`, `POSIX WRITE ${process.pid}-${process.pid}`];
    assert.deepEqual(locksOn(folder), locks);
    const others = [await engine.openReader(0), await engine.openReader(0)];
    for (const other of others) (await other.snapshot()).close();
    const upkeep = await engine.openUpkeep(0);
    const second = await engine.openShard(0);
    assert.deepEqual(locksOn(folder), locks);
    for (const open of [...others, upkeep, second]) await open.close();
    assert.deepEqual(locksOn(folder), locks);
    await reader.close();
    await store.close();
    assert.deepEqual(locksOn(folder), []);
  });
});

test("a reader that opens a store before its writing side does not take the writing from it", async () => {
  await withFolder(async (folder) => {
    const before = await engineIn(folder).openShard(0);
    await before.claim({ node: "n", mapVersion: 1, instance: "i" });
    await before.close();
    const reader = await engineIn(folder).openReader(0);
    (await reader.snapshot()).close();
    const store = await engineIn(folder).openShard(0);
    const claim = await store.claim({ node: "n", mapVersion: 1, instance: "i" });
    assert.equal(claim.kind === "claimed" && claim.state.epoch, 2);
    const snapshot = await reader.snapshot();
    assert.equal((await snapshot.state()).epoch, 2);
    snapshot.close();
    await reader.close();
    await store.close();
  });
});
