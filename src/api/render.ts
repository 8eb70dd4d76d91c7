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
import { columnsOfOutput, outputPoints } from "../graphite/output.ts";
import { columnOfView, type View, viewPoints } from "../graphite/view.ts";
import { giveBack } from "../store/cells.ts";
import type { Cells, ReadColumn } from "../store/store.ts";
import type { Body, Query, Refused } from "./answer.ts";
import { fetchMerged, type Ids } from "./fetch.ts";
import { foundSeries, type Found } from "./found.ts";
import { jsonOfSeries, joinArray } from "./json.ts";
import type { QueryJob, RenderRequest } from "./messages.ts";
import { type SeriesRules, seriesRules } from "./rules.ts";

/** A series of an answer; the same one may be asked for twice. */
type Shown = StoredShown | { kind: "constant"; name: string; value: number };

interface StoredShown {
  kind: "stored";
  /** As the answer calls it: the name, with its view where one was asked for. */
  shown: string;
  found: Found;
  /** Of an output there is but one. */
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
      const whole = await findAll(query, target.pattern, ids, room);
      if ("kind" in whole) return whole;
      const shown = new Map<string, StoredShown>();
      for (const found of whole) {
        const stopped = query.stop();
        if (stopped !== undefined) return stopped;
        const view = rules.viewOf(found.name);
        shown.set(placeOf(found.name, found), { kind: "stored", shown: found.name, found, view });
      }
      if (target.viewed !== undefined) {
        const { pattern, view } = target.viewed;
        const viewed = await findAll(query, pattern, ids, room);
        if ("kind" in viewed) return viewed;
        for (const found of viewed) {
          const called = `${found.name}:${view}`;
          if (found.output !== undefined)
            return refused("target", `${called}: what StatsD sent has no views; ask for ${found.name}`);
          // A stored name that really ends so wins, and is not shown a second time through the view.
          if (!shown.has(called) && !shown.has(found.name))
            shown.set(called, { kind: "stored", shown: called, found, view });
        }
      }
      if (shown.size > room) return tooMany(query);
      return [...shown.values()].sort((x, y) =>
        compare(placeOf(x.shown, x.found), placeOf(y.shown, y.found)),
      );
    }
    default:
      return unreachable(target);
  }
}

/** An output may have the name of a series that somebody sent: both are shown, the one that was sent first. */
function placeOf(shown: string, { output }: Found): string {
  return output === undefined ? shown : `${shown}\0`;
}

/** Series that match in any home. */
async function findAll(
  query: Query,
  pattern: string,
  ids: Map<string, Ids>,
  room: number,
): Promise<Found[] | Refused> {
  const all = new Map<string, Found>();
  // Tags are stored in one order, whatever order a target names them in.
  const canonical = pattern.includes(";") ? canonicalText(pattern) : pattern;
  for (const [at, home] of query.homes.entries()) {
    const stopped = query.stop();
    if (stopped !== undefined) return stopped;
    for (const series of await home.snapshot.findSeries(query.job.tenant, canonical, room + 1)) {
      const found = foundSeries(series);
      all.set(placeOf(found.name, found), found);
      const places = ids.get(found.key) ?? query.homes.map(() => undefined);
      places[at] = series.id;
      ids.set(found.key, places);
    }
    if (all.size > room) return tooMany(query);
  }
  return [...all.values()];
}

/** Series that are read on one grid: those whose ladders give the same step and reach. */
interface Group {
  grid: Grid;
  keys: string[];
}

