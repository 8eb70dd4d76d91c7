// Reading cells where rows lie in pieces of several ladders and rungs, in blobs, and in both while a round is under way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { isOutage } from "../../src/base/errors.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { parseLadder, type Ladder } from "../../src/metric/bucket.ts";
import { mergeSummary, type Summary } from "../../src/metric/summary.ts";
import { encodeBlob } from "../../src/store/blob.ts";
import { emptyCells, type GridRange } from "../../src/store/cells.ts";
import { Environment, type Writes } from "../../src/store/environment.ts";
import { PieceWriter } from "../../src/store/fragment.ts";
import { KeptBlobs } from "../../src/store/kept-blobs.ts";
import { blobKey, blockOf, pieceKey, spanKey } from "../../src/store/keys.ts";
import { reachOf } from "../../src/store/reach.ts";
import { ViewSnapshot } from "../../src/store/snapshot.ts";
import { encodeSpan } from "../../src/store/spans.ts";
import { SnapshotClosed, type Cells } from "../../src/store/store.ts";
import { Summaries } from "../../src/store/summaries.ts";
import { freshWork, spanOf, type ShardWork } from "../../src/store/work.ts";
import { columns } from "../contract/store-helpers.ts";
import { withFolder } from "./lmdb-helpers.ts";

function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  assert.ok(parsed.kind === "ladder");
  return parsed.ladder;
}

function reaches(kept: number[], stepSeconds: number, from: number, until: number, expected: string): void {
  const text = "10s:1h,60s:1d,600s:30d";
  const reach = reachOf({ text, ladder: ladderOf(text), kept }, stepSeconds, from, until);
  assert.equal(reach.map((each) => `${each.rung}:${each.from}-${each.until}`).join(" "), expected);
}

test("H1, H2: which rung answers for which times", () => {
  reaches([0, 0, 0], 10, 0, 100, "0:0-100");
  reaches([0, 0, 0], 60, 0, 100, "1:0-100");
  reaches([0, 0, 0], 120, 0, 100, "1:0-100");
  reaches([0, 0, 0], 1200, 0, 100, "2:0-100");
  reaches([0, 0, 0], 7, 0, 100, "0:0-100");
  reaches([300, 200, 100], 10, 0, 1000, "0:300-1000 1:200-300 2:100-200");
  reaches([300, 200, 100], 60, 150, 1000, "1:200-1000 2:150-200");
  reaches([300, 200, 100], 60, 50, 90, "");
  reaches([300, 200, 100], 10, 50, 300, "1:200-300 2:100-200");
  reaches([300, 300, 100], 10, 50, 400, "0:300-400 2:100-300");
  reaches([200, 300, 100], 10, 0, 400, "0:300-400 2:100-300");
  reaches([0, 0, 0], 10, -100, 2 ** 33, "0:0-4294967295");
});

interface Point extends Summary {
  series: number;
  bucket: number;
}

function summariesOf(points: readonly Point[]): Summaries {
  const rows = new Summaries();
  rows.reserve(points.length);
  rows.count = points.length;
  for (const [i, point] of points.entries())
    for (const name of [
      "bucket",
      "points",
      "sum",
      "min",
      "max",
      "last",
      "lastSeconds",
      "lastReceivedAtMs",
    ] as const)
      rows[name][i] = point[name];
  return rows;
}

/** What lies in a store; `add` as upkeep would. */
class Layout {
  readonly work: ShardWork = freshWork();
  readonly writes: Writes = { puts: [], removes: [] };
  readonly #spans = new Map<string, { key: Buffer; pieces: number[] }>();
  #writer = new PieceWriter();

  ladder(text: string, kept: number[]): number {
    return this.work.ladders.push({ text, ladder: ladderOf(text), kept }) - 1;
  }

  blob(offset: number, points: readonly Point[]): void {
    if (points.length === 0) return;
    const { bytes, minBucket, maxBucket } = encodeBlob(columns([...points]), new Uint32Array(0));
    this.writes.puts.push({
      key: blobKey({ number: offset, minBucket, maxBucket, commits: 1 }),
      value: bytes,
    });
  }

