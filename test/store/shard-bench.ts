// A shard's store under test from three sides: its owner, what upkeep writes beside it, and the rows as they lie.
import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { Environment, type View, type Writes } from "../../src/store/environment.ts";
import { activityKey, idsPerChunk, tableRange, type Table } from "../../src/store/keys.ts";
import type { Commit, ShardStore, TenantSize } from "../../src/store/store.ts";
import type { ShardWork } from "../../src/store/work.ts";
import {
  claimed,
  columns,
  commitOf,
  committed,
  key,
  withSnapshot,
  type RowInput,
} from "../contract/store-helpers.ts";
import { engineIn, withFolder } from "./lmdb-helpers.ts";

export interface Naming {
  bucket?: number;
  rows?: RowInput[];
  commit?: Partial<Commit>;
}

export interface Bench {
  store: ShardStore;
  epoch: number;
  /** A commit of these names (of t1, or `tenant name`), a row each at `bucket`, and rows of known series. */
  name: (names: string[], more?: Naming) => Promise<number[]>;
  /** What upkeep would write. */
  upkeep: (writes: Partial<Writes>, work?: ShardWork) => Promise<void>;
  /** Upkeep's last days of series; all other ids of their chunks have none. */
  days: (days: Record<number, number>) => Promise<void>;
  view: <T>(use: (view: View) => T) => T;
  count: (table: Table) => number;
  names: (tenant?: string) => Promise<string[]>;
  size: (tenant: string) => Promise<TenantSize>;
}

export async function withStore(use: (bench: Bench) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const engine = engineIn(folder);
    const store = await engine.openShard(0);
    const { epoch } = await claimed(store);
    const environment = await Environment.open({
      path: join(folder, "shard-0"),
      mapBytes: 256 << 20,
      readOnly: false,
      clock: systemClock,
    });
    let offset = 0;
    const view = <T>(look: (view: View) => T): T => {
      const held = environment.view();
      try {
        return look(held);
      } finally {
        held.close();
      }
    };
    const upkeep = async (writes: Partial<Writes>, next?: ShardWork) => {
      const { work, version } = view((now) => now.work());
      assert.ok(
        await environment.changeWork(version, next ?? work, { puts: [], removes: [], ...writes }, false),
      );
    };
    try {
      await use({
        store,
        epoch,
        view,
        upkeep,
        name: (names, { bucket = 10, rows = [], commit = {} } = {}) => {
          const keys = names.map((text) => {
            const [name = "", tenant] = text.split(" ").toReversed();
            return key(name, tenant);
          });
          const fresh = keys.map((_, series) => ({ series, fresh: true, bucket }));
          return committed(
            store,
            commitOf(epoch, offset, ++offset, {
              newSeries: keys,
              deltas: columns([...fresh, ...rows]),
              ...commit,
            }),
          );
        },
        days: async (days) => {
          const chunks = new Map<number, Buffer>();
          for (const [id, value] of Object.entries(days)) {
            const chunk = Math.floor(Number(id) / idsPerChunk);
            const row = chunks.get(chunk) ?? Buffer.alloc(2 * idsPerChunk);
            row.writeUInt16LE(value, 2 * (Number(id) % idsPerChunk));
            chunks.set(chunk, row);
          }
          await upkeep({ puts: [...chunks].map(([chunk, value]) => ({ key: activityKey(chunk), value })) });
        },
        count: (table) => {
          const { start, end } = tableRange(table);
          return view((now) => now.keys(start, end, 100_000).length);
        },
        size: (tenant) => withSnapshot(engine, 0, (snapshot) => snapshot.tenantSize(tenant)),
        names: (tenant = "t1") =>
          withSnapshot(engine, 0, async (snapshot) => {
            const found = [];
            for (let depth = 1; depth < 8; depth++)
              for (const tags of ["", ";*"]) {
                const pattern = Array(depth).fill("*").join(".") + tags;
                found.push(...(await snapshot.findSeries(tenant, pattern, 10_000)));
              }
            const size = await snapshot.tenantSize(tenant);
            assert.equal(size.series, found.length, "the tenant's count of living series");
            return found.map(({ name }) => name).sort();
          }),
      });
    } finally {
      await environment.close();
      await store.close();
    }
  });
}
