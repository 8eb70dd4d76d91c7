// Kills and stops of owners, threads and readers: what was answered ok is there, once, and the shard goes on.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { isOutage } from "../../src/base/errors.ts";
import { seededRandom } from "../../src/base/random.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { table, withSnapshot } from "../contract/store-helpers.ts";
import { engineIn, start, withFolder, type Child } from "./lmdb-helpers.ts";

/** After any history of owners: every range up to the offset is there once, and nothing of a zombie. */
async function checkExact(folder: string, offsetSaid: number): Promise<number> {
  const engine = engineIn(folder);
  return await withSnapshot(engine, 0, async (snapshot) => {
    const { offset, boots } = await snapshot.state();
    assert.ok(offset >= offsetSaid, `what was answered ok is there: ${offsetSaid}, got ${offset}`);
    const [series] = await snapshot.findSeries("t1", "s", 1);
    const cells = await snapshot.fetch([series?.id ?? 0], { start: 0, stepSeconds: 10, width: offset + 1 });
    const expected: (number[] | null)[] = Array.from({ length: offset + 1 }, () => null);
    let points = 0;
    for (let from = 0; from < offset; ) {
      const to = from + 1 + (from % 3);
      expected[from] = [to - from, from, from, from, from];
      points += to - from;
      assert.equal((await snapshot.findSeries("t1", `new.${from}`, 1)).length, 1);
      from = to;
    }
    assert.deepEqual(table(cells), expected);
    assert.deepEqual(boots, offset === 0 ? [] : [{ boot: "aa", applied: [[1, offset]], lastAppliedMs: 1 }]);
    const ledger = await snapshot.ledger("t1", 0, 0);
    assert.equal(
      ledger.reduce((sum, row) => sum + row.count, 0),
      points,
    );
    assert.deepEqual(await snapshot.findSeries("t1", "zombie", 1), []);
    return offset;
  });
}

function offsetSaidBy(lines: readonly string[]): number {
  return Number(lines.findLast((line) => line.startsWith("o "))?.slice(2) ?? 0);
}

test("kill -9 of the owner at random moments, a zombie beside it: no range lost, none twice", async () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  await withFolder(async (folder) => {
    let said = 0;
    let zombie: Child | undefined;
    let firstEpoch = "";
    for (let round = 1; round <= 6; round++) {
      const owner = start("owner", folder, String(round));
      await owner.line("o ");
      if (round === 1) firstEpoch = owner.lines[0]?.slice(2) ?? "";
      else if (zombie === undefined) {
        zombie = start("zombie", folder, firstEpoch);
        await zombie.line("z ");
      }
      const until = systemClock.monotonicMs() + 20 + random.below(250);
      while (systemClock.monotonicMs() < until) await owner.output();
      await owner.kill();
      said = Math.max(said, offsetSaidBy(owner.lines));
      const refusals = owner.lines.filter((line) => line.startsWith("x "));
      assert.deepEqual(refusals, [], `seed ${seed}`);
      assert.ok((await checkExact(folder, said)) >= said, `seed ${seed}`);
    }
    await zombie?.kill();
    assert.equal(firstEpoch, "1");
    assert.deepEqual([...new Set(zombie?.lines)], ["z fenced"]);
    assert.ok(said > 20, `seed ${seed}: only ${said} committed`);
  });
});

test("an owner that was stopped and goes on is fenced from its first commit on", async () => {
  await withFolder(async (folder) => {
    const old = start("owner", folder, "1", "pause");
    await old.line("o ");
    old.process.kill("SIGSTOP");
    const now = start("owner", folder, "2");
    await now.line("o ");
    old.process.kill("SIGCONT");
    await once(old.process, "exit");
    assert.match(old.lines.at(-1) ?? "", /^x \{"kind":"fenced"/);
    await now.kill();
    await checkExact(folder, offsetSaidBy(now.lines));
  });
});

test("a worker thread terminated at random moments leaves the shard to the next one", async () => {
  await withFolder(async (folder) => {
    const first = start("owner", folder, "0");
    await first.line("o ");
    await first.kill();
    // Another process that holds the environment open: LMDB's locks are then not made anew at each opening.
    const holder = start("reader", folder);
    await holder.line("open");
    const versions = 12;
    let done = 0;
    let said = 0;
    for (let aborts = 0; done < versions; ) {
      const host = start("host", folder, String(done + 1), String(versions));
      await once(host.process, "exit");
      for (const line of host.lines) {
        [done = 0, said = 0] = line.split(" ").slice(1).map(Number);
      }
      if (host.process.exitCode === 0) continue;
      // lmdb-js aborts the process when its thread is terminated just while it calls one of lmdb-js's objects: rare,
      // and as good as a kill -9 for what is stored.
      console.error(`the process of a terminated thread ended by ${host.process.signalCode}`);
      assert.equal(host.process.signalCode, "SIGABRT");
      assert.ok(++aborts <= 3, "that it is rare");
      done++;
    }
    await holder.kill();
    await checkExact(folder, said);
  });
});

function notYet(error: unknown): boolean {
  return isOutage(error, "store-unavailable");
}

test("a reader waits for the shard, makes nothing itself, and reads beside another process that writes", async () => {
  await withFolder(async (folder) => {
    const engine = createLmdbEngine({ folder, mapBytes: 1 << 20, readOnly: true, clock: systemClock });
    const reader = await engine.openReader(0);
    await assert.rejects(reader.snapshot(), notYet);
    assert.ok(!existsSync(join(folder, "shard-0")));
    mkdirSync(join(folder, "shard-0"));
    await assert.rejects(reader.snapshot(), notYet);
    await assert.rejects(engine.openShard(0), /BUG/);
    const owner = start("owner", folder, "1");
    await owner.line("o ");
    const one = await reader.snapshot();
    const { offset } = await one.state();
    await owner.line(`o ${offset}`);
    const seen = new Set<number>();
    while (seen.size < 5) {
      await owner.output();
      const two = await reader.snapshot();
      seen.add((await two.state()).offset);
      two.close();
    }
    assert.equal((await one.state()).offset, offset);
    // Closing with a snapshot open, and an answer under way.
    const late = one.findSeries("t1", "*.*", 100_000);
    await reader.close();
    assert.ok((await late).length > 0);
    await owner.kill();
  });
});
