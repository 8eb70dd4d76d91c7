// Blobs kept across reads: seen by how often the store is asked for them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { encodeBlob, valueAt } from "../../src/store/blob.ts";
import { Environment, type View } from "../../src/store/environment.ts";
import { KeptBlobs } from "../../src/store/kept-blobs.ts";
import { blobKey } from "../../src/store/keys.ts";
import { freshWork } from "../../src/store/work.ts";
import { columns } from "../contract/store-helpers.ts";
import { withFolder } from "./lmdb-helpers.ts";

/** A store of blobs of so many rows, at offsets 1, 2, and so on; the series of blob i is 100 + i. */
async function withBlobs(
  rows: readonly number[],
  use: (view: View, keys: Buffer[], asked: () => number) => void,
): Promise<void> {
  await withFolder(async (folder) => {
    const options = { path: `${folder}/shard`, mapBytes: 64 << 20, readOnly: false, clock: systemClock };
    const environment = await Environment.open(options);
    const puts = rows.map((count, i) => {
      const points = Array.from({ length: count }, (_, j) => ({
        series: 101 + i,
        bucket: j,
        sum: Math.sqrt(j),
      }));
      const { bytes, minBucket, maxBucket } = encodeBlob(columns(points), new Uint32Array(0));
      return { key: blobKey({ number: i + 1, minBucket, maxBucket, commits: 1 }), value: bytes };
    });
    const { version } = environment.look((state) => state.work());
    assert.ok(await environment.changeWork(version, freshWork(), { puts, removes: [] }, false));
    const view = environment.view();
    let asked = 0;
    const counting: View = { ...view, peek: (key) => ((asked += 1), view.peek(key)) };
    use(
      counting,
      puts.map(({ key }) => key),
      () => asked,
    );
    view.close();
    await environment.close();
  });
}

test("G1: a blob is read from the store once, and stays what it is while others are read", async () => {
  await withBlobs([3, 1000, 1], (view, keys, asked) => {
    const reader = new KeptBlobs().ofReader();
    for (let round = 0; round < 3; round++) {
      const blobs = keys.map((key) => reader.get(view, key, 0));
      assert.deepEqual(
        blobs.map(({ kept }) => kept),
        keys.map(() => round > 0),
      );
      assert.deepEqual(
        blobs.map(({ blob }) => [blob.rows, valueAt(blob.series, 0), valueAt(blob.sum, blob.rows - 1)]),
        [
          [3, 101, Math.sqrt(2)],
          [1000, 102, Math.sqrt(999)],
          [1, 103, 0],
        ],
      );
    }
    assert.equal(asked(), 3);
    // Nothing is held but the blob itself.
    for (const key of keys) {
      const { blob, bytes } = reader.get(view, key, 0);
      for (const { values } of [blob.bucket, blob.sum])
        assert.ok(values === undefined || values.buffer.byteLength < bytes);
    }
  });
});

test("readers share the bound, not the blobs; one that is closed forgets its own", async () => {
  await withBlobs([3, 4], (view, keys, asked) => {
    const [key = Buffer.alloc(0), other = Buffer.alloc(0)] = keys;
    const kept = new KeptBlobs();
    const a = kept.ofReader();
    const b = kept.ofReader();
    assert.deepEqual(
      [a.get(view, key, 0).kept, b.get(view, key, 0).kept, b.get(view, other, 0).kept],
      [false, false, false],
    );
    a.close();
    assert.deepEqual([b.get(view, key, 0).kept, b.get(view, other, 0).kept, asked()], [true, true, 3]);
    assert.equal(a.get(view, key, 0).kept, false);
  });
});

test("G2, G3: the bound holds; a read of more than fits keeps what it read first", async () => {
  await withBlobs(
    Array.from({ length: 10 }, () => 1000),
    (view, keys, asked) => {
      const one = new KeptBlobs().ofReader().get(view, keys[0] ?? Buffer.alloc(0), 0).bytes;
      const before = asked();
      const reader = new KeptBlobs(4.5 * one).ofReader();
      const read = (some: readonly Buffer[]) => {
        let bytes = 0;
        let kept = 0;
        for (const key of some) {
          const got = reader.get(view, key, bytes);
          bytes += got.bytes;
          if (got.kept) kept++;
        }
        return kept;
      };
      assert.deepEqual([read(keys), read(keys), read(keys)], [0, 4, 4]);
      // Others come in where they fit, and the ones longest unread go.
      assert.deepEqual([read(keys.slice(6, 8)), read(keys.slice(6, 8)), read(keys.slice(0, 4))], [0, 2, 0]);
      assert.equal(asked() - before, 10 + 6 + 6 + 2 + 0 + 4);
    },
  );
});
