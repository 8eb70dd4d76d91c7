// Full maps, full disks, folders and files that are not ours.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { open } from "lmdb";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { isOutage, messageOf } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import type { ClaimResult, ShardStore } from "../../src/store/store.ts";
import { claimed, columns, commitOf, committed, key, withSnapshot } from "../contract/store-helpers.ts";
import { engineIn, letterOf, start, withFolder, withMount } from "./lmdb-helpers.ts";

test("pages that a killed reader held are given back", async () => {
  await withFolder(async (folder) => {
    const engine = engineIn(folder, 16 << 20);
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const write = async (from: number, to: number) => {
      for (let offset = from; offset < to; offset++) {
        const dead = [{ ...letterOf(500_000), sequence: offset, part: 0 }];
        // There are three at most.
        const retried = offset < 3 ? [] : [{ sequence: offset - 3, part: 0 }];
        await committed(store, commitOf(epoch, offset, offset + 1, { dead, retried }));
      }
      return store.space().fileBytes;
    };
    const before = await write(0, 20);
    const holder = start("reader", folder);
    await holder.line("open");
    const held = await write(20, 40);
    assert.ok(held > before + 5_000_000, `a reader keeps pages: ${before}, then ${held}`);
    await holder.kill();
    // Enough commits that the store looks for dead readers by itself.
    const after = await write(40, 340);
    assert.ok(after < held + 240 * 500_000, `the file stopped growing: ${held}, then ${after}`);
    assert.ok((await write(340, 400)) <= after + 600_000, "pages are used again");
    await store.close();
  });
});

/** Commits a letter of 100 kB per range until one is refused; answers the offset reached and the refusal. */
async function fill(
  store: ShardStore,
  epoch: number,
  offset: number,
): Promise<{ offset: number; error: unknown }> {
  let at = offset;
  try {
    for (; at < offset + 1000; at++) {
      await committed(
        store,
        commitOf(epoch, at, at + 1, {
          newSeries: [key(`n${at}`)],
          deltas: columns([{ series: 0, fresh: true, bucket: 0 }]),
          dead: [{ ...letterOf(100_000), sequence: at }],
        }),
      );
    }
  } catch (error) {
    return { offset: at, error };
  }
  return { offset: at, error: undefined };
}

async function checkFull(folder: string, mapBytes: number, offset: number): Promise<void> {
  await withSnapshot(engineIn(folder, mapBytes), 0, async (snapshot) => {
    assert.equal((await snapshot.state()).offset, offset);
    assert.equal((await snapshot.dead(10_000)).length, offset);
    assert.equal((await snapshot.findSeries("t1", "*", 10_000)).length, offset);
  });
}

test("a full map: store-full, nothing of the commit is there, and it goes on when there is room", async () => {
  await withFolder(async (folder) => {
    const mapBytes = 2 << 20;
    let store = await engineIn(folder, mapBytes).openShard(0);
    const { epoch } = await claimed(store);
    const first = await fill(store, epoch, 0);
    assert.ok(first.offset > 10 && isOutage(first.error, "store-full"), messageOf(first.error));
    const { usedBytes, fileBytes } = store.space();
    assert.ok(usedBytes <= mapBytes * 0.9 && fileBytes <= mapBytes, `${usedBytes}, ${fileBytes}`);
    await checkFull(folder, mapBytes, first.offset);
    assert.equal((await fill(store, epoch, first.offset)).offset, first.offset);
    // The last tenth is for what makes room: claiming and forgetting go on.
    const again = await claimed(store);
    assert.deepEqual(await store.forget(again.epoch, 0), {
      keyed: 0,
      boots: 0,
      ledger: 0,
      dead: 0,
      closed: 0,
    });
    await store.close();
    // Room: a larger budget.
    store = await engineIn(folder, mapBytes * 2).openShard(0);
    const now = await claimed(store);
    const second = await fill(store, now.epoch, first.offset);
    assert.ok(second.offset > first.offset + 10 && isOutage(second.error, "store-full"));
    await store.close();
    await checkFull(folder, mapBytes * 2, second.offset);
  });
});

test("forgetting makes room in a full map", async () => {
  await withFolder(async (folder) => {
    const store = await engineIn(folder, 2 << 20).openShard(0);
    const { epoch } = await claimed(store);
    const random = seededRandom(1);
    const keyed = Array.from({ length: 10_000 }, () => ({ id: random.bytes(16), appliedAtMs: 1 }));
    await committed(store, commitOf(epoch, 0, 1, { keyed }));
    const { offset, error } = await fill(store, epoch, 1);
    assert.ok(isOutage(error, "store-full"));
    let forgotten = 0;
    for (let more = 1; more > 0; forgotten += more) more = (await store.forget(epoch, 1e12)).keyed;
    assert.equal(forgotten, 10_000);
    assert.ok((await fill(store, epoch, offset)).offset > offset);
    await store.close();
  });
});

