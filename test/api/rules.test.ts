// Ladders and default views of a tenant, read through answerQuery from the memory engine; an oracle that looks at
// nothing but the raw points says what each answer must be.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RenderRequest } from "../../src/api/messages.ts";
import { unreachable } from "../../src/base/assert.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { type View, views } from "../../src/graphite/view.ts";
import type { Ladder } from "../../src/metric/bucket.ts";
import type { Snapshot } from "../../src/store/store.ts";
import { createMemoryEngine } from "../../src/store/memory.ts";
import { readRules, type TenantRules } from "../../src/tenant/rules.ts";
import { claimed, columns, commitOf, committed, key, withSnapshot } from "../contract/store-helpers.ts";
import type { Points } from "./fixture.ts";
import { ask, ladderOf } from "./query.ts";

const now = 1_795_341_600;

type Answered = { target: string; datapoints: [number | null, number][] }[];

function render(
  targets: string[],
  from: number,
  until: number,
  more: Partial<RenderRequest> = {},
): RenderRequest {
  const plain = { maxDataPoints: undefined, noNullPoints: false, xFilesFactor: 0 };
  return { kind: "render", targets, from, until, ...plain, ...more };
}

/** Rows of one second each, in several commits, as an actor makes them. */
async function withStored(
  content: Readonly<Record<string, Points>>,
  use: (snapshot: Snapshot) => Promise<void>,
  commits = 1,
): Promise<void> {
  const engine = createMemoryEngine();
  const store = await engine.openShard(0);
  const { epoch } = await claimed(store);
  const names = Object.keys(content);
  for (let n = 0; n < commits; n++) {
    const rows = names.flatMap((name, series) =>
      (content[name] ?? [])
        .filter((_, i) => i % commits === n)
        .map(([seconds, value]) => ({ series, fresh: true, bucket: seconds, sum: value })),
    );
    const newSeries = names.map((name) => key(name));
    await committed(store, commitOf(epoch, n, n + 1, { newSeries, deltas: columns(rows) }));
  }
  await withSnapshot(engine, 0, use);
}

function rulesFrom(schemas: object[], aggregation: object[] = []): TenantRules {
  const read = readRules({
    schemas,
    aggregation: aggregation.map((rule) => ({ xFilesFactor: 0.5, ...rule })),
  });
  assert.ok(read.kind === "rules");
  return read.rules;
}

const set = (fromSeconds: number, rules: Record<string, string>) => ({
  fromSeconds,
  rules: Object.entries(rules).map(([pattern, ladder]) => ({ name: pattern, pattern, ladder })),
});

async function shown(snapshot: Snapshot, request: RenderRequest, rules: TenantRules): Promise<string[]> {
  const answer = (await ask([snapshot], request, { rules, ladder: "60s:1d", nowSeconds: now })) as Answered;
  return answer.map(
    ({ target, datapoints: points }) =>
      `${target} ${(points[0]?.[1] ?? 0) - now} ${points.length < 2 ? "-" : (points[1]?.[1] ?? 0) - (points[0]?.[1] ?? 0)}: ` +
      points.map(([value]) => value ?? "-").join(" "),
  );
}

test("each series at its own step and view, in one answer", async () => {
  const points: Points = [
    [now - 235, 1],
    [now - 231, 3],
    [now - 170, 5],
    [now - 20, 8],
  ];
  const content = { "fast.a": points, "slow.a": points, plain: points, "fast.count": points, empty: [] };
  const rules = rulesFrom(
    [set(0, { "^fast": "20s:1h,60s:1d", "^slow": "120s:1d" })],
    [
      { name: "c", pattern: "count$", view: "sum" },
      { name: "s", pattern: "^slow", view: "max" },
      { name: "never", pattern: "^slow", view: "min" },
    ],
  );
  await withStored(content, async (snapshot) => {
    const f = async (targets: string[], expected: string[], more: Partial<RenderRequest> = {}) =>
      assert.deepEqual(await shown(snapshot, render(targets, now - 241, now, more), rules), expected);
    await f(
      ["*.*", "plain", "empty"],
      [
        "fast.a -240 20: 2 - - 5 - - - - - - - 8 -",
        "fast.count -240 20: 4 - - 5 - - - - - - - 8 -",
        "slow.a -240 120: 5 8 -",
        "plain -240 60: 2 5 - 8 -",
        "empty -240 60: - - - - -",
      ],
    );
    // A suffix wins over the rule, and the whole name over both.
    await f(
      ["fast.count:avg", "slow.a:count"],
      ["fast.count:avg -240 20: 2 - - 5 - - - - - - - 8 -", "slow.a:count -240 120: 3 1 -"],
    );
    // Averages are of points, not of averages.
    await f(["fast.a", "slow.a"], ["fast.a -240 -: 4.25", "slow.a -240 -: 8"], { maxDataPoints: 1 });
    await f(
      ["constantLine(1)", "fast.count"],
      ["1.0 -241 120: 1 1 1", "fast.count -240 20: 4 - - 5 - - - - - - - 8 -"],
    );
  });
});

