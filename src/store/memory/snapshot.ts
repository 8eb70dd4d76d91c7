// What a reader of the memory engine sees: copies of a shard's lists, asked in the plainest way.
import { bucketOf } from "../../metric/bucket.ts";
import { compilePattern, type Pattern } from "../../metric/glob.ts";
import { storedOutput } from "../../metric/outputs.ts";
import { mergeSketches } from "../../metric/sketch.ts";
import { pageOfBuried } from "../closed-letters.ts";
import { emptyCells, type GridRange } from "../cells.ts";
import { compareTexts } from "../order.ts";
import {
  valueColumns,
  type Buried,
  type Cells,
  type DeadCount,
  type DeadLetter,
  type FoundNode,
  type FoundSeries,
  type LedgerRow,
  type LetterPlace,
  type ReadColumn,
  type ShardProgress,
  type ShardState,
  type Snapshot,
  type TenantSize,
} from "../store.ts";
import { namesOf, stateOf, type Disk, type Reach, type Row, type Series } from "./disk.ts";
import { foundIn, outputsFor } from "./find.ts";
import { buriedIn, byPlace, countsOf, pageOf } from "./letters.ts";
import { rowBytes } from "./upkeep.ts";

export class MemorySnapshot implements Snapshot {
  readonly #state: ShardState;
  readonly #series: ReadonlyMap<number, Series>;
  readonly #rows: readonly Row[];
  readonly #ladders: ReadonlyMap<string, Reach>;
  readonly #ledger: LedgerRow[];
  readonly #dead: DeadLetter[];
  readonly #buried: Buried[];

  constructor(disk: Disk) {
    this.#state = stateOf(disk);
    this.#series = new Map(disk.series);
    this.#rows = disk.rows.filter((row) => disk.series.has(row.series));
    this.#ladders = new Map(disk.ladders);
    this.#ledger = structuredClone([...disk.ledger.values()]);
    this.#dead = structuredClone([...disk.dead.values()]);
    this.#buried = buriedIn(disk);
  }

