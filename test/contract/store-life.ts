// What tests of upkeep are written with: a shard's owner that commits points by name, ladder rules from short texts,
// upkeep until it is idle, and reads as lists of sums.
import assert from "node:assert/strict";
import { parseLadder, type Ladder } from "../../src/metric/bucket.ts";
import { compileLadderRules, type LadderRules, type SchemasSince } from "../../src/metric/ladder-rules.ts";
import type { ShardReader, ShardStore, StoreEngine, UpkeepStep, UpkeepTask } from "../../src/store/store.ts";
import { claimed, columns, commitOf, committed, key, withSnapshot, type RowInput } from "./store-helpers.ts";

/** A midnight: epoch seconds. */
export const t0 = 19_676 * 86_400;
export const hour = 3600;
export const day = 86_400;

export function ladderOf(text: string): Ladder {
  const parsed = parseLadder(text);
  assert(parsed.kind === "ladder", text);
  return parsed.ladder;
}

/** One change of a tenant's rules: since when, and ladders by pattern. */
export type RulesSince = [fromSeconds: number, ladders: Record<string, string>];

export function rulesOf(
  standard: string,
  tenants: Record<string, readonly RulesSince[]> = {},
  version = 1,
): LadderRules {
  const sets = (list: readonly RulesSince[]): SchemasSince[] =>
    list.map(([fromSeconds, ladders]) => ({
      fromSeconds,
      rules: Object.entries(ladders).map(([pattern, text]) => ({
        name: pattern,
        pattern,
        ladder: ladderOf(text),
      })),
    }));
  const compiled = new Map(Object.entries(tenants).map(([tenant, list]) => [tenant, sets(list)]));
  return compileLadderRules(version, ladderOf(standard), compiled);
}

/** A point (or more) of a series, committed as one row. */
export interface Put {
  name: string;
  tenant?: string;
  at: number;
  sum?: number;
  points?: number;
}

/** The owner of a shard: one epoch, ever further in the record. */
export class Owner {
  readonly store: ShardStore;
  readonly epoch: number;
  offset: number;

  private constructor(store: ShardStore, epoch: number, offset: number) {
    this.store = store;
    this.epoch = epoch;
    this.offset = offset;
  }

  static async of(engine: StoreEngine, shard = 0): Promise<Owner> {
    const store = await engine.openShard(shard);
    const { epoch, offset } = await claimed(store);
    return new Owner(store, epoch, offset);
  }

  /** One commit at a time of the record. Ids, a put each. */
  async put(nowSeconds: number, ...puts: Put[]): Promise<number[]> {
    const rows = puts.map(({ at, sum, points }, i): RowInput => {
      const row: RowInput = { series: i, fresh: true, bucket: at, lastReceivedAtMs: nowSeconds * 1000 };
      if (sum !== undefined) row.sum = sum;
      if (points !== undefined) row.points = points;
      return row;
    });
    return await committed(
      this.store,
      commitOf(this.epoch, this.offset, ++this.offset, {
        receivedAtMs: nowSeconds * 1000,
        newSeries: puts.map(({ name, tenant }) => key(name, tenant)),
        deltas: columns(rows),
      }),
    );
  }
}

const stepsMost = 20_000;

export function leastMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}

/** Every step until there is nothing to do; `between` runs after each. */
export async function upkeepUntilIdle(
  engine: StoreEngine,
  task: UpkeepTask,
  between: (step: UpkeepStep) => Promise<void> = async () => {},
  shard = 0,
): Promise<UpkeepStep[]> {
  const upkeep = await engine.openUpkeep(shard);
  const steps: UpkeepStep[] = [];
  try {
    for (;;) {
      const step = await upkeep.step(task);
      if (step.kind === "idle") return steps;
      steps.push(step);
      assert(steps.length < stepsMost, "upkeep that comes to an end");
      await between(step);
    }
  } finally {
    await upkeep.close();
  }
}

/** What a series holds: sums from `start` on, null where nothing is. */
export async function sums(
  engine: StoreEngine,
  name: string,
  [start, stepSeconds, width]: readonly [start: number, stepSeconds: number, width: number],
  tenant = "t1",
): Promise<(number | null)[]> {
  return await withSnapshot(engine, 0, async (snapshot) => {
    const [series] = await snapshot.findSeries(tenant, name, 1);
    assert(series !== undefined, `a series ${name}`);
    const cells = await snapshot.fetch([series.id], { start, stepSeconds, width });
    return Array.from(cells.sum, (sum, i) => (cells.points[i] === 0 ? null : sum));
  });
}

/** One engine of the two. */
export interface Side {
  engine: StoreEngine;
  store: ShardStore;
  reader: ShardReader;
}

export async function sideOf(engine: StoreEngine): Promise<Side> {
  return { engine, store: await engine.openShard(0), reader: await engine.openReader(0) };
}
