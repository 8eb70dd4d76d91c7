// The engine for tests, simple enough to be right at sight: the other engines are compared with it. A committed row is
// never changed, so a snapshot is a set of lengths and copies of the small things.
import { assert } from "../base/assert.ts";
import { Outage } from "../base/errors.ts";
import { compilePattern } from "../metric/glob.ts";
import { emptyCells, type GridRange } from "./cells.ts";
import { mergeIntervals } from "./intervals.ts";
import { compareTexts } from "./order.ts";
import {
  bootKeptMs,
  keyedKeptMs,
  newSeriesFlag,
  type BootApplied,
  type Cells,
  type ClaimResult,
  type Commit,
  type CommitResult,
  type DeadLetter,
  type FoundNode,
  type FoundSeries,
  type LedgerRow,
  type ShardReader,
  type ShardState,
  type ShardStore,
  type Snapshot,
  type StoreEngine,
} from "./store.ts";

interface Row {
  series: number;
  bucket: number;
  points: number;
  sum: number;
  min: number;
  max: number;
  last: number;
  lastSeconds: number;
  lastReceivedAtMs: number;
}

interface Series {
  tenant: string;
  name: string;
}

/** What outlives opening and closing. */
interface Disk {
  state: Omit<ShardState, "boots">;
  owner: { node: string; mapVersion: number } | undefined;
  boots: Map<string, BootApplied>;
  /** series[id - 1] */
  series: Series[];
  ids: Map<string, number>;
  rows: Row[];
  keyed: Map<string, number>;
  ledger: Map<string, LedgerRow>;
  dead: Map<string, DeadLetter>;
}

/** All shards live as long as the engine: opening one again finds what was committed. */
export function createMemoryEngine(): StoreEngine {
  const disks = new Map<number, Disk>();
  return {
    async openShard(shard) {
      const disk = disks.get(shard) ?? freshDisk();
      disks.set(shard, disk);
      return new MemoryShard(disk);
    },
    async openReader(shard): Promise<ShardReader> {
      return {
        async snapshot() {
          const disk = disks.get(shard);
          if (disk === undefined)
            throw new Outage("store-unavailable", `the store of shard ${shard} is not there yet`);
          return new MemorySnapshot(disk);
        },
        async close() {},
      };
    },
  };
}

function freshDisk(): Disk {
  const state = {
    epoch: 0,
    claims: 0,
    offset: 0,
    incarnation: "",
    frameTimeMs: 0,
    receivedAtMs: 0,
    gaps: [],
    holes: [],
  };
  return {
    state,
    owner: undefined,
    boots: new Map(),
    series: [],
    ids: new Map(),
    rows: [],
    keyed: new Map(),
    ledger: new Map(),
    dead: new Map(),
  };
}

function stateOf(disk: Disk): ShardState {
  const boots = [...disk.boots.values()].sort((a, b) => compareTexts(a.boot, b.boot));
  return structuredClone({ ...disk.state, boots });
}

class MemoryShard implements ShardStore {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async claim({ node, mapVersion }: { node: string; mapVersion: number }): Promise<ClaimResult> {
    const { owner, state } = this.#disk;
    if (owner !== undefined) {
      if (owner.mapVersion > mapVersion || (owner.mapVersion === mapVersion && owner.node !== node))
        return { kind: "refused", owner: owner.node, mapVersion: owner.mapVersion };
    }
    this.#disk.owner = { node, mapVersion };
    state.epoch++;
    state.claims++;
    return { kind: "claimed", state: stateOf(this.#disk) };
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const disk = this.#disk;
    if (commit.epoch !== disk.state.epoch) return { kind: "fenced", epoch: disk.state.epoch };
    if (commit.from !== disk.state.offset) return { kind: "at", offset: disk.state.offset };
    const ids = Uint32Array.from(commit.newSeries, ({ tenant, name }) => this.#idOf(tenant, name));
    const { deltas } = commit;
    for (let i = 0; i < deltas.count; i++) {
      const said = deltas.series[i] ?? 0;
      const series = said >= newSeriesFlag ? (ids[said - newSeriesFlag] ?? 0) : said;
      assert(series > 0, "a stored series or one of newSeries");
      disk.rows.push({
        series,
        bucket: deltas.bucket[i] ?? 0,
        points: deltas.points[i] ?? 0,
        sum: deltas.sum[i] ?? 0,
        min: deltas.min[i] ?? 0,
        max: deltas.max[i] ?? 0,
        last: deltas.last[i] ?? 0,
        lastSeconds: deltas.lastSeconds[i] ?? 0,
        lastReceivedAtMs: deltas.lastReceivedAtMs[i] ?? 0,
      });
    }
    for (const { boot, applied, lastAppliedMs } of commit.boots) {
      const known = disk.boots.get(boot);
      disk.boots.set(boot, {
        boot,
        applied: mergeIntervals(known?.applied ?? [], applied),
        lastAppliedMs: Math.max(known?.lastAppliedMs ?? 0, lastAppliedMs),
      });
    }
    for (const { id, appliedAtMs } of commit.keyed) disk.keyed.set(hexOf(id), appliedAtMs);
    for (const row of commit.ledger) {
      const key = JSON.stringify([row.tenant, row.minute, row.door, row.fate, row.reason]);
      disk.ledger.set(key, { ...row, count: row.count + (disk.ledger.get(key)?.count ?? 0) });
    }
    for (const letter of commit.dead)
      disk.dead.set(`${letter.sequence}/${letter.part}`, {
        ...letter,
        bytes: Uint8Array.from(letter.bytes),
      });
    disk.state = {
      ...disk.state,
      claims: 0,
      offset: commit.to,
      incarnation: commit.incarnation,
      frameTimeMs: commit.frameTimeMs,
      receivedAtMs: commit.receivedAtMs,
      holes: mergeIntervals(disk.state.holes, commit.holes),
    };
    return { kind: "ok", ids };
  }

  #idOf(tenant: string, bytes: Uint8Array): number {
    const name = Buffer.from(bytes).toString();
    const key = JSON.stringify([tenant, name]);
    let id = this.#disk.ids.get(key);
    if (id === undefined) {
      id = this.#disk.series.push({ tenant, name });
      this.#disk.ids.set(key, id);
    }
    return id;
  }

  async keyedApplied(ids: readonly Uint8Array[], nowMs: number): Promise<boolean[]> {
    return ids.map((id) => {
      const appliedAtMs = this.#disk.keyed.get(hexOf(id));
      return appliedAtMs !== undefined && appliedAtMs >= nowMs - keyedKeptMs;
    });
  }

  async forget(epoch: number, nowMs: number): Promise<{ keyed: number; boots: number }> {
    const { keyed, boots, state } = this.#disk;
    const forgotten = { keyed: 0, boots: 0 };
    if (epoch !== state.epoch) return forgotten;
    for (const [id, appliedAtMs] of keyed)
      if (appliedAtMs < nowMs - keyedKeptMs && keyed.delete(id)) forgotten.keyed++;
    for (const [boot, { lastAppliedMs }] of boots)
      if (lastAppliedMs < nowMs - bootKeptMs && boots.delete(boot)) forgotten.boots++;
    return forgotten;
  }

  async close(): Promise<void> {}
}

function hexOf(id: Uint8Array): string {
  assert(id.length === 16, `a keyed id of 16 bytes, got ${id.length}`);
  return Buffer.from(id).toString("hex");
}

function ledgerText(row: LedgerRow): string {
  return `${row.door}\0${row.fate}\0${row.reason}`;
}

class MemorySnapshot implements Snapshot {
  readonly #state: ShardState;
  readonly #series: readonly Series[];
  readonly #rows: readonly Row[];
  readonly #ledger: LedgerRow[];
  readonly #dead: DeadLetter[];