  async state(): Promise<ShardState> {
    return structuredClone(this.#state);
  }

  async progress(): Promise<ShardProgress> {
    const { boots: _boots, quarantined: _quarantined, purging: _purging, ...progress } = this.#state;
    return structuredClone(progress);
  }

  async findNodes(tenant: string, pattern: string, most: number): Promise<FoundNode[]> {
    const compiled = compilePattern(pattern);
    const found = new Map<string, FoundNode>();
    const names = namesOf(this.#series, tenant, () => true).flatMap(({ name }) => shownAs(name, compiled));
    for (const name of names) {
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
    return foundIn(this.#series, tenant, pattern).slice(0, most);
  }

  async fetch(
    ids: readonly number[],
    range: GridRange,
    asked: readonly ReadColumn[] = valueColumns,
  ): Promise<Cells> {
    const cells = emptyCells(ids.length, range);
    const cellsOf = new Map(ids.map((id) => [id, new Map<number, Row[]>()]));
    for (const row of this.#rows) {
      const columns = cellsOf.get(row.series);
      const seconds = columns === undefined ? undefined : this.#shownAt(row, range.stepSeconds);
      if (columns === undefined || seconds === undefined) continue;
      const column = Math.floor((seconds - range.start) / range.stepSeconds);
      if (column < 0 || column >= range.width) continue;
      const rows = columns.get(column);
      if (rows === undefined) columns.set(column, [row]);
      else rows.push(row);
    }
    const sketches = new Map<number, Uint8Array>();
    for (const [i, id] of ids.entries())
      for (const [column, rows] of cellsOf.get(id) ?? []) {
        const cell = i * range.width + column;
        cells.points[cell] = rows.reduce((sum, row) => sum + row.points, 0);
        cells.sum[cell] = rows.map((row) => row.sum).reduce((a, b) => a + b);
        cells.min[cell] = Math.min(...rows.map((row) => row.min));
        cells.max[cell] = Math.max(...rows.map((row) => row.max));
        cells.last[cell] = lastOf(rows);
        const sketch = mergeSketches(rows.flatMap((row) => row.sketch ?? []));
        if (sketch !== undefined) sketches.set(cell, sketch);
      }
    for (const name of valueColumns) if (!asked.includes(name)) cells[name] = new Float64Array();
    return asked.includes("sketch") ? { ...cells, sketches } : cells;
  }

  /**
   * The second under which a read at this step shows a row: of its bucket in the coarsest rung that fits the step and
   * reaches it, else in the finest of the coarser ones that do. Undefined: none does.
   *
   * Where a coarser rung ends later than a finer one (spans end where they end), times between the two belong to
   * neither: else a bucket of a still coarser rung would be cut in two.
   */
  #shownAt(row: Row, stepSeconds: number): number | undefined {
    if (row.settled === undefined) return row.bucket;
    const { ladder, kept } = this.#ladders.get(row.settled) ?? { ladder: { rungs: [] }, kept: [] };
    const fitting = ladder.rungs.findLastIndex((rung) => stepSeconds % rung.stepSeconds === 0);
    for (let k = Math.max(0, fitting); k < ladder.rungs.length; k++)
      if (row.bucket >= Math.max(...kept.slice(k)))
        return bucketOf(row.bucket, ladder.rungs[k]?.stepSeconds ?? 1);
    return undefined;
  }

  async ledger(tenant: string, fromMinute: number, untilMinute: number): Promise<LedgerRow[]> {
    return this.#ledger
      .filter((row) => row.tenant === tenant && row.minute >= fromMinute && row.minute <= untilMinute)
      .sort((a, b) => a.minute - b.minute || compareTexts(ledgerText(a), ledgerText(b)));
  }

  async deadCounts(): Promise<DeadCount[]> {
    return countsOf(this.#dead);
  }

  async dead(
    most: number,
    only: { after?: LetterPlace; tenant?: string; reason?: string } = {},
  ): Promise<DeadLetter[]> {
    return pageOf(this.#dead, most, only);
  }

  async buried(most: number, behind?: LetterPlace): Promise<Buried[]> {
    const later = this.#buried.filter((each) => behind === undefined || byPlace(each, behind) > 0);
    return pageOfBuried(later, most);
  }

  /** A row that upkeep has not come to counts as it is, others as the last rung of their ladder has them. */
  async tenantSize(tenant: string): Promise<TenantSize> {
    const series = namesOf(this.#series, tenant, () => true);
    const size: TenantSize = {
      series: series.length,
      points: 0,
      bytes: 0,
      oldest: undefined,
      newest: undefined,
    };
    const ids = new Set(series.map(({ id }) => id));
    for (const row of this.#rows) {
      const seconds = ids.has(row.series) ? this.#heldAt(row) : undefined;
      if (seconds === undefined) continue;
      size.points += row.points;
      if (row.settled !== undefined) size.bytes += rowBytes;
      size.oldest = Math.min(size.oldest ?? seconds, seconds);
      size.newest = Math.max(size.newest ?? seconds, seconds);
    }
    return size;
  }

  #heldAt(row: Row): number | undefined {
    const reach = row.settled === undefined ? undefined : this.#ladders.get(row.settled);
    const last = reach?.ladder.rungs.at(-1);
    if (reach === undefined || last === undefined) return row.bucket;
    return row.bucket >= (reach.kept.at(-1) ?? 0) ? bucketOf(row.bucket, last.stepSeconds) : undefined;
  }

  async tenants(): Promise<string[]> {
    return [...new Set([...this.#series.values()].map(({ tenant }) => tenant))].sort(compareTexts);
  }

  close(): void {}
}

/** The names of a series that can be seen by a pattern: branches show whatever the output below them is. */
function shownAs(name: string, pattern: Pattern): string[] {
  const stored = storedOutput(name);
  return stored === undefined
    ? [name]
    : outputsFor(stored.node, pattern).map((output) => stored.read(output));
}

/** Of the greatest (time stamp, receivedAtMs, value); Math.max has 0 above -0. */
function lastOf(rows: readonly Row[]): number {
  const seconds = Math.max(...rows.map((row) => row.lastSeconds));
  const newest = rows.filter((row) => row.lastSeconds === seconds);
  const receivedAtMs = Math.max(...newest.map((row) => row.lastReceivedAtMs));
  return Math.max(...newest.filter((row) => row.lastReceivedAtMs === receivedAtMs).map((row) => row.last));
}

function ledgerText(row: LedgerRow): string {
  return `${row.door}\0${row.fate}\0${row.reason}`;
}
