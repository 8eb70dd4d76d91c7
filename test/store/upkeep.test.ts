import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { parseLadder, type Ladder } from "../../src/metric/bucket.ts";
import { compileLadderRules } from "../../src/metric/ladder-rules.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import {
  claimed,
  columns,
  commitOf,
  committed,
  key,
  table,
  withSnapshot,
} from "../contract/store-helpers.ts";

function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  assert(parsed.kind === "ladder");
  return parsed.ladder;
}

test("fragments answer what blobs answered, at every step, at each slice of upkeep", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-upkeep-"));
  try {
    const upkeepBounds = { sliceRows: 50, slicePuts: 20, roundBytes: 4000, mergePieces: 3 };
    const engine = createLmdbEngine({ folder, mapBytes: 64 << 20, clock: systemClock, upkeep: upkeepBounds });
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const upkeep = await engine.openUpkeep(0);
    const random = seededRandom(7);
    const rules = compileLadderRules(1, ladderOf("10s:1d,60s:10d,600s:100d"), new Map());
    const start = 1_790_000_000 - (1_790_000_000 % 86_400);
    const newSeries = Array.from({ length: 50 }, (_, i) => key(`a.s${i}`, `t${i % 3}`));
    let ids = await committed(store, commitOf(epoch, 0, 1, { newSeries, receivedAtMs: start * 1000 }));
    const works = new Map<string, number>();
    for (let n = 1; n < 120; n++) {
      const now = start + n * 100;
      const rows = ids.flatMap((series) =>
        random.below(3) === 0
          ? []
          : [
              {
                series,
                bucket: now - random.below(random.below(20) === 0 ? 5000 : 100),
                sum: random.below(1000),
                lastReceivedAtMs: now * 1000,
              },
            ],
      );
      const unique = [...new Map(rows.map((row) => [`${row.series} ${row.bucket}`, row])).values()];
      await committed(
        store,
        commitOf(epoch, n, n + 1, { deltas: columns(unique), receivedAtMs: now * 1000 }),
      );
      const see = () =>
        withSnapshot(engine, 0, async (s) =>
          [10, 60, 600, 3600]
            .flatMap(async (stepSeconds) =>
              table(
                await s.fetch(ids, {
                  start: start - 7200,
                  stepSeconds,
                  width: Math.ceil(20_000 / stepSeconds),
                }),
              ),
            )
            .reduce(async (all, each) => [...(await all), await each], Promise.resolve([] as unknown[])),
        );
      if (n % 5 !== 0) continue;
      const before = await see();
      for (let steps = 0; steps < (n % 20 === 0 ? 1000 : 5); steps++) {
        const did = await upkeep.step({ nowSeconds: now, ladders: rules, all: n % 40 === 0 });
        if (did.kind === "idle") break;
        assert(did.kind === "worked");
        works.set(did.work, (works.get(did.work) ?? 0) + 1);
        if (steps % 3 === 0) assert.deepEqual(await see(), before, `after ${did.work}`);
      }
      assert.deepEqual(await see(), before);
    }
    console.log(works);
    await upkeep.close();
    await store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
