// /render: targets to series, series to JSON. See answer.ts for the promises.
//
//     targets ─► find (per home) ─► shown series ─► grid per ladder ─► fetch in batches ─► merge homes ─► view ─► JSON
//
// Which points an answer has follows from the request and the rules (range.ts, consolidate.ts), so it is known, and can be
// refused, before anything is fetched; and a batch can be written out before the next one is read.
import { canonicalText } from "../metric/name.ts";
import { unreachable } from "../base/assert.ts";
import {
  consolidate,
  consolidatedWidth,
  type Consolidation,
  type Extent,
  planConsolidation,
  spanOf,
} from "../graphite/consolidate.ts";
import { type Grid, gridOfSeries } from "../graphite/range.ts";
import { tagsOf } from "../graphite/tags.ts";
import { parseTarget, type Target } from "../graphite/target.ts";
import { columnOfView, type View, viewPoints } from "../graphite/view.ts";
import { giveBack } from "../store/cells.ts";
import type { Cells, ValueColumn } from "../store/store.ts";
import type { Body, Query, Refused } from "./answer.ts";
import { fetchMerged, type Ids } from "./fetch.ts";
import { jsonOfSeries, joinArray } from "./json.ts";
import type { QueryJob, RenderRequest } from "./messages.ts";
import { type SeriesRules, seriesRules } from "./rules.ts";

/** A series of an answer; the same one may be asked for twice. */
type Shown = StoredShown | { kind: "constant"; name: string; value: number };

interface StoredShown {
  kind: "stored";
  /** As the answer calls it: the name, with its view where one was asked for. */
  shown: string;
  name: string;
  view: View;
}

/** Cells (series × buckets) of one fetch: 40 bytes each. */
const batchCells = 2_000_000;

export async function answerRender(query: Query, request: RenderRequest): Promise<Body> {
  const { limits } = query.job;
  if (request.targets.length > limits.targets)
    return refused("target", `${request.targets.length} targets; the limit is ${limits.targets} a request`);
  const rules = seriesRules(query.job);
  const ids = new Map<string, Ids>();
  const series: Shown[] = [];
  for (const text of request.targets) {
    if (text.trim() === "") continue;
    if (text.length > limits.targetChars)
      return refused("target", `a target is longer than ${limits.targetChars} characters`);
    const target = parseTarget(text);
    const found = await resolve(query, target, rules, ids, limits.series - series.length);
    if ("kind" in found) return found;
    series.push(...found);
  }
  if (series.length === 0) return { kind: "body", body: joinArray([]) };
  return write(query, request, rules, series, ids);
}

/** The series that a target shows, sorted by name; their ids are noted in `ids`. At most `room` of them. */
async function resolve(
  query: Query,
  target: Target,
  rules: SeriesRules,
  ids: Map<string, Ids>,
  room: number,
): Promise<Shown[] | Refused> {
  switch (target.kind) {
    case "constant":
      return room < 1 ? tooMany(query) : [{ kind: "constant", name: target.name, value: target.value }];
    case "call":
      return refused("target", `functions such as ${target.name}() are not served yet: ask for plain series`);
    case "path": {
      const whole = await findNames(query, target.pattern, ids, room);
      if ("kind" in whole) return whole;
      const shown = new Map<string, StoredShown>();
      for (const name of whole) {
        const stopped = query.stop();
        if (stopped !== undefined) return stopped;
        shown.set(name, storedShown(name, name, rules.viewOf(name)));
      }
      if (target.viewed !== undefined) {
        const { pattern, view } = target.viewed;
        const names = await findNames(query, pattern, ids, room);
        if ("kind" in names) return names;
        // A stored name that really ends so wins, and is not shown a second time through the view.
        for (const name of names) {
          const called = `${name}:${view}`;
          if (!shown.has(called) && !shown.has(name)) shown.set(called, storedShown(called, name, view));
        }
      }
      if (shown.size > room) return tooMany(query);
      return [...shown.values()].sort((a, b) => compare(a.shown, b.shown));
    }
    default:
      return unreachable(target);
  }
}

function storedShown(shown: string, name: string, view: View): StoredShown {
  return { kind: "stored", shown, name, view };
}

/** Names that match in any home. */
async function findNames(
  query: Query,
  pattern: string,
  ids: Map<string, Ids>,
  room: number,
): Promise<string[] | Refused> {
  const names = new Set<string>();
  // Tags are stored in one order, whatever order a target names them in.
  const canonical = pattern.includes(";") ? canonicalText(pattern) : pattern;
  for (const [at, home] of query.homes.entries()) {
    const stopped = query.stop();
    if (stopped !== undefined) return stopped;
    for (const found of await home.snapshot.findSeries(query.job.tenant, canonical, room + 1)) {
      names.add(found.name);
      const places = ids.get(found.name) ?? query.homes.map(() => undefined);
      places[at] = found.id;
      ids.set(found.name, places);
    }
    if (names.size > room) return tooMany(query);
  }
  return [...names];
}

/** Series that are read on one grid: those whose ladders give the same step and reach. */
interface Group {
  grid: Grid;
  names: string[];
}

