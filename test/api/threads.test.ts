import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryJob } from "../../src/api/messages.ts";
import { systemClock } from "../../src/base/clock.ts";
import { jobOf } from "./query.ts";
import { bearer, now, range, readKey, start } from "./start.ts";
import { startStored } from "./stored.ts";

function render(targets: string): string {
  return `/render?${range}&target=${targets}`;
}

/** The two points of `range`. */
function points(...values: (number | null)[]): [number | null, number][] {
  return values.map((value, i) => [value, now - 60 + i * 60]);
}

test("from a real store over real threads and sockets", async () => {
  const stored = await startStored(60, { threads: 2 });
  const { api } = await start({
    queries: stored.queries,
    homes: ({ id }) => (id === "t1" ? [0, 3] : [3]),
  });
  const port = await api.listen({ host: "127.0.0.1", port: 0 });
  const ask = async (path: string, key = readKey) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const text = await answer.text();
    return {
      status: answer.status,
      watermark: answer.headers.get("millrace-watermark"),
      missing: answer.headers.get("millrace-missing"),
      value: answer.ok ? (JSON.parse(text) as unknown) : text,
    };
  };
  const before = await ask(render("web.a"));
  assert.equal(before.status, 503, "no store is there yet");

  await stored.commit(3, { t1: { "web.a": [[now - 60, 3]] }, t2: { "secret.x": [[now, 1]] } }, now * 1000);
  const alone = await ask(render("web.a"));
  assert.deepEqual([alone.status, alone.watermark, alone.missing], [200, String(now), "0"]);

  await stored.commit(
    0,
    {
      t1: {
        "web.a": [
          [now - 60, 1],
          [now - 30, 8],
        ],
        "web.b": [],
        "disk;host=a.b": [[now, 5]],
      },
    },
    (now - 7) * 1000,
  );
  assert.deepEqual(await ask(render("*.*&target=web.a:count&target=web.a:last&target=disk;host=a.b:sum")), {
    status: 200,
    watermark: String(now - 7),
    missing: null,
    value: [
      { target: "web.a", tags: { name: "web.a" }, datapoints: points(4, null) },
      { target: "web.b", tags: { name: "web.b" }, datapoints: points(null, null) },
      { target: "web.a:count", tags: { name: "web.a" }, datapoints: points(3, null) },
      { target: "web.a:last", tags: { name: "web.a" }, datapoints: points(3, null) },
      { target: "disk;host=a.b:sum", tags: { name: "disk", host: "a.b" }, datapoints: points(null, 5) },
    ],
  });
  assert.deepEqual((await ask("/metrics/index.json")).value, ["web.a", "web.b"]);
  assert.deepEqual((await ask("/metrics/index.json", "other")).value, ["secret.x"]);
  assert.deepEqual((await ask(render("*&target=*.*&target=web.a"), "other")).value, [
    { target: "secret.x", tags: { name: "secret.x" }, datapoints: points(null, 1) },
  ]);
  const found = await ask("/metrics/find?query=disk*;*");
  assert.deepEqual(
    (found.value as { text: string }[]).map(({ text }) => text),
    ["disk;host=a.b"],
  );

  await api.close();
  await stored.end();
});

test("hostile patterns find nothing, quickly, on a real store", async () => {
  const stored = await startStored(60);
  const names = Array.from({ length: 500 }, (_, i) => `${"a".repeat(60)}${i}.b`);
  await stored.commit(0, { t1: Object.fromEntries(names.map((name) => [name, []])) }, 0);
  const { api } = await start({ queries: stored.queries, clock: systemClock });
  const hostile = [
    "{a,b}".repeat(1000),
    `${"{a,b}".repeat(300)}.b`,
    "*a".repeat(500),
    `${"*a".repeat(20)}*c.b`,
    `${"[a-z]*".repeat(100)}x`,
    "{".repeat(10_000),
    "{{{{a}}}}",
    "[".repeat(10_000),
    "[]]",
    "[z-a]*",
    "*.".repeat(10_000),
    ".".repeat(10_000),
    "../../etc/passwd",
    "\u0000*",
    ";;;=;=",
    "*;*=*",
    "(a+)+$",
    "a".repeat(60_000),
  ];
  for (const target of hostile) {
    const form = new URLSearchParams({ target, from: "-5min" });
    const query = new URLSearchParams({ query: target });
    for (const [url, payload] of [
      ["/render", form],
      ["/metrics/find", query],
      ["/metrics/expand", query],
    ] as const) {
      const answer = await api.app.inject({
        method: "POST",
        url,
        headers: { ...bearer, "content-type": "application/x-www-form-urlencoded" },
        payload: payload.toString(),
      });
      assert.equal(answer.statusCode, 200, `${url} ${target.slice(0, 20)}: ${answer.body}`);
      assert.ok(
        ["[]", '{"results":[]}'].includes(answer.body),
        `${target.slice(0, 20)}: ${answer.body.slice(0, 100)}`,
      );
    }
  }
  await api.close();
  await stored.end();
});

/** Ten days of 200 series, a point each. */
function heavy(): QueryJob {
  const request = {
    kind: "render",
    from: now - 10 * 86_400,
    until: now,
    maxDataPoints: 1,
    noNullPoints: false,
    xFilesFactor: 0,
  } as const;
  return jobOf({ ...request, targets: ["m.*"] }, { limits: { cells: 100_000_000 } });
}

test("P3: a read whose time is up ends within its thread, and leaves the store readable", async () => {
  const stored = await startStored(60);
  const series = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`m.${i}`, [[now - 60, i] as const]]),
  );
  await stored.commit(0, { t1: series }, 0);
  const job = heavy();
  for (let round = 0; round < 4; round++) {
    const limits = { ...job.limits, timeMs: round };
    const answer = await stored.queries.run({ ...job, limits }, new AbortController().signal);
    assert.ok(answer.kind === "ok" || (answer.kind === "refused" && answer.reason === "time"));
  }
  const answer = await stored.queries.run(heavy(), new AbortController().signal);
  assert.ok(answer.kind === "ok");
  const values = JSON.parse(new TextDecoder().decode(answer.body)) as { datapoints: [number, number][] }[];
  assert.equal(
    values.reduce((sum, each) => sum + (each.datapoints[0]?.[0] ?? 0), 0),
    (199 * 200) / 2,
  );
  await stored.end();
});