  /** Into pieces of that number, of each rung that holds them. */
  pieces(number: number, piece: number, points: readonly Point[]): void {
    const { ladder, kept } = this.work.ladders[number] ?? { ladder: { rungs: [] }, kept: [] };
    for (const [rung, { stepSeconds }] of ladder.rungs.entries()) {
      const held = points.filter(({ bucket }) => bucket >= (kept[rung] ?? 0));
      const groups = new Map<string, Point[]>();
      for (const point of held) {
        const group = `${spanOf(ladder, rung, point.bucket)} ${blockOf(point.series)}`;
        groups.set(group, [...(groups.get(group) ?? []), point]);
      }
      for (const [group, inside] of groups) {
        const [span = 0, block = 0] = group.split(" ").map(Number);
        this.#writer.begin(span, stepSeconds);
        for (let slot = 0; slot < 16; slot++) {
          const rows = new Summaries();
          const of = summariesOf(inside.filter(({ series }) => series === block * 16 + slot));
          rows.gather(of, 0, of.count, stepSeconds);
          this.#writer.add(slot, rows);
        }
        const value = this.#writer.finish();
        assert.ok(value !== undefined);
        const place = { ladder: number, rung, span };
        this.writes.puts.push({ key: pieceKey(place, block, piece), value });
        const key = spanKey(place);
        const known = this.#spans.get(key.toString("hex")) ?? { key, pieces: [] };
        this.#spans.set(key.toString("hex"), known);
        if (!known.pieces.includes(piece)) known.pieces.push(piece);
      }
    }
  }

  async read<T>(
    folder: string,
    use: (snapshot: ViewSnapshot) => Promise<T>,
    keptBytes = 64 << 20,
  ): Promise<T> {
    const options = { path: `${folder}/shard`, mapBytes: 64 << 20, readOnly: false, clock: systemClock };
    const environment = await Environment.open(options);
    for (const { key, pieces } of this.#spans.values()) {
      const value = encodeSpan(pieces.map((number) => ({ number, level: 0, bytes: 1 })));
      this.writes.puts.push({ key, value });
    }
    const { version } = environment.look((state) => state.work());
    assert.ok(await environment.changeWork(version, this.work, this.writes, false));
    const snapshot = new ViewSnapshot(environment.view(), new KeptBlobs(keptBytes).ofReader(), () => {});
    try {
      return await use(snapshot);
    } finally {
      snapshot.close();
      await snapshot.ended;
      await environment.close();
    }
  }
}

function merged(at: Map<number, Summary>, cell: number, point: Summary): void {
  const known = at.get(cell);
  if (known === undefined) at.set(cell, { ...point });
  else mergeSummary(known, point);
}

function cellsOf(ids: readonly number[], range: GridRange, at: Map<number, Summary>): Cells {
  const cells = emptyCells(ids.length, range);
  for (const [cell, summary] of at)
    for (const name of ["points", "sum", "min", "max", "last"] as const) cells[name][cell] = summary[name];
  return cells;
}

function pointOf(series: number, bucket: number, value: number, delayMs = 0): Point {
  const lastReceivedAtMs = bucket * 1000 + delayMs;
  return {
    series,
    bucket,
    points: 1,
    sum: value,
    min: value,
    max: value,
    last: value,
    lastSeconds: bucket,
    lastReceivedAtMs,
  };
}

const base = 1_699_920_000;