function groupsOf(
  query: Query,
  request: RenderRequest,
  rules: SeriesRules,
  stored: readonly StoredShown[],
): Group[] | Refused {
  const groups = new Map<string, Group>();
  for (const name of new Set(stored.map((each) => each.name))) {
    // Rules are regular expressions: a name may cost more than its buckets.
    const stopped = query.stop();
    if (stopped !== undefined) return stopped;
    const grid = gridOfSeries(request, rules.laddersOf(name), query.job.nowSeconds);
    const key = `${grid.start} ${grid.stepSeconds} ${grid.width}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { grid, names: [name] });
    else known.names.push(name);
  }
  return [...groups.values()];
}

async function write(
  query: Query,
  request: RenderRequest,
  rules: SeriesRules,
  series: readonly Shown[],
  ids: ReadonlyMap<string, Ids>,
): Promise<Body> {
  const { job } = query;
  const stored = series.filter((each) => each.kind === "stored");
  const groups = groupsOf(query, request, rules, stored);
  if ("kind" in groups) return groups;
  const extents = groups.map(({ grid }) => extentOf(grid));
  if (stored.length < series.length) extents.push(constantExtent(request));
  const spanSeconds = spanOf(extents);
  const planOf = (grid: Grid) =>
    planConsolidation(extentOf(grid), grid.width, spanSeconds, request.maxDataPoints);
  const views = byName(stored);

  const tooBig = boundsOf(job, series, groups, planOf);
  if (tooBig !== undefined) return tooBig;

  const written = new Map<string, Uint8Array | undefined>();
  for (const { grid, names } of groups) {
    const plan = planOf(grid);
    const perBatch = Math.max(1, Math.floor(batchCells / grid.width));
    for (let from = 0; from < names.length; from += perBatch) {
      const stopped = query.stop();
      if (stopped !== undefined) return stopped;
      const batch = names.slice(from, from + perBatch);
      const merged = await fetchMerged(query.homes, batch, ids, grid, columnsFor(batch, views));
      for (const [row, name] of batch.entries()) {
        if (row % 256 === 255) {
          const late = query.stop();
          if (late !== undefined) return late;
        }
        for (const each of views.get(name) ?? [])
          written.set(each.shown, textOf(each, merged, row * grid.width, grid.width, plan, request));
      }
      giveBack(merged);
    }
  }
  const parts: Uint8Array[] = [];
  for (const each of series) {
    const text = each.kind === "stored" ? written.get(each.shown) : constantText(each, request, spanSeconds);
    if (text !== undefined) parts.push(text);
  }
  return { kind: "body", body: joinArray(parts) };
}

/** What the views of these names are made from. */
function columnsFor(
  names: readonly string[],
  shown: ReadonlyMap<string, ReadonlySet<StoredShown>>,
): ValueColumn[] {
  const columns = new Set<ValueColumn>();
  for (const name of names)
    for (const { view } of shown.get(name) ?? []) {
      const column = columnOfView[view];
      if (column !== undefined) columns.add(column);
    }
  return [...columns];
}

/** What of the answer is over a bound, before anything is fetched. */
function boundsOf(
  { limits }: QueryJob,
  series: readonly Shown[],
  groups: readonly Group[],
  planOf: (grid: Grid) => Consolidation,
): Refused | undefined {
  const cells = groups.reduce((sum, { grid, names }) => sum + names.length * grid.width, 0);
  if (cells > limits.cells) {
    const read = groups
      .map(({ grid, names }) => `${names.length} series × ${grid.width} buckets`)
      .join(" + ");
    return refused("cells", bigger(read, limits.cells, "buckets"));
  }
  const widths = new Map(
    groups.flatMap(({ grid, names }) => {
      const width = consolidatedWidth(grid.width, planOf(grid));
      return names.map((name) => [name, width] as const);
    }),
  );
  let points = 0;
  for (const each of series) points += each.kind === "stored" ? (widths.get(each.name) ?? 0) : 3;
  return points <= limits.points
    ? undefined
    : refused("points", bigger(`an answer of ${points} points`, limits.points, "points"));
}

/** What is shown of each name, every view once. */
function byName(stored: readonly StoredShown[]): Map<string, Set<StoredShown>> {
  const once = new Map(stored.map((each) => [each.shown, each]));
  const out = new Map<string, Set<StoredShown>>();
  for (const each of once.values()) out.set(each.name, (out.get(each.name) ?? new Set()).add(each));
  return out;
}

/** undefined where nothing is to be shown. */
function textOf(
  shown: StoredShown,
  cells: Cells,
  from: number,
  width: number,
  plan: Consolidation,
  request: RenderRequest,
): Uint8Array | undefined {
  const values = viewPoints(cells, from, width, shown.view, plan, request.xFilesFactor);
  // As in Graphite, maxDataPoints wins over noNullPoints.
  const skipNulls = request.noNullPoints && request.maxDataPoints === undefined;
  return jsonOfSeries(shown.shown, tagsOf(shown.name), values, plan.start, plan.stepSeconds, skipNulls);
}

/** Three points, and the first exactly at `from`, off the grid. */
function constantText(
  { name, value }: { name: string; value: number },
  request: RenderRequest,
  spanSeconds: number,
): Uint8Array | undefined {
  const extent = constantExtent(request);
  const plan = planConsolidation(extent, 3, spanSeconds, request.maxDataPoints);
  const values = consolidate(Float64Array.of(value, value, value), plan, "average", request.xFilesFactor);
  return jsonOfSeries(name, tagsOf(name), values, plan.start, plan.stepSeconds, false);
}

function constantExtent({ from, until }: RenderRequest): Extent {
  return { start: from, end: until, stepSeconds: Math.max(1, Math.floor((until - from) / 2)) };
}

function extentOf(grid: Grid): Extent {
  return {
    start: grid.start,
    end: grid.start + grid.width * grid.stepSeconds,
    stepSeconds: grid.stepSeconds,
  };
}

function tooMany(query: Query): Refused {
  return refused("series", `more than ${query.job.limits.series} series; ask for fewer in one request`);
}

function bigger(what: string, limit: number, unit: string): string {
  return `${what}; the limit is ${limit} ${unit} a request: ask for fewer series or a shorter time`;
}

function refused(reason: Refused["reason"], why: string): Refused {
  return { kind: "refused", reason, why };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
