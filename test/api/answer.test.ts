import assert from "node:assert/strict";
import { test } from "node:test";
import { answerQuery } from "../../src/api/answer.ts";
import { seededRandom } from "../../src/base/random.ts";
import { views } from "../../src/graphite/view.ts";
import type { RenderRequest } from "../../src/api/messages.ts";
import type { Snapshot } from "../../src/store/store.ts";
import { type Content, snapshotOf } from "./fixture.ts";
import { ask, homesOf, jobOf, type JobOptions } from "./query.ts";

const now = 1_795_341_600;

const content: Content = {
  t1: {
    "a.b": [
      [now - 170, 1],
      [now - 130, 4],
      [now - 60, 7],
    ],
    "a.c": [[now - 60, 3]],
    "a.empty": [],
    "v.x": [[now - 60, 5]],
    "v.x:sum": [[now - 60, 50]],
    "disk;host=a": [[now - 60, 9]],
  },
  t2: { "a.b": [[now - 60, 1000]], "secret.x": [[now - 60, 1]] },
};

type Answered = { target: string; tags: Record<string, string>; datapoints: [number | null, number][] }[];

function render(targets: string[], more: Partial<RenderRequest> = {}): RenderRequest {
  return {
    kind: "render",
    targets,
    from: now - 240,
    until: now,
    maxDataPoints: undefined,
    noNullPoints: false,
    xFilesFactor: 0,
    ...more,
  };
}

/** `target: value value ...`, a line for each series. */
async function shown(
  snapshots: Snapshot[],
  request: RenderRequest,
  options: JobOptions = {},
): Promise<string[]> {
  const answer = await ask(snapshots, request, options);
  if (!Array.isArray(answer)) return [(answer as { reason: string }).reason];
  return (answer as Answered).map(
    (each) => `${each.target}: ${each.datapoints.map(([value]) => value ?? "-").join(" ")}`,
  );
}

test("targets, globs, views, order", async () => {
  const snapshots = [snapshotOf(content)];
  const f = async (targets: string[], expected: string[], more: Partial<RenderRequest> = {}) =>
    assert.deepEqual(await shown(snapshots, render(targets, more)), expected);
  await f(["a.b"], ["a.b: 2.5 - 7 -"]);
  await f(["a.b:sum"], ["a.b:sum: 5 - 7 -"]);
  await f(["a.b:min"], ["a.b:min: 1 - 7 -"]);
  await f(["a.b:max"], ["a.b:max: 4 - 7 -"]);
  await f(["a.b:count"], ["a.b:count: 2 - 1 -"]);
  await f(["a.b:last"], ["a.b:last: 4 - 7 -"]);
  await f(["a.b:avg"], ["a.b:avg: 2.5 - 7 -"]);
  await f(["a.*"], ["a.b: 2.5 - 7 -", "a.c: - - 3 -", "a.empty: - - - -"]);
  await f(["a.{c,b}:count"], ["a.b:count: 2 - 1 -", "a.c:count: - - 1 -"]);
  await f(["a.c", "a.b", "a.c"], ["a.c: - - 3 -", "a.b: 2.5 - 7 -", "a.c: - - 3 -"]);
  await f(["a.b", "a.b:sum"], ["a.b: 2.5 - 7 -", "a.b:sum: 5 - 7 -"]);
  await f(["a.empty"], ["a.empty: - - - -"]);
  await f(["nosuch"], []);
  await f([], []);
  await f(["", " "], []);
  await f(["disk;host=a"], ["disk;host=a: - - 9 -"]);
  // V1: a stored name that really ends so wins, also among others
  await f(["v.x:sum"], ["v.x:sum: - - 50 -"]);
  await f(["v.*:sum"], ["v.x:sum: - - 50 -"]);
  await f(["v.x:sum:sum"], ["v.x:sum:sum: - - 50 -"]);
  await f(["a.b"], ["a.b: 2.5 7"], { noNullPoints: true });
  await f(["a.empty", "a.c"], ["a.c: 3"], { noNullPoints: true });
  await f(["a.b", "a.b:sum", "a.b:count"], ["a.b: 4", "a.b:sum: 12", "a.b:count: 3"], {
    maxDataPoints: 1,
  });
  await f(["constantLine(100)"], ["100.0: 100 100 100"]);
  await f(["a.c", "constantLine(1)"], ["a.c: - - 3 -", "1.0: 1 1 1"]);
  await f(["sumSeries(a.*)"], ["target"]);
  await f(["a.c"], ["a.c: -"], { from: now - 10, until: now - 5 });
});

test("tenants can't see each other", async () => {
  const snapshots = [snapshotOf(content)];
  assert.deepEqual(await shown(snapshots, render(["a.b", "secret.x", "*.*"]), { tenant: "t2" }), [
    "a.b: - - 1000 -",
    "secret.x: - - 1 -",
    "a.b: - - 1000 -",
    "secret.x: - - 1 -",
  ]);
  assert.deepEqual(await shown(snapshots, render(["secret.x", "*.*"]), { tenant: "t3" }), []);
});