test("a full disk: store-full, nothing of the commit is there, and it goes on when there is room", async () => {
  await withMount(["-t", "tmpfs", "-o", "size=4m", "tmpfs"], async (folder) => {
    const ballast = join(folder, "ballast");
    writeFileSync(ballast, Buffer.alloc(2 << 20));
    const store = await engineIn(folder).openShard(0);
    const { epoch } = await claimed(store);
    const first = await fill(store, epoch, 0);
    assert.ok(first.offset > 5 && isOutage(first.error, "store-full"), messageOf(first.error));
    assert.match(messageOf(first.error), /shard-0/);
    await checkFull(folder, 256 << 20, first.offset);
    assert.equal((await fill(store, epoch, first.offset)).offset, first.offset);
    rmSync(ballast);
    const second = await fill(store, epoch, first.offset);
    assert.ok(second.offset > first.offset + 10 && isOutage(second.error, "store-full"));
    await store.close();
    await checkFull(folder, 256 << 20, second.offset);
  });
});

test("a disk that is full at the start: store-full", async () => {
  await withMount(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], async (folder) => {
    writeFileSync(join(folder, "ballast"), Buffer.alloc(60 << 10));
    await assert.rejects(engineIn(folder).openShard(0), (error) => isOutage(error, "store-full"));
  });
});

async function unavailable(path: string): Promise<void> {
  await assert.rejects(
    engineIn(path).openShard(0),
    (error) => isOutage(error, "store-unavailable") && error.message.includes(path),
  );
}

test("a folder that can't be written: store-unavailable, with its path", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await unavailable(file);
    await unavailable(join(file, "below"));
    if (process.getuid?.() !== 0) {
      const locked = join(folder, "locked");
      mkdirSync(locked);
      chmodSync(locked, 0o500);
      await unavailable(locked);
      chmodSync(locked, 0o700);
    }
  });
  await withMount(["-t", "tmpfs", "-o", "ro", "tmpfs"], unavailable);
});

function corrupt(error: unknown): boolean {
  return isOutage(error, "store-corrupt");
}

test("what is not ours is store-corrupt", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "shard-0");
    mkdirSync(path);
    for (const bytes of [Buffer.alloc(16_384, 7), Buffer.alloc(16_384), Buffer.from("hello")]) {
      writeFileSync(join(path, "data.mdb"), bytes);
      await assert.rejects(engineIn(folder).openShard(0), corrupt);
      const reader = await engineIn(folder).openReader(0);
      await assert.rejects(reader.snapshot(), corrupt);
      await reader.close();
    }
  });
});

function newer(error: unknown): boolean {
  return isOutage(error, "store-corrupt") && error.message.includes("newer version");
}

test("a store of a newer version is not touched", async () => {
  await withFolder(async (folder) => {
    const store = await engineIn(folder).openShard(0);
    await store.close();
    const root = open({ path: join(folder, "shard-0"), noSubdir: false, overlappingSync: false });
    const head = root.openDB({ name: "head", encoding: "binary", keyEncoding: "binary", useVersions: true });
    await head.put(Buffer.from("format"), Buffer.from([0x91, 99]), 2);
    await root.close();
    await assert.rejects(engineIn(folder).openShard(0), newer);
    const reader = await engineIn(folder).openReader(0);
    await assert.rejects(reader.snapshot(), newer);
    await reader.close();
  });
});

test("a disk that gives no answer: store-unavailable, the shard is not written to meanwhile, and nothing is torn", async () => {
  await withFolder(async (folder) => {
    let patient = true;
    const clock: Clock = {
      ...systemClock,
      after: (ms, callback) => systemClock.after(patient ? ms : 0, callback),
    };
    const store = await createLmdbEngine({ folder, mapBytes: 256 << 20, clock }).openShard(0);
    const { epoch } = await claimed(store);
    patient = false;
    // Larger than can be on disk by the next turn of the loop.
    const commit = store.commit(commitOf(epoch, 0, 1, { dead: [letterOf(100 << 20)] }));
    await assert.rejects(commit, (error) => isOutage(error, "store-unavailable"));
    await assert.rejects(store.commit(commitOf(epoch, 0, 1)), /still under way/);
    patient = true;
    // Unknown: ask again until it is known.
    let claim: ClaimResult | undefined;
    while (claim === undefined) {
      await setImmediate();
      claim = await store.claim({ node: "n1", mapVersion: 1, instance: "i" }).catch(() => undefined);
    }
    assert.ok(claim.kind === "claimed" && claim.state.offset === 1, JSON.stringify(claim));
    const [letter] = await withSnapshot(engineIn(folder), 0, (s) => s.dead(1));
    assert.equal(letter?.bytes.length, 100 << 20);
    await store.close();
  });
});
