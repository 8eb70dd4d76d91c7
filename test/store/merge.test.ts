import assert from "node:assert/strict";
import { test } from "node:test";
import { PieceReader, PieceWriter } from "../../src/store/fragment.ts";
import { pieceKey } from "../../src/store/keys.ts";
import { MergeWork } from "../../src/store/merge.ts";
import { Slice } from "../../src/store/slice.ts";
import { Summaries } from "../../src/store/summaries.ts";
import { freshWork } from "../../src/store/work.ts";
import { upkeepDefaults } from "../../src/store/upkeep.ts";
import { ladderOf } from "../contract/store-life.ts";
import { withStore } from "./shard-bench.ts";

test("a block with more pieces than a slice looks at is merged", async () => {
  await withStore(async ({ upkeep, view }) => {
    const place = { ladder: 0, rung: 0, span: 3600 };
    const rows = new Summaries();
    rows.reserve(1);
    rows.count = 1;
    rows.bucket[0] = 3660;
    rows.points[0] = 1;
    rows.lastSeconds[0] = 3660;
    const writer = new PieceWriter();
    writer.begin(place.span, 10);
    writer.add(3, rows);
    const value = writer.finish() ?? Buffer.alloc(0);
    const blocks = [1, 2];
    const numbers = Array.from({ length: 9000 }, (_, i) => i + 1);
    const puts = blocks.flatMap((block) =>
      numbers.map((number) => ({ key: pieceKey(place, block, number), value })),
    );
    const wanted = numbers.filter((number) => number % 4 === 0);
    const merge = { ...place, pieces: wanted, into: 10_000, level: 1, nextBlock: 0 };
    const ladder = ladderOf("10s:1d");
    const ladders = [{ text: "10s:86400s", ladder, kept: [0] }];
    await upkeep({ puts }, { ...freshWork(), ladders, merge, nextPiece: 10_001 });
    const merging = new MergeWork();
    for (const block of blocks) {
      const planned = view((now) => {
        const slice = new Slice(now, now.work().work);
        merging.plan(slice, { ...upkeepDefaults, slicePuts: 1 });
        return slice;
      });
      assert.equal(planned.writes.removes.length, wanted.length);
      const [put] = planned.writes.puts;
      assert(put !== undefined);
      assert.deepEqual(put.key, pieceKey(place, block, 10_000));
      const reader = new PieceReader();
      reader.open(put.value, place.span, 10);
      assert.equal(reader.points, wanted.length);
      assert.equal(planned.work.merge?.nextBlock, block === 1 ? 2 : undefined);
      await upkeep(planned.writes, planned.work);
    }
  });
});