test("rows of rungs, ladders and blobs add up, each where its bucket starts", async () => {
  const f = async (
    put: (layout: Layout) => void,
    range: GridRange,
    expected: (number | null)[],
  ): Promise<void> =>
    await withFolder(async (folder) => {
      const layout = new Layout();
      put(layout);
      const cells = await layout.read(folder, (snapshot) => snapshot.fetch([20], range));
      assert.deepEqual(
        Array.from(cells.sum, (sum, i) => (cells.points[i] === 0 ? null : sum)),
        expected,
      );
    });
  const at = (seconds: number, value = 1, series = 20) => pointOf(series, base + seconds, value);
  const range = { start: base, stepSeconds: 10, width: 4 };
  await f(() => {}, range, [null, null, null, null]);
  await f((layout) => layout.blob(5, [at(3), at(17), at(44)]), range, [1, 1, null, null]);
  const two = (layout: Layout) => {
    const ladder = layout.ladder("10s:1h,60s:1d", [0, 0]);
    layout.pieces(ladder, 1, [at(3), at(12), at(30), at(31, 5, 21)]);
    layout.pieces(ladder, 2, [at(4), at(11, 7)]);
    layout.pieces(ladder, 3, [at(4, 1, 100)]);
  };
  await f(two, range, [2, 8, null, 1]);
  await f(two, { ...range, stepSeconds: 60, width: 1 }, [11]);
  await f(two, { start: base + 10, stepSeconds: 10, width: 1 }, [8]);
  // Another ladder's, and what is not compacted yet.
  await f(
    (layout) => {
      two(layout);
      layout.pieces(layout.ladder("60s:1d", [0]), 9, [at(15, 100)]);
      layout.blob(77, [at(39, 1000)]);
    },
    range,
    [102, 8, null, 1001],
  );
  // The first rung reaches back an hour only: older times come from the second, in the cells of its own buckets.
  await f(
    (layout) => {
      const ladder = layout.ladder("10s:1h,60s:1d", [base + 3600, 0]);
      layout.pieces(ladder, 1, [at(3570), at(3590), at(3600), at(3615)]);
    },
    { start: base + 3540, stepSeconds: 10, width: 9 },
    [2, null, null, null, null, null, 1, 1, null],
  );
  // W1: a round's cursor has passed series 20 (its rows lie in pieces), or not yet.
  for (const [nextSeries, until, expected] of [
    [32, 5, [1, 2]],
    [16, 5, [2, 2]],
    [32, 4, [2, 2]],
  ] as const)
    await f(
      (layout) => {
        layout.work.round = { replay: undefined, until, nextSeries, piece: 1 };
        layout.pieces(layout.ladder("10s:1h", [0]), 1, [at(3)]);
        layout.blob(5, [at(3)]);
        layout.blob(6, [at(15, 2), at(15, 1, 40)]);
      },
      { ...range, width: 2 },
      [...expected],
    );
});

/** Everything by chance, against the points themselves. */
async function history(random: Random, folder: string): Promise<void> {
  const layout = new Layout();
  const texts = ["10s:2h,60s:1d,600s:4d", "60s:6h,300s:3d", "1s:10m,30s:1d"];
  const now = base + 4 * 86_400;
  const ladders = texts.map((text) => {
    const ladder = ladderOf(text);
    const kept = ladder.rungs.map(({ spanSeconds }, rung) => spanOf(ladder, rung, now - spanSeconds));
    return { number: layout.ladder(text, kept), ladder, kept };
  });
  const ids = Array.from({ length: 12 }, () => 16 + random.below(60));
  const seconds = () => now - Math.floor(random.next() ** 4 * 4 * 86_400);
  const randomPoints = (count: number) =>
    Array.from({ length: random.below(count) }, () =>
      pointOf(
        ids[random.below(ids.length)] ?? 16,
        seconds(),
        random.below(9) - 4 || -0,
        random.below(3) * 100,
      ),
    );
  const all: { point: Point; ladder: number | undefined }[] = [];
  const into = (ladder: number, piece: number, points: Point[]) => {
    layout.pieces(ladder, piece, points);
    for (const point of points) all.push({ point, ladder });
  };
  for (let piece = 1; piece < 6; piece++) into(random.below(3), piece, randomPoints(300));
  const round = { replay: undefined, until: 20, nextSeries: 16 * (1 + random.below(5)), piece: 6 };
  if (random.below(3) > 0) layout.work.round = round;
  for (const offset of [10, 20, 30, 40]) {
    const points = new Map(randomPoints(200).map((point) => [`${point.series} ${point.bucket}`, point]));
    const rows = [...points.values()];
    layout.blob(offset, rows);
    const passed = (point: Point) =>
      layout.work.round !== undefined && offset <= round.until && point.series < round.nextSeries;
    into(0, 100 + offset, rows.filter(passed));
    for (const point of rows) if (!passed(point)) all.push({ point, ladder: undefined });
  }
  // Of some 10 kB each: none is kept, or one or two, or all.
  const keptBytes = [1, 20_000, 64 << 20][random.below(3)];
  await layout.read(
    folder,
    async (snapshot) => {
      for (let read = 0; read < 12; read++) {
        const stepSeconds = [1, 7, 10, 60, 90, 300, 600, 3600][random.below(8)] ?? 1;
        const width = 1 + random.below(400);
        const start = Math.floor((seconds() - random.below(width) * stepSeconds) / stepSeconds) * stepSeconds;
        const asked = [...ids.slice(random.below(8)), 5, 4_000_000].sort(() => random.next() - 0.5);
        const range = { start, stepSeconds, width };
        const at = new Map<number, Summary>();
        for (const { point, ladder: number } of all) {
          let { bucket } = point;
          if (number !== undefined) {
            const { ladder, kept } = ladders[number] ?? { ladder: { rungs: [] }, kept: [] };
            const first = Math.max(
              0,
              ladder.rungs.findLastIndex((rung) => stepSeconds % rung.stepSeconds === 0),
            );
            const rung = ladder.rungs.findIndex((_, i) => i >= first && bucket >= (kept[i] ?? 0));
            if (rung < 0) continue;
            bucket -= bucket % (ladder.rungs[rung]?.stepSeconds ?? 1);
          }
          const column = Math.floor((bucket - start) / stepSeconds);
          if (column < 0 || column >= width) continue;
          for (const [row, id] of asked.entries())
            if (id === point.series) merged(at, row * width + column, point);
        }
        assert.deepStrictEqual(await snapshot.fetch(asked, range), cellsOf(asked, range, at));
      }
    },
    keptBytes,
  );
}