test("a range before a change of the ladder is read at the coarser step of both", async () => {
  const content = {
    a: [
      [now - 7000, 1],
      [now - 50, 2],
    ] as Points,
  };
  const rules = rulesFrom([
    set(0, { a: "60s:1d" }),
    set(now - 3600, { a: "10s:1d" }),
    set(now + 3600, { a: "1s:1d" }),
  ]);
  await withStored(content, async (snapshot) => {
    const f = async (from: number, until: number, step: number) => {
      const answer = await ask([snapshot], render(["a"], from, until), { rules, nowSeconds: now });
      const [first, second] = (answer as Answered)[0]?.datapoints ?? [];
      assert.equal((second?.[1] ?? 0) - (first?.[1] ?? 0), step);
    };
    await f(now - 3600, now, 10);
    await f(now - 3601, now, 60);
    await f(now - 7200, now - 3601, 60);
    // what is to come does not count yet
    await f(now - 600, now + 3600, 10);
  });
});

test("of two values for one second a rule `last` shows one, as carbon does", async () => {
  const rules = rulesFrom([], [{ name: "l", pattern: "^mal", view: "last" }]);
  const twice: Points = [
    [now - 60, 1],
    [now - 60, 2],
  ];
  await withStored({ "mal.l179": twice, other: twice }, async (snapshot) => {
    assert.deepEqual(await shown(snapshot, render(["mal.l179", "other"], now - 61, now), rules), [
      "mal.l179 -60 60: 2 -",
      "other -60 60: 1.5 -",
    ]);
  });
});

/** What a series must show of [from, to): one value of the raw points in it. */
function oracleValue(points: Points, from: number, to: number, view: View): number | null {
  const inside = points.filter(([seconds]) => seconds >= from && seconds < to);
  const values = inside.map(([, value]) => value);
  if (values.length === 0) return null;
  const sum = values.reduce((a, b) => a + b, 0);
  switch (view) {
    case "avg":
      return sum / values.length;
    case "sum":
      return sum;
    case "count":
      return values.length;
    case "min":
      return Math.min(...values);
    case "max":
      return Math.max(...values);
    case "last": {
      const latest = Math.max(...inside.map(([seconds]) => seconds));
      return Math.max(...inside.filter(([seconds]) => seconds === latest).map(([, value]) => value));
    }
    default:
      return unreachable(view);
  }
}

interface Expected {
  points: Points;
  view: View;
  step: number;
  first: number;
  /** Behind the last bucket. */
  end: number;
}

/** Graphite's maxDataPoints, from its description alone. */
function oracle(
  all: readonly Expected[],
  at: number,
  max: number | undefined,
  factor: number,
): [number | null, number][] {
  const { points, view, step, first, end } = all[at] as Expected;
  const span = Math.max(...all.map((each) => each.end)) - Math.min(...all.map((each) => each.first));
  const perPoint = max === undefined || max === 1 ? 1 : Math.max(1, Math.ceil(span / step / max));
  const wide = max === 1 ? end - first : perPoint * step;
  const label = max === 1 || perPoint === 1 ? first : (Math.floor(first / wide) + 1) * wide;
  const shift = label === first ? 0 : step;
  const out: [number | null, number][] = [];
  for (let i = 0; label - shift + i * wide < end; i++) {
    const from = label - shift + i * wide;
    const to = Math.min(end, from + wide);
    let there = 0;
    for (let cell = from; cell < to; cell += step)
      if (oracleValue(points, cell, cell + step, view) !== null) there += 1;
    const enough = there / ((to - from) / step) >= factor;
    out.push([enough ? oracleValue(points, from, to, view) : null, label + i * wide]);
  }
  return out;
}