function groupsOf(
  query: Query,
  request: RenderRequest,
  rules: SeriesRules,
  stored: readonly StoredShown[],
): Group[] | Refused {
  const groups = new Map<string, Group>();
  for (const key of new Set(stored.map((each) => each.found.key))) {
    // Rules are regular expressions: a name may cost more than its buckets.
    const stopped = query.stop();
    if (stopped !== undefined) return stopped;
    const grid = gridOfSeries(request, rules.laddersOf(key), query.job.nowSeconds);
    const place = `${grid.start} ${grid.stepSeconds} ${grid.width}`;
    const known = groups.get(place);
    if (known === undefined) groups.set(place, { grid, keys: [key] });
    else known.keys.push(key);
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
  const views = byKey(stored);

  const tooBig = boundsOf(job, series, groups, planOf);
  if (tooBig !== undefined) return tooBig;

  const written = new Map<string, Uint8Array | undefined>();
  for (const { grid, keys } of groups) {
    const plan = planOf(grid);
    const perBatch = Math.max(1, Math.floor(batchCells / grid.width));
    for (let from = 0; from < keys.length; from += perBatch) {
      const stopped = query.stop();
      if (stopped !== undefined) return stopped;
      const batch = keys.slice(from, from + perBatch);
      const merged = await fetchMerged(query.homes, batch, ids, grid, columnsFor(batch, views));
      for (const [row, key] of batch.entries()) {
        if (row % 256 === 255) {
          const late = query.stop();
          if (late !== undefined) return late;
        }
        for (const each of views.get(key) ?? [])
          written.set(placeOf(each.shown, each.found), textOf(each, merged, row * grid.width, plan, request));
      }
      giveBack(merged);
    }
  }
  const parts: Uint8Array[] = [];
  for (const each of series) {
    const text =
      each.kind === "stored"
        ? written.get(placeOf(each.shown, each.found))
        : constantText(each, request, spanSeconds);
    if (text !== undefined) parts.push(text);
  }
  return { kind: "body", body: joinArray(parts) };
}

/** What is shown of these series is made from. */
function columnsFor(
  keys: readonly string[],
  shown: ReadonlyMap<string, ReadonlySet<StoredShown>>,
): ReadColumn[] {
  const columns = new Set<ReadColumn>();
  for (const key of keys)
    for (const { view, found } of shown.get(key) ?? []) {
      const column = columnOfView[view];
      if (found.output !== undefined) for (const each of columnsOfOutput(found.output)) columns.add(each);
      else if (column !== undefined) columns.add(column);
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
  const cells = groups.reduce((sum, { grid, keys }) => sum + keys.length * grid.width, 0);
  if (cells > limits.cells) {
    const read = groups.map(({ grid, keys }) => `${keys.length} series × ${grid.width} buckets`).join(" + ");
    return refused("cells", bigger(read, limits.cells, "buckets"));
  }
  const widths = new Map(
    groups.flatMap(({ grid, keys }) => {
      const width = consolidatedWidth(grid.width, planOf(grid));
      return keys.map((key) => [key, width] as const);
    }),
  );
  let points = 0;
  for (const each of series) points += each.kind === "stored" ? (widths.get(each.found.key) ?? 0) : 3;
  return points <= limits.points
    ? undefined
    : refused("points", bigger(`an answer of ${points} points`, limits.points, "points"));
}

/** What is shown of each stored series, every view and output once. */
function byKey(stored: readonly StoredShown[]): Map<string, Set<StoredShown>> {
  const once = new Map(stored.map((each) => [placeOf(each.shown, each.found), each]));
  const out = new Map<string, Set<StoredShown>>();
  for (const each of once.values()) out.set(each.found.key, (out.get(each.found.key) ?? new Set()).add(each));
  return out;
}

/** undefined where nothing is to be shown. */
function textOf(
  shown: StoredShown,
  cells: Cells,
  from: number,
  plan: Consolidation,
  request: RenderRequest,
): Uint8Array | undefined {
  const { width, stepSeconds } = cells;
  const { output, name } = shown.found;
  const values =
    output === undefined
      ? viewPoints(cells, from, width, shown.view, plan, request.xFilesFactor)
      : outputPoints(cells, from, width, output, plan, request.xFilesFactor, stepSeconds);
  // As in Graphite, maxDataPoints wins over noNullPoints.
  const skipNulls = request.noNullPoints && request.maxDataPoints === undefined;
  return jsonOfSeries(shown.shown, tagsOf(name), values, plan.start, plan.stepSeconds, skipNulls);
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