test("the tags and times of an answer", async () => {
  assert.deepEqual(await ask([snapshotOf(content)], render(["disk;host=a:sum"])), [
    {
      target: "disk;host=a:sum",
      tags: { host: "a", name: "disk" },
      datapoints: [
        [null, now - 180],
        [null, now - 120],
        [9, now - 60],
        [null, now],
      ],
    },
  ]);
});

test("A2: a series in several homes is one; last is of the newest home", async () => {
  const old = snapshotOf({
    t1: {
      x: [
        [now - 60, 1],
        [now - 120, 5],
      ],
      "x.old": [[now - 60, 1]],
    },
  });
  const middle = snapshotOf({ t1: {} });
  const recent = snapshotOf({
    t1: {
      "0": [[now - 60, 8]],
      x: [
        [now - 60, 3],
        [now - 60, 2],
      ],
    },
  });
  const f = async (targets: string[], expected: string[]) =>
    assert.deepEqual(await shown([old, middle, recent], render(targets)), expected);
  await f(["x"], ["x: - 5 2 -"]);
  await f(["x:count"], ["x:count: - 1 3 -"]);
  await f(["x:sum"], ["x:sum: - 5 6 -"]);
  await f(["x:min"], ["x:min: - 5 1 -"]);
  await f(["x:max"], ["x:max: - 5 3 -"]);
  await f(["x:last"], ["x:last: - 5 2 -"]);
  await f(["0:min", "0:max", "0:last"], ["0:min: - - 8 -", "0:max: - - 8 -", "0:last: - - 8 -"]);
  await f(["*", "*.*"], ["0: - - 8 -", "x: - 5 2 -", "x.old: - - 1 -"]);
});

test("a node is shown once: a branch where it is one anywhere", async () => {
  const homes = [
    snapshotOf({ t1: { a: [], "n.x": [], "m.x.y": [] } }),
    snapshotOf({ t1: { "a.b": [], "k.x.y": [], "z.x": [] } }),
    snapshotOf({ t1: { a: [] } }),
  ];
  const f = async (query: string, expected: string[]) => {
    const nodes = await ask(homes, {
      kind: "find",
      query,
      format: "treejson",
      leavesOnly: false,
      wildcards: false,
    });
    assert.deepEqual(
      (nodes as { id: string; leaf: number }[]).map(({ id, leaf }) => (leaf === 1 ? id : `${id}.`)),
      expected,
    );
  };
  await f("*", ["a.", "k.", "m.", "n.", "z."]);
  await f("[a-m].*", ["[a-m].x.", "[a-m].b"]);
  await f("*.x", ["*.x."]);
  await f("[nz].x", ["[nz].x"]);
  assert.deepEqual(await ask(homes, { kind: "index" }), ["a", "a.b", "k.x.y", "m.x.y", "n.x", "z.x"]);
});

test("numbers that JSON can't say", async () => {
  const odd = snapshotOf({
    t1: {
      big: [
        [now - 60, 1.7e308],
        [now - 60, 1.7e308],
      ],
      small: [
        [now - 60, -1.7e308],
        [now - 60, -1.7e308],
      ],
    },
  });
  assert.deepEqual(await shown([odd], render(["big:sum", "small:sum"])), [
    "big:sum: - - Infinity -",
    "small:sum: - - -Infinity -",
  ]);
});

test("names are quoted, whatever is in them", async () => {
  const name = 'a"\\\u2028é\u{1f600}';
  const answer = await ask([snapshotOf({ t1: { [name]: [[now, 1]] } })], render([name]));
  assert.deepEqual((answer as Answered)[0]?.target, name);
});

test("the rung follows the age of from; coarse steps merge fine points", async () => {
  const points = Array.from({ length: 120 }, (_, i) => [now - 600 + i * 10, 1] as const);
  const snapshot = snapshotOf({ t1: { x: points } });
  const f = async (from: number, expected: string) => {
    const [line] = await shown([snapshot], render(["x:count"], { from, until: now }), {
      ladder: "10s:600s,60s:1200s,600s:1d",
    });
    assert.equal(line?.slice(-expected.length), expected);
  };
  await f(now - 30, "x:count: 1 1 1");
  await f(now - 600, "1 1 1");
  await f(now - 700, "6 6 6");
  await f(now - 1201, "60 60");
});

