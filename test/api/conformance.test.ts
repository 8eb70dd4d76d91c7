import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import {
  type Case,
  contentOf,
  loadConformance,
  type RecordedSeries,
  substitute,
  type TimeSpec,
} from "./conformance.ts";
import { parseAggregationFile, parseSchemasFile, type RuleFile } from "../../src/graphite/rule-files.ts";
import { storeRules } from "../../src/tenant/rules.ts";
import type { StoredRules } from "../../src/tenant/tenant.ts";
import { bearer, known, readKey, start, t1 } from "./start.ts";
import { startStored } from "./stored.ts";

const conformance = loadConformance();

test("recorded answers of Graphite that need no functions", async (t) => {
  if (conformance === undefined) return;
  const base = 1_795_341_600;
  const nowSeconds = base + 1234;
  const stored = await startStored(1);
  await stored.commit(0, contentOf(conformance, base), base * 1000);
  // As the recording system had it; and whisper keeps of two values for one bucket the last one.
  const rules: StoredRules = storeRules({
    schemas: [{ fromSeconds: 0, rules: schemas("[hires]\npattern = ^hires\\.\nretentions = 10s:2d\n") }],
    aggregation: views("[late]\npattern = ^late\\.\naggregationMethod = last\n"),
  });
  const { api } = await start({
    queries: stored.queries,
    lookup: (key) => ({ ...known("t1"), ...(key === readKey ? { tenant: { ...t1, rules } } : {}) }),
    clock: { ...systemClock, nowMs: () => nowSeconds * 1000 },
  });
  let compared = 0;
  for (const each of conformance.cases.filter(isPlain)) {
    compared += 1;
    await t.test(each.id, async () => {
      const form = new URLSearchParams();
      for (const [name, value] of each.params) form.append(name, substitute(value, base));
      const answer = await api.app.inject(
        each.method === "POST"
          ? {
              method: "POST",
              url: each.path,
              headers: { ...bearer, "content-type": "application/x-www-form-urlencoded" },
              payload: form.toString(),
            }
          : { url: `${each.path}?${form.toString()}`, headers: bearer },
      );
      const expected = each.expect;
      if (expected !== undefined && expected.status !== 200) {
        assert.equal(answer.statusCode, expected.status, answer.body);
        return;
      }
      assert.equal(answer.statusCode, 200, answer.body);
      if (expected?.series !== undefined) sameSeries(answer.json<Answered[]>(), expected.series, base);
      else if (expected?.json !== undefined) sameJson(answer.json(), expected.json, each.superset === true);
    });
  }
  assert.ok(compared >= 40, `only ${compared} cases compared`);
  await api.close();
  await stored.end();
});

function taken<Rule>(file: RuleFile<Rule>): Rule[] {
  assert.ok(file.kind === "rules");
  return file.rules;
}

const schemas = (text: string) => taken(parseSchemasFile(text));
const views = (text: string) => taken(parseAggregationFile(text));

interface Answered {
  target: string;
  tags: Record<string, string>;
  datapoints: [number | null, number][];
}

const served = new Set(["/render", "/metrics/find", "/metrics/", "/metrics/expand", "/metrics/index.json"]);

/** Cases that ask for plain series or names, in JSON, or record an error; time cases have a test of their own. */
function isPlain(each: Case): boolean {
  if (!served.has(each.path) || each.mode === "time" || each.mode === "window") return false;
  const ready = ["hour", "quirk", "hires", "lww"];
  if (each.needs?.some((need) => !ready.includes(need)) === true) return false;
  if (each.expect !== undefined && each.expect.status !== 200) return true;
  const params = each.params.map(([name, value]) => ({ name, value }));
  if (
    params.some(({ name, value }) => name === "format" && !["json", "treejson", "completer"].includes(value))
  )
    return false;
  return !params.some(({ name, value }) => {
    if (name.startsWith("template")) return true;
    return name.startsWith("target") && value.includes("(") && value !== "constantLine(100)";
  });
}

