import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock as clock } from "../../src/base/clock.ts";
import { isOutage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { beginAnew, copyStore, dataFile, headOfCopy, shardFolder, spaceOf } from "../../src/store/copy.ts";
import { Environment, type Writes } from "../../src/store/environment.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { commitOf } from "../contract/store-helpers.ts";
import { withFolder } from "./lmdb-helpers.ts";

const mapBytes = 256 << 20;
/** The rows that tests write; a new store has one of its own beside them. */
const all = { start: Buffer.from("b"), end: Buffer.from("c") };

async function open(path: string, readOnly = false): Promise<Environment> {
  return await Environment.open({ path, mapBytes, readOnly, clock });
}

/** Changes the offset and these rows, as a commit does. */
async function write(environment: Environment, offset: number, writes: Writes): Promise<void> {
  const { head, version } = environment.look((state) => ({ head: state.head, version: state.version }));
  assert.ok(await environment.change(version, { ...head, offset, epoch: 7 }, writes, false));
}

function rowsOf(environment: Environment): string[] {
  return environment.look((state) =>
    state
      .range(all.start, all.end, 1_000_000)
      .map(({ key, value }) => `${key.toString("hex")} ${value.toString("hex")}`),
  );
}

test("a copy has every row of one state, large and small, and none of the free pages", async () => {
  await withFolder(async (folder) => {
    const seed = Date.now() % 1_000_000;
    const random = seededRandom(seed);
    const path = shardFolder(folder, 0);
    const environment = await open(path);
    const key = (i: number) => Buffer.from(`b${i}`);
    for (let offset = 1; offset <= 200; offset++) {
      const puts = Array.from({ length: 20 }, () => {
        const bytes = random.below(10) === 0 ? 20_000 + random.below(60_000) : random.below(300);
        return { key: key(random.below(1000)), value: Buffer.from(random.bytes(bytes)) };
      });
      const removes = Array.from({ length: 12 }, () => key(random.below(1000)));
      await write(environment, offset, { puts, removes });
    }
    // Most of the file is free now.
    await write(environment, 201, {
      puts: [],
      removes: Array.from({ length: 700 }, (_, i) => key(i)),
    });
    const to = join(folder, "copy");
    mkdirSync(to);
    await copyStore(path, to, clock);
    assert.deepEqual(readdirSync(to), ["data.mdb"]);
    const { usedBytes, fileBytes } = await spaceOf(path, clock);
    const copied = statSync(dataFile(to)).size;
    assert.ok(
      copied <= usedBytes && copied < fileBytes / 2,
      `seed ${seed}: ${copied} of ${usedBytes}, ${fileBytes}`,
    );
    const before = readFileSync(dataFile(to));
    const { offset, epoch } = await headOfCopy(to, clock);
    assert.deepEqual([offset, epoch], [201, 7]);
    assert.deepEqual(readFileSync(dataFile(to)), before, "looking changes nothing");
    assert.deepEqual(readdirSync(to), ["data.mdb"]);
    const copy = await open(to);
    assert.deepEqual(rowsOf(copy), rowsOf(environment), `seed ${seed}`);
    // It can be written, and what was free in the original is no concern of it.
    await write(copy, 202, { puts: [{ key: key(1), value: Buffer.alloc(100_000, 1) }], removes: [] });
    assert.equal(copy.look((state) => state.get(key(1)))?.length, 100_000);
    await copy.close();
    await environment.close();
  });
});

test("copies made while commits go on are each one state: all rows of a commit, and its offset", async () => {
  await withFolder(async (folder) => {
    const path = shardFolder(folder, 0);
    const environment = await open(path);
    const value = Buffer.alloc(3000, 1);
    const commit = async (offset: number) => {
      const puts = Array.from({ length: 30 }, (_, i) => ({
        key: Buffer.from(`b${i}`),
        value: Buffer.concat([Buffer.from(`${offset} `), value]),
      }));
      await write(environment, offset, { puts, removes: [] });
    };
    await commit(1);
    let offset = 1;
    const stop = new AbortController();
    const writing = (async () => {
      while (!stop.signal.aborted) await commit(++offset);
    })();
    const seen = new Set<number>();
    for (let n = 0; n < 20; n++) {
      const to = join(folder, `copy${n}`);
      mkdirSync(to);
      await copyStore(path, to, clock);
      const copy = await open(to);
      const { head, rows } = copy.look((state) => ({
        head: state.head,
        rows: state.range(all.start, all.end, 100),
      }));
      assert.equal(rows.length, 30);
      const offsets = new Set(rows.map((row) => Number(row.value.toString("latin1").split(" ")[0])));
      assert.deepEqual([...offsets], [head.offset]);
      seen.add(head.offset);
      await copy.close();
    }
    stop.abort();
    await writing;
    assert.ok(seen.size > 5, `commits went on: ${[...seen].join(" ")}`);
    await environment.close();
  });
});

test("a copy that begins anew keeps its offset and its rows; any map may claim it", async () => {
  await withFolder(async (folder) => {
    const engine = createLmdbEngine({ folder, mapBytes, clock });
    const shard = await engine.openShard(0);
    const claimed = await shard.claim({ node: "a", mapVersion: 5, instance: "i" });
    assert.equal(claimed.kind, "claimed");
    await shard.close();
    const path = shardFolder(folder, 0);
    const environment = await open(path);
    await write(environment, 1000, {
      puts: [{ key: Buffer.from("b1"), value: Buffer.from("x") }],
      removes: [],
    });
    await environment.close();
    await beginAnew(path, "new record", clock);
    assert.deepEqual(readdirSync(path), ["data.mdb"]);
    const again = await engine.openShard(0);
    const claim = await again.claim({ node: "b", mapVersion: 1, instance: "i" });
    assert.equal(claim.kind, "claimed");
    if (claim.kind !== "claimed") return;
    const { epoch, offset, incarnation } = claim.state;
    assert.deepEqual([epoch, offset, incarnation], [8, 1000, "new record"]);
    await again.close();
    const copy = await open(path);
    assert.deepEqual(rowsOf(copy), [
      `${Buffer.from("b1").toString("hex")} ${Buffer.from("x").toString("hex")}`,
    ]);
    await copy.close();
  });
});

test("what a new record does not have is set aside no more, and no part of its frames is taken for done", async () => {
  await withFolder(async (folder) => {
    const engine = createLmdbEngine({ folder, mapBytes, clock });
    const shard = await engine.openShard(0);
    await shard.claim({ node: "a", mapVersion: 1, instance: "i" });
    const at = { incarnation: "i1", frameTimeMs: 9, receivedAtMs: 9 };
    assert.equal(await shard.skip(1, 9, at), "ok");
    assert.equal((await shard.commit(commitOf(1, 9, 12, { partLines: 5 }))).kind, "ok");
    assert.equal((await shard.commit(commitOf(1, 0, 3, { lane: "fill" }))).kind, "ok");
    await shard.attempt(1, "live", { sequence: 13, from: 5, to: 6 });
    await shard.close();
    const head = await beginAnew(shardFolder(folder, 0), "new record", clock);
    const { offset, gaps, holes, parts, lanes } = head;
    assert.deepEqual(
      { offset, gaps, holes, parts, trial: lanes.live.trial },
      { offset: 12, gaps: [], holes: [[4, 9]], parts: [], trial: undefined },
    );
  });
});

test("where there is no store, or no room for its copy, it is said", async () => {
  await withFolder(async (folder) => {
    const refused = (path: string) => (error: unknown) => isOutage(error) && error.message.includes(path);
    await assert.rejects(
      copyStore(join(folder, "shard-9"), folder, clock),
      refused("shard-9 is not there yet"),
    );
    const path = shardFolder(folder, 0);
    await (await open(path)).close();
    await assert.rejects(copyStore(path, join(folder, "nowhere"), clock), refused("nowhere"));
    const to = join(folder, "taken");
    mkdirSync(to);
    await copyStore(path, to, clock);
    await assert.rejects(copyStore(path, to, clock), refused("taken"));
  });
});