function randomLadder(random: Random): string {
  let step = [1, 2, 5, 10][random.below(4)] ?? 1;
  let span = step * (20 + random.below(40));
  const rungs: string[] = [];
  for (let n = 1 + random.below(3); n > 0; n--) {
    rungs.push(`${step}s:${span}s`);
    step *= 2 + random.below(4);
    span = Math.max(span + 1, step * (10 + random.below(40)));
  }
  return rungs.join(",");
}

test("every view at every zoom is what the raw points say", async (t) => {
  const seed = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  for (let round = 0; round < 40; round++) {
    const nowSeconds = now + random.below(1000);
    const standard = randomLadder(random);
    const own = [randomLadder(random), randomLadder(random)];
    const defaults = [0, 1, 2]
      .map(() => views[random.below(5)] ?? "avg")
      .map((view) => (view === "count" ? "avg" : view));
    const rules = rulesFrom(
      [set(0, { "^s0": own[0] ?? "", "^s1": own[1] ?? "" })],
      defaults.map((view, i) => ({ name: `v${i}`, pattern: `^s${i}`, view })),
    );
    const ladders = ["s0", "s1", "s2"].map((_, i) => ladderOf(own[i] ?? standard));
    const reach = Math.max(...ladders.map((each) => each.rungs.at(-1)?.spanSeconds ?? 0));
    const content = Object.fromEntries(
      ladders.map((_, i) => [
        `s${i}.x`,
        Array.from(
          { length: random.below(60) },
          () => [nowSeconds - random.below(reach + 20), random.below(100)] as const,
        ),
      ]),
    );
    await withStored(
      content,
      async (snapshot) => {
        for (let query = 0; query < 20; query++) {
          const until = nowSeconds - random.below(30);
          const from = until - 1 - random.below(random.below(2) === 0 ? 50 : reach + 50);
          const asked = [0, 1, 2].slice(0, 1 + random.below(3));
          const suffix = views[random.below(views.length * 2)];
          const max = random.below(3) === 0 ? undefined : 1 + random.below(60);
          const factor = [0, 0, 0.4, 1][random.below(4)] ?? 0;
          const expected = asked.map((i) => {
            const points = content[`s${i}.x`] ?? [];
            return {
              points,
              view: suffix ?? (defaults[i] as View),
              ...gridOf(ladders[i] as Ladder, from, until, nowSeconds),
            };
          });
          const targets = asked.map((i) => (suffix === undefined ? `s${i}.x` : `s${i}.x:${suffix}`));
          const request = render(targets, from, until, { maxDataPoints: max, xFilesFactor: factor });
          const got = (await ask([snapshot], request, { rules, ladder: standard, nowSeconds })) as Answered;
          assert.deepEqual(
            got.map(({ target, datapoints }) => [target, datapoints]),
            targets.map((target, i) => [target, oracle(expected, i, max, factor)]),
            `seed ${seed} round ${round} query ${query}: ${JSON.stringify({ own, standard, from, until, nowSeconds, max, factor })}`,
          );
        }
      },
      1 + random.below(4),
    );
  }
});

/** from exclusive, until inclusive, nothing older than the ladder holds, never empty. */
function gridOf({ rungs }: Ladder, from: number, until: number, nowSeconds: number) {
  const rung = rungs.find((each) => each.spanSeconds >= nowSeconds - from) ?? rungs.at(-1);
  assert.ok(rung !== undefined);
  const step = rung.stepSeconds;
  const oldest = nowSeconds - (rungs.at(-1)?.spanSeconds ?? 0);
  const begin = Math.max(from, Math.min(oldest, until - step));
  const first = (Math.floor(begin / step) + 1) * step;
  return { step, first, end: Math.max(first, Math.floor(until / step) * step) + step };
}