function sameSeries(answered: Answered[], recorded: RecordedSeries[], base: number): void {
  const got = answered.map(({ target, tags, datapoints }) => ({
    target,
    tags,
    points: datapoints.map(([value, seconds]) => [value === null ? null : rounded(value), seconds - base]),
  }));
  const expected = recorded.map(({ target, tags, start: first, step, values, points }) => ({
    target,
    tags,
    points: (
      points ?? (values ?? []).map((value, i) => [value, (first ?? 0) + i * (step ?? 0)] as const)
    ).map(([value, offset]) => [value === null ? null : rounded(value), offset]),
  }));
  assert.deepEqual(got, expected);
}

/** Twelve digits: sums may have been added in another order. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

function sameJson(got: unknown, expected: unknown, superset: boolean): void {
  if (!superset) return assert.deepEqual(withoutUnrecorded(got, expected), expected);
  assert.ok(Array.isArray(got) && Array.isArray(expected));
  for (const item of expected)
    assert.ok(
      got.some((each) => equal(each, item)),
      JSON.stringify(item),
    );
}

/** The recording left out ids that hold a pattern. */
function withoutUnrecorded(got: unknown, expected: unknown): unknown {
  if (!Array.isArray(got) || !Array.isArray(expected)) return got;
  return got.map((item: unknown, i) => {
    const recorded: unknown = expected[i];
    if (typeof item !== "object" || item === null || typeof recorded !== "object" || recorded === null)
      return item;
    return Object.fromEntries(Object.entries(item).filter(([name]) => name in recorded));
  });
}

function equal(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

test("recorded rules of the time grammar", async (t) => {
  if (conformance === undefined) return;
  const base = 1_795_341_600;
  const nowSeconds = base + 1234;
  const { api } = await start({ clock: { ...systemClock, nowMs: () => nowSeconds * 1000 } });
  let compared = 0;
  for (const each of conformance.cases.filter(({ mode }) => mode === "time")) {
    compared += 1;
    await t.test(each.id, async () => {
      const form = new URLSearchParams();
      for (const [name, value] of each.params) form.append(name, substitute(value, base));
      const answer = await api.app.inject({ url: `${each.path}?${form.toString()}`, headers: bearer });
      assert.equal(answer.statusCode, 200, answer.body);
      const points = answer.json<Answered[]>()[0]?.datapoints ?? [];
      assert.equal(points[0]?.[1], resolved(each.expect_from, base, nowSeconds));
      const until = resolved(each.expect_until, base, nowSeconds);
      // Three points, half the range apart in whole seconds: the last may be one second early.
      const last = points.at(-1)?.[1] ?? 0;
      assert.ok(last === until || last === until - 1, `until is ${last}, expected ${until}`);
    });
  }
  assert.ok(compared >= 10, `only ${compared} cases compared`);
  await api.close();
});

/** The rule of a case, worked out with the runtime's calendar instead of ours. */
function resolved(spec: TimeSpec | undefined, base: number, nowSeconds: number): number {
  assert.ok(spec !== undefined);
  const delta = spec.delta ?? 0;
  if (spec.ref === "now") return nowSeconds + delta;
  if (spec.ref === "base") return base + delta;
  const timeZone = spec.tz ?? "UTC";
  const clock = (seconds: number) => new Date(seconds * 1000).toLocaleString("sv-SE", { timeZone });
  const [today] = clock(nowSeconds).split(" ");
  const midnight = new Date(`${today}T00:00:00Z`);
  let days = spec.days ?? 0;
  if (spec.ref === "weekday") days -= (midnight.getUTCDay() + 6 - (spec.wd ?? 0)) % 7;
  const wall = midnight.getTime() / 1000 + days * 86_400 + (spec.hour ?? 0) * 3600 + (spec.minute ?? 0) * 60;
  const wanted = new Date(wall * 1000).toISOString().slice(0, 19).replace("T", " ");
  for (let seconds = wall - 15 * 3600; seconds <= wall + 15 * 3600; seconds += 900)
    if (clock(seconds) === wanted) return seconds + delta;
  throw new Error(`no second of ${timeZone} is ${wanted}`);
}
