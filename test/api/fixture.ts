// A snapshot over plain values: for tests of what is answered, where a store engine would only be in the way.
import { freshProgress } from "../../src/store/lanes.ts";
import {
  valueColumns,
  type Cells,
  type FoundNode,
  type FoundSeries,
  type Snapshot,
  type ReadColumn,
} from "../../src/store/store.ts";

/** [epoch seconds, value] */
export type Points = readonly (readonly [number, number])[];

/** Tenant, then name, to points. Points of one bucket are merged as the store merges them. */
export type Content = Readonly<Record<string, Readonly<Record<string, Points>>>>;

export function snapshotOf(
  content: Content,
  state: { offset?: number; frameTimeMs?: number } = {},
): Snapshot {
  const all = Object.entries(content).flatMap(([tenant, series]) =>
    Object.entries(series).map(([name, points]) => ({ tenant, name, points })),
  );
  const progress = {
    ...freshProgress(),
    epoch: 1,
    offset: state.offset ?? 0,
    incarnation: "test",
    frameTimeMs: state.frameTimeMs ?? 0,
    receivedAtMs: state.frameTimeMs ?? 0,
  };
  return {
    state: () => Promise.resolve({ ...progress, boots: [], quarantined: [], purging: [] }),
    progress: () => Promise.resolve(progress),
    deadCounts: () => Promise.resolve([]),
    buried: () => Promise.resolve([]),
    tenantSize: () =>
      Promise.resolve({ series: 0, points: 0, bytes: 0, oldest: undefined, newest: undefined }),
    findNodes(tenant, pattern, most) {
      const nodes = new Map<string, FoundNode>();
      const depth = pattern.split(".").length;
      for (const each of all) {
        if (each.tenant !== tenant) continue;
        const parts = each.name.split(".");
        if (parts.length < depth || each.name.includes(";")) continue;
        const path = parts.slice(0, depth).join(".");
        if (!matches(pattern, path)) continue;
        const node = nodes.get(path) ?? { path, leaf: false, branch: false };
        nodes.set(path, {
          path,
          leaf: node.leaf || parts.length === depth,
          branch: node.branch || parts.length > depth,
        });
      }
      return Promise.resolve(sorted([...nodes.values()], (node) => node.path).slice(0, most));
    },
    findSeries(tenant, pattern, most) {
      const found: FoundSeries[] = [];
      for (const [id, each] of all.entries())
        if (each.tenant === tenant && matches(pattern, each.name)) found.push({ id, name: each.name });
      return Promise.resolve(sorted(found, (series) => series.name).slice(0, most));
    },
    fetch: (ids, range, columns) =>
      Promise.resolve(
        cellsOf(
          ids.map((id) => all[id]?.points ?? []),
          range,
          columns,
        ),
      ),
    ledger: () => Promise.resolve([]),
    dead: () => Promise.resolve([]),
    tenants: () => Promise.resolve(Object.keys(content)),
    close() {},
  };
}

function sorted<T>(list: T[], text: (item: T) => string): T[] {
  return list.sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

function cellsOf(
  rows: readonly Points[],
  range: { start: number; stepSeconds: number; width: number },
  columns: readonly ReadColumn[] = valueColumns,
): Cells {
  const column = () => new Float64Array(rows.length * range.width);
  const cells = { ...range, points: column(), sum: column(), min: column(), max: column(), last: column() };
  for (const [row, points] of rows.entries())
    for (const [seconds, value] of points) {
      const bucket = Math.floor((seconds - range.start) / range.stepSeconds);
      if (bucket < 0 || bucket >= range.width) continue;
      const at = row * range.width + bucket;
      const before = cells.points[at] ?? 0;
      cells.points[at] = before + 1;
      cells.sum[at] = (cells.sum[at] ?? 0) + value;
      cells.min[at] = before === 0 ? value : Math.min(cells.min[at] ?? value, value);
      cells.max[at] = before === 0 ? value : Math.max(cells.max[at] ?? value, value);
      cells.last[at] = value;
    }
  // As the store: what was not asked for is not there.
  for (const name of valueColumns) if (!columns.includes(name)) cells[name] = new Float64Array(0);
  return cells;
}

/** `*`, `?`, `[a-z]`, `{a,b}` within a node: enough for what the recorded cases ask. */
function matches(pattern: string, name: string): boolean {
  if (/\{[^}]*\./.test(pattern)) return false;
  const source = pattern
    .replaceAll(/[.+^$()|\\/]/g, String.raw`\$&`)
    .replaceAll("*", "[^.]*")
    .replaceAll("?", "[^.]")
    .replaceAll(/\{([^{}]*)\}/g, (_whole, list: string) => `(?:${list.replaceAll(",", "|")})`);
  try {
    return new RegExp(`^${source}$`).test(name);
  } catch {
    return false;
  }
}
