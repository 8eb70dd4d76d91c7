// The same plain values as fixture.ts, committed to a real LMDB store in a folder of its own, and threads that read it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createQueryPool } from "../../src/api/pool.ts";
import type { QueryRunner } from "../../src/api/messages.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createLmdbEngine } from "../../src/store/lmdb.ts";
import { claimed, columns, commitOf, committed, key, type RowInput } from "../contract/store-helpers.ts";
import type { Content } from "./fixture.ts";

const mapBytes = 64 << 20;

export interface Stored {
  queries: QueryRunner;
  /** Adds the points of one commit to a shard, which is made where it does not exist. */
  commit(shard: number, content: Content, frameTimeMs: number): Promise<void>;
  end(): Promise<void>;
}

/** Points are put into buckets of `stepSeconds`. */
export async function startStored(
  stepSeconds: number,
  pool: { threads?: number; queueMax?: number } = {},
): Promise<Stored> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-api-"));
  const engine = createLmdbEngine({ folder, mapBytes, clock: systemClock });
  const errors: unknown[] = [];
  const queries = createQueryPool({
    store: { folder, mapBytes },
    threads: pool.threads ?? 1,
    queueMax: pool.queueMax ?? 10,
    heapMb: 256,
    onThreadError: (error) => errors.push(error),
  });
  return {
    queries,
    async commit(shard, content, frameTimeMs) {
      const store = await engine.openShard(shard);
      const { epoch, offset } = await claimed(store);
      const newSeries = Object.entries(content).flatMap(([tenant, series]) =>
        Object.keys(series).map((name) => key(name, tenant)),
      );
      const rows = Object.values(content).flatMap((series) => Object.values(series));
      const deltas = columns(rows.flatMap((points, series) => rowsOf(points, series, stepSeconds)));
      await committed(store, commitOf(epoch, offset, offset + 1, { newSeries, deltas, frameTimeMs }));
      await store.close();
    },
    async end() {
      await queries.close();
      await rm(folder, { recursive: true, force: true });
      if (errors.length > 0) throw new Error("a query thread died between queries", { cause: errors[0] });
    },
  };
}

function rowsOf(points: Content[string][string] & {}, series: number, stepSeconds: number): RowInput[] {
  return points.map(([seconds, value]) => ({
    series,
    fresh: true,
    bucket: seconds - (seconds % stepSeconds),
    sum: value,
    lastSeconds: seconds,
  }));
}