test("E1: any layout reads as its points", async () => {
  const seed = Date.now() % 1_000_000;
  for (let round = 0; round < 6; round++)
    await withFolder(async (folder) => {
      try {
        await history(seededRandom(seed + round), folder);
      } catch (error) {
        throw new Error(`seed ${seed + round}`, { cause: error });
      }
    });
});

test("S3: 0 is above -0, whatever lies in a piece and whatever in a blob", async () => {
  await withFolder(async (folder) => {
    const layout = new Layout();
    layout.pieces(layout.ladder("10s:1h", [0]), 1, [pointOf(20, base, 0), pointOf(21, base, -0)]);
    layout.blob(1, [pointOf(20, base + 1, -0), pointOf(21, base + 1, 0)]);
    layout.blob(2, [pointOf(22, base, 0)]);
    layout.blob(3, [pointOf(22, base, -0)]);
    const range = { start: base, stepSeconds: 10, width: 1 };
    const cells = await layout.read(folder, (snapshot) => snapshot.fetch([20, 21, 22], range));
    for (const i of [0, 1, 2]) {
      assert.ok(Object.is(cells.min[i], -0), `min of ${i}`);
      assert.ok(Object.is(cells.max[i], 0), `max of ${i}`);
    }
    assert.ok(Object.is(cells.last[0], -0) && Object.is(cells.last[1], 0) && Object.is(cells.last[2], 0));
  });
});

test("a piece that is none is store-corrupt; a closed snapshot ends a long read", async () => {
  const range = { start: base, stepSeconds: 10, width: 1 };
  await withFolder(async (folder) => {
    const layout = new Layout();
    layout.pieces(layout.ladder("10s:1h", [0]), 1, [pointOf(20, base, 1)]);
    layout.writes.puts[0]?.value.fill(255, 0, 3);
    await assert.rejects(
      layout.read(folder, (snapshot) => snapshot.fetch([20], range)),
      (error) => isOutage(error, "store-corrupt"),
    );
  });
  await withFolder(async (folder) => {
    const layout = new Layout();
    const ids = Array.from({ length: 40_000 }, (_, i) => 16 * (i + 1));
    layout.pieces(
      layout.ladder("10s:1h", [0]),
      1,
      [16, 32].map((series) => pointOf(series, base, 1)),
    );
    await layout.read(folder, async (snapshot) => {
      const reading = snapshot.fetch(ids, range);
      const closed = assert.rejects(reading, SnapshotClosed);
      snapshot.close();
      await closed;
    });
  });
});