test("an answer is the same whether the store gives the columns it is asked for, or all", async () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const name = (i: number) => `r.${i}${i % 5 === 0 ? ":max" : ""}`;
  const randomContent = (): Content => ({
    t1: Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [
        name(i + random.below(4)),
        Array.from(
          { length: random.below(30) },
          () => [now - random.below(900), random.below(9) - 4] as const,
        ),
      ]),
    ),
  });
  for (let round = 0; round < 60; round++) {
    const asked = Array.from({ length: 1 + random.below(2) }, () => snapshotOf(randomContent()));
    const all = asked.map((each): Snapshot => ({ ...each, fetch: (ids, range) => each.fetch(ids, range) }));
    const targets = Array.from({ length: 1 + random.below(3) }, () => {
      const view = random.below(2) === 0 ? "" : `:${views[random.below(views.length)]}`;
      return `r.${random.below(3) === 0 ? "*" : random.below(15)}${view}`;
    });
    const maxDataPoints = random.below(2) === 0 ? undefined : 1 + random.below(12);
    const request = render(targets, { from: now - 900, maxDataPoints });
    assert.deepEqual(
      await shown(asked, request),
      await shown(all, request),
      `seed ${seed}: ${targets.join(" ")}`,
    );
  }
});

test("H3: what is over a bound is refused before it is read", async () => {
  const many = snapshotOf({
    t1: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`m.${i}`, []])),
  });
  let fetches = 0;
  const counting: Snapshot = { ...many, fetch: (...args) => ((fetches += 1), many.fetch(...args)) };
  const f = async (request: RenderRequest, options: JobOptions, expected: string[]) =>
    assert.deepEqual(await shown([counting], request, options), expected);
  await f(render(["m.*"]), { limits: { series: 29 } }, ["series"]);
  await f(render(["m.1", "m.*"]), { limits: { series: 30 } }, ["series"]);
  await f(render(Array<string>(11).fill("m.1")), { limits: { targets: 10 } }, ["target"]);
  await f(render(["x".repeat(101)]), { limits: { targetChars: 100 } }, ["target"]);
  await f(render(["m.*"]), { limits: { cells: 119 } }, ["cells"]);
  await f(render(["m.*"]), { limits: { points: 119 } }, ["points"]);
  await f(render(["m.*"], { from: 0, until: now }), {}, ["points"]);
  await f(render(["m.*"]), { cancelled: true }, ["cancelled"]);
  assert.equal(fetches, 0);
  await f(render(["m.1"]), { limits: { cells: 4, points: 4, series: 1 } }, ["m.1: - - - -"]);
  assert.equal(fetches, 1);
});

test("A1: a query whose time is up stops between batches", async () => {
  let elapsed = 0;
  const slow = snapshotOf(content);
  const snapshot: Snapshot = {
    ...slow,
    findSeries(...args) {
      elapsed += 6000;
      return slow.findSeries(...args);
    },
  };
  const answer = await answerQuery(
    jobOf(render(["a.b", "a.c", "a.b"])),
    homesOf(snapshot),
    [],
    () => elapsed,
  );
  assert.equal(answer.kind === "refused" ? answer.reason : answer.kind, "time");
  assert.equal(elapsed, 12_000, "the third target was not looked for");
});

test("an answer says what it rests on, and what is missing", async () => {
  const snapshot = snapshotOf(content, { offset: 17, frameTimeMs: 1234 });
  const answer = await answerQuery(jobOf(render(["a.c"])), [{ shard: 3, snapshot }], [5], () => 0);
  assert.ok(answer.kind === "ok");
  assert.deepEqual(answer.missing, [5]);
  assert.deepEqual(answer.homes, [
    {
      shard: 3,
      offset: 17,
      incarnation: "test",
      frameTimeMs: 1234,
      receivedAtMs: 1234,
      gaps: [],
      holes: [],
    },
  ]);
  const none = await answerQuery(jobOf(render(["a.c"])), [], [5], () => 0);
  assert.equal(none.kind, "unavailable");
});

test("batches: more cells than one fetch holds give the same answer", async () => {
  const wide = snapshotOf({
    t1: Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`w.${i}`, [[now - 60, i] as const]])),
  });
  let fetches = 0;
  const counting: Snapshot = { ...wide, fetch: (...args) => ((fetches += 1), wide.fetch(...args)) };
  const options = { ladder: "1s:30d", limits: { cells: 10_000_000, points: 10_000_000 } };
  const answer = await ask(
    [counting],
    render(["w.*:sum"], { from: now - 1_000_000, maxDataPoints: 1 }),
    options,
  );
  assert.equal(fetches, 4);
  assert.deepEqual(
    (answer as Answered).map((each) => each.datapoints[0]?.[0]),
    [0, 1, 2, 3, 4, 5, 6],
  );
});

test("tags are found in whatever order a target names them", async () => {
  const tagged = { t1: { "disk;dc=x;host=a": [[now - 60, 9]] as [number, number][] } };
  for (const target of ["disk;dc=x;host=a", "disk;host=a;dc=x", "disk;host=*;dc=x"]) {
    const names = (await shown([snapshotOf(tagged)], render([target]))).map((line) => line.split(":")[0]);
    assert.deepEqual(names, ["disk;dc=x;host=a"], target);
  }
});