  constructor(disk: Disk) {
    this.#state = stateOf(disk);
    this.#series = disk.series.slice();
    this.#rows = disk.rows.slice();
    this.#ledger = structuredClone([...disk.ledger.values()]);
    this.#dead = structuredClone([...disk.dead.values()]);
  }

  async state(): Promise<ShardState> {
    return structuredClone(this.#state);
  }

  #names(tenant: string): FoundSeries[] {
    return this.#series
      .map((series, i) => ({ id: i + 1, name: series.name, tenant: series.tenant }))
      .filter((series) => series.tenant === tenant)
      .map(({ id, name }) => ({ id, name }))
      .sort((a, b) => compareTexts(a.name, b.name));
  }

  async findNodes(tenant: string, pattern: string, most: number): Promise<FoundNode[]> {
    const compiled = compilePattern(pattern);
    const found = new Map<string, FoundNode>();
    for (const { name } of this.#names(tenant)) {
      const nodes = name.includes(";") ? [name] : name.split(".");
      for (let length = 1; length <= nodes.length; length++) {
        const path = nodes.slice(0, length).join(".");
        if (!compiled.matches(path)) continue;
        const known = found.get(path);
        const leaf = length === nodes.length;
        found.set(path, {
          path,
          leaf: leaf || known?.leaf === true,
          branch: !leaf || known?.branch === true,
        });
      }
    }
    return [...found.values()].sort((a, b) => compareTexts(a.path, b.path)).slice(0, most);
  }

  async findSeries(tenant: string, pattern: string, most: number): Promise<FoundSeries[]> {
    const compiled = compilePattern(pattern);
    return this.#names(tenant)
      .filter(({ name }) => compiled.matches(name))
      .slice(0, most);
  }

  async fetch(ids: readonly number[], range: GridRange): Promise<Cells> {
    const cells = emptyCells(ids.length, range);
    for (const [i, id] of ids.entries()) {
      const byColumn = new Map<number, Row[]>();
      for (const row of this.#rows) {
        const column = Math.floor((row.bucket - range.start) / range.stepSeconds);
        if (row.series !== id || column < 0 || column >= range.width) continue;
        byColumn.set(column, [...(byColumn.get(column) ?? []), row]);
      }
      for (const [column, rows] of byColumn) {
        const cell = i * range.width + column;
        const newestLast = rows.toSorted(
          (a, b) =>
            a.lastSeconds - b.lastSeconds || a.lastReceivedAtMs - b.lastReceivedAtMs || a.last - b.last,
        );
        cells.points[cell] = rows.reduce((sum, row) => sum + row.points, 0);
        cells.sum[cell] = rows.reduce((sum, row) => sum + row.sum, 0);
        cells.min[cell] = Math.min(...rows.map((row) => row.min));
        cells.max[cell] = Math.max(...rows.map((row) => row.max));
        cells.last[cell] = newestLast.at(-1)?.last ?? Number.NaN;
      }
    }
    return cells;
  }

  async ledger(tenant: string, fromMinute: number, untilMinute: number): Promise<LedgerRow[]> {
    return this.#ledger
      .filter((row) => row.tenant === tenant && row.minute >= fromMinute && row.minute <= untilMinute)
      .sort((a, b) => a.minute - b.minute || compareTexts(ledgerText(a), ledgerText(b)));
  }

  async dead(most: number): Promise<DeadLetter[]> {
    return this.#dead.sort((a, b) => a.sequence - b.sequence || a.part - b.part).slice(0, most);
  }

  async tenants(): Promise<string[]> {
    return [...new Set(this.#series.map(({ tenant }) => tenant))].sort(compareTexts);
  }

  close(): void {}
}
