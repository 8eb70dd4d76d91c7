// Two engines that lived through the same must show the same: everything when upkeep has nothing left to do, and at any
// moment what no upkeep may change (C6). Ids may differ: series are compared by tenant and name.
import assert from "node:assert/strict";
import { compareLetters } from "./store-random-letters.ts";
import { shownReplays } from "./store-random-replay.ts";
import { valueColumns, type Cells, type Snapshot } from "../../src/store/store.ts";

export interface Range {
  start: number;
  stepSeconds: number;
  width: number;
}

/** A name of each tenant, at each engine its id. */
export interface Pair {
  tenant: string;
  name: string;
  tested: number;
  memory: number;
}

const patterns =
  // Outputs of series that have some, and names of others' that are like them.
  `* *.* a.* {b,c}.s1* *.*;* a.s3 b.s1;k=v *.s[0-5] *.*.* a.s3.rate {a,b}.s1*.{mean,upper_7} *.*.[cm]*;*
  c.s1.rate;k=v b.s2*.*9;k=?`.split(/\s+/);
const columns = [...valueColumns, "sketch"] as const;

/** Filled cells as [row, seconds, points, sum, min, max, last]. */
function filled(cells: Cells): number[][] {
  const out: number[][] = [];
  for (const [i, points] of cells.points.entries()) {
    if (points === 0) continue;
    const seconds = cells.start + (i % cells.width) * cells.stepSeconds;
    const values = [cells.sum, cells.min, cells.max, cells.last].map((column) => column[i] ?? Number.NaN);
    out.push([Math.floor(i / cells.width), seconds, points, ...values]);
  }
  return out;
}

/** How many cells have something in them. */
export async function compareCells(
  tested: Snapshot,
  memory: Snapshot,
  pairs: readonly Pair[],
  range: Range,
): Promise<number> {
  const ids = (side: "tested" | "memory") => pairs.map((pair) => pair[side]);
  const testedCells = await tested.fetch(ids("tested"), range, columns);
  const memoryCells = await memory.fetch(ids("memory"), range, columns);
  const seen = filled(testedCells);
  const expected = filled(memoryCells);
  for (let i = 0; i < Math.max(seen.length, expected.length); i++) {
    const pair = pairs[(expected[i] ?? seen[i] ?? [])[0] ?? 0];
    const where = `${pair?.tenant} ${pair?.name} (${pair?.tested}) at step ${range.stepSeconds} from ${range.start}`;
    if (!sameNumbers(seen[i], expected[i]))
      assert.deepEqual(seen.slice(i, i + 4), expected.slice(i, i + 4), where);
  }
  assert.deepEqual(sketchesIn(testedCells), sketchesIn(memoryCells), `sketches at step ${range.stepSeconds}`);
  return seen.length;
}

/** By cell. */
export function sketchesIn({ sketches }: Cells): [cell: number, hex: string][] {
  return [...(sketches ?? [])]
    .sort(([a], [b]) => a - b)
    .map(([cell, bytes]) => [cell, Buffer.from(bytes).toString("hex")]);
}

function sameNumbers(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  return a !== undefined && b !== undefined && a.every((each, i) => Object.is(each, b[i]));
}

/** What upkeep has nothing to do with, at any moment. */
export async function compareNames(
  tested: Snapshot,
  memory: Snapshot,
  tenants: readonly string[],
  pairs: readonly Pair[],
): Promise<void> {
  assert.deepEqual(shownReplays(await tested.state()), shownReplays(await memory.state()));
  assert.deepEqual(shownReplays(await tested.progress()), shownReplays(await memory.progress()));
  assert.deepEqual((await tested.tenants()).toSorted(), (await memory.tenants()).toSorted());
  await compareLetters(tested, memory);
  const ids = new Map(pairs.map((pair) => [pair.memory, pair.tested]));
  for (const tenant of tenants) {
    assert.deepEqual(
      await tested.ledger(tenant, 0, 4_000_000_000),
      await memory.ledger(tenant, 0, 4_000_000_000),
    );
    for (const pattern of patterns) {
      const nodes = await tested.findNodes(tenant, pattern, 1000);
      assert.deepEqual(nodes, await memory.findNodes(tenant, pattern, 1000), `${tenant} ${pattern}`);
      const expected = await memory.findSeries(tenant, pattern, 1000);
      assert.deepEqual(
        await tested.findSeries(tenant, pattern, 1000),
        expected.map((found) => ({ ...found, id: ids.get(found.id) })),
        `${tenant} ${pattern}`,
      );
    }
  }
}

/** Points to the last one, when upkeep has nothing left to do. `more`: points that tested may have more. */
export async function compareSize(
  tested: Snapshot,
  memory: Snapshot,
  tenant: string,
  more: number,
): Promise<void> {
  const seen = await tested.tenantSize(tenant);
  const expected = await memory.tenantSize(tenant);
  assert.equal(seen.series, expected.series, `series of ${tenant}`);
  const surplus = seen.points - expected.points;
  assert.ok(surplus >= 0 && surplus <= more, `points of ${tenant}: ${seen.points}, not ${expected.points}`);
  assert.equal(seen.bytes > 0, seen.points > 0, `bytes of ${tenant}: ${seen.bytes}`);
  if (expected.oldest === undefined || expected.newest === undefined) return;
  // What was taken away meanwhile may have been older and newer.
  assert.ok(
    seen.oldest !== undefined && seen.oldest <= expected.oldest,
    `oldest of ${tenant}: ${seen.oldest}, not ${expected.oldest}`,
  );
  assert.ok(
    seen.newest !== undefined && seen.newest >= expected.newest,
    `newest of ${tenant}: ${seen.newest}, not ${expected.newest}`,
  );
}
