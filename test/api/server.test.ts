import assert from "node:assert/strict";
import { test } from "node:test";
import type { Aside } from "../../src/api/watermark.ts";
import type { Snapshot } from "../../src/store/store.ts";
import { snapshotOf } from "./fixture.ts";
import { localRunner } from "./query.ts";
import { bearer, content, now, range, readKey, start, writeKey } from "./start.ts";

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

test("keys: three places, and each answer of the directory", async () => {
  const { api, lines, looked } = await start();
  const f = async (url: string, authorization: string | undefined, status: number) => {
    const answer = await api.app.inject({
      url,
      headers: authorization === undefined ? {} : { authorization },
    });
    assert.equal(answer.statusCode, status, `${url} with ${authorization}: ${answer.body}`);
    if (status !== 200) assert.ok(answer.body.length < 200 && !answer.body.includes("{"), answer.body);
    assert.equal(answer.headers["retry-after"] !== undefined, status === 503);
    assert.equal(answer.headers["www-authenticate"] !== undefined, status === 401);
    for (const key of [readKey, writeKey]) assert.ok(!answer.body.includes(key), "an answer repeats a key");
  };
  const url = `/render?target=web.a.cpu&${range}`;
  await f(url, `Bearer ${readKey}`, 200);
  await f(url, `bearer  ${readKey} `, 200);
  await f(url, basic(`${readKey}:`), 200);
  await f(url, basic(`${readKey}:x:y`), 200);
  await f(url, basic(readKey), 200);
  await f(`/t/${readKey}${url}`, undefined, 200);
  await f(`/t/${readKey}${url}`, "Bearer nonsense", 200);
  await f(`/t/with%20space%2Fand%25${url}`, undefined, 200);
  await f(url, undefined, 401);
  await f(url, "", 401);
  await f(url, "Bearer", 401);
  await f(url, "Bearer ", 401);
  await f(url, `Bearer ${readKey} x`, 401);
  await f(url, `Token ${readKey}`, 401);
  await f(url, readKey, 401);
  await f(url, basic(`:${readKey}`), 401);
  await f(url, "Basic !!!", 401);
  await f(url, "Bearer nobody", 401);
  await f(`/t/nobody${url}`, `Bearer ${readKey}`, 401);
  await f(`/t/${url}`, undefined, 401);
  await f(`${url}&key=${readKey}`, undefined, 401);
  await f(url, `Bearer ${writeKey}`, 403);
  await f(`/t/${writeKey}${url}`, undefined, 403);
  await f(url, "Bearer suspended", 403);
  await f(url, "Bearer deleted", 410);
  await f(url, "Bearer purging", 410);
  await f(url, "Bearer outage", 503);
  await f(`/t/%zz%${url}`, undefined, 401);
  await f(`/t/${readKey}/t/${readKey}${url}`, undefined, 404);
  await f(`/t/${readKey}`, undefined, 404);
  await f(`/t/${readKey}?x=/render`, undefined, 404);
  await f(`/${readKey}${url}`, undefined, 404);
  const asked = looked.length;
  await f(url, `Bearer ${"x".repeat(10_000)}`, 401);
  assert.equal(looked.length, asked, "a text that can't be a key is not looked up");
  assert.ok(!lines.some((line) => line.includes(readKey) || line.includes(writeKey)), "a key is in the log");
  await api.close();
});

test("tenants can't see each other, whatever they ask for", async () => {
  const { api } = await start();
  const ask = async (key: string, url: string) =>
    (await api.app.inject({ url, headers: { authorization: `Bearer ${key}` } })).body;
  const url = `/render?target=*&target=*.*&target=*.*.*&${range}`;
  assert.ok(!(await ask(readKey, url)).includes("secret"));
  assert.ok(!(await ask(readKey, url)).includes("1000"));
  assert.ok((await ask("other", url)).includes("secret.x"));
  assert.deepEqual(JSON.parse(await ask("other", "/metrics/index.json")), ["secret.x", "web.a.cpu"]);
  assert.deepEqual(JSON.parse(await ask(readKey, "/metrics/find?query=secret.*")), []);
  await api.close();
});

test("render: GET, form and JSON give the same answer, with its freshness", async () => {
  const { api } = await start();
  const expected = [
    {
      target: "web.a.cpu",
      tags: { name: "web.a.cpu" },
      datapoints: [
        [1.5, now - 60],
        [null, now],
      ],
    },
  ];
  const f = async (
    options: { method?: "POST"; url: string; payload?: string | object; type?: string },
    series = expected,
  ) => {
    const { type, ...rest } = options;
    const headers = type === undefined ? bearer : { ...bearer, "content-type": type };
    const answer = await api.app.inject({ ...rest, headers });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.deepEqual(answer.json(), series);
    assert.equal(answer.headers["millrace-watermark"], String(now - 5));
    assert.equal(answer.headers["millrace-missing"], undefined);
    assert.equal(answer.headers["content-type"], "application/json");
  };
  const form = "application/x-www-form-urlencoded";
  const bounds = { from: now - 120, until: String(now) };
  await f({ url: `/render?target=web.a.cpu&${range}` });
  await f({ url: `/render/?target=web.a.cpu&${range}&format=json&cacheTimeout=60` });
  await f({ url: `/render?target[]=web.a.cpu&${range}` });
  await f({ url: `/render?target=web%2Ea.cpu&${range}` });
  await f({ method: "POST", url: "/render", type: form, payload: `target=web.a.cpu&${range}` });
  await f({
    method: "POST",
    url: "/render",
    type: `${form}; charset=UTF-8`,
    payload: `target=web.a.cpu&${range}`,
  });
  await f({ method: "POST", url: "/render?target=web.a.cpu&from=-5min", type: form, payload: range });
  await f({ method: "POST", url: `/render?target=web.a.cpu&${range}` });
  await f({
    method: "POST",
    url: "/render",
    type: "application/json",
    payload: { target: "web.a.cpu", ...bounds },
  });
  await f({
    method: "POST",
    url: "/render",
    type: "application/json",
    payload: { target: ["web.a.cpu"], ...bounds },
  });
  await f({
    method: "POST",
    url: "/render",
    type: "application/json",
    payload: {
      "target[]": "web.a.cpu",
      ...bounds,
      maxDataPoints: 800,
      noNullPoints: false,
      until: null,
      now,
    },
  });
  await f({ url: `/render?${range}` }, []);
  await f({ url: `/render?target=&${range}` }, []);
  await f({ url: `/render?target=nosuch&${range}` }, []);
  await f({ url: `/render?target=web.a.cpu&from=-2min&maxDataPoints=x&xFilesFactor=0` });
  await api.close();
});

test("find, expand, index, version, functions", async () => {
  const { api } = await start();
  const f = async (url: string, expected: unknown) => {
    const answer = await api.app.inject({ url, headers: bearer });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.deepEqual(answer.json(), expected);
  };
  const branch = { allowChildren: 1, expandable: 1, leaf: 0 };
  const leaf = { allowChildren: 0, expandable: 0, leaf: 1 };
  await f("/metrics/find?query=*", [
    { text: "web", id: "web", ...branch },
    { text: "solo", id: "solo", ...leaf },
  ]);
  await f("/metrics/find?query=*&wildcards=1&from=-1h&until=now", [
    { text: "*", id: "*", ...branch },
    { text: "web", id: "web", ...branch },
    { text: "solo", id: "solo", ...leaf },
  ]);
  // leaf and branch at once: a branch
  await f("/metrics/find?query=web.*&format=treejson", [
    { text: "a", id: "web.a", ...branch },
    { text: "b", id: "web.b", ...branch },
  ]);
  await f("/metrics/find?query=w*.*.cpu", [{ text: "cpu", id: "w*.*.cpu", ...leaf }]);
  await f("/metrics/find?query=web.*&leavesOnly=1", [{ text: "a", id: "web.a", ...branch }]);
  await f("/metrics/find/?query=nosuch.*", []);
  await f("/metrics/?query=solo", [{ text: "solo", id: "solo", ...leaf }]);
  await f("/metrics/find?query=we&format=completer", {
    metrics: [{ path: "web.", name: "web", is_leaf: "0" }],
  });
  await f("/metrics/find?query=w..&format=completer&wildcards=1", {
    metrics: [
      { path: "web.a.", name: "a", is_leaf: "0" },
      { path: "web.b.", name: "b", is_leaf: "0" },
      { name: "*" },
    ],
  });
  await f("/metrics/find?query=web.a.*&format=json", [
    { path: "web.a.cpu", is_leaf: true, intervals: [{ start: now - 14 * 86_400, end: now }] },
  ]);
  await f("/metrics/expand?query=web.*.cpu&query=solo&query=solo", {
    results: ["solo", "web.a.cpu", "web.b.cpu"],
  });
  await f("/metrics/expand?query=web.*&query=s*&groupByExpr=1&leavesOnly=1", {
    results: { "web.*": ["web.a"], "s*": ["solo"] },
  });
  await f("/metrics/expand", { results: [] });
  await f("/metrics/index.json", ["solo", "web.a", "web.a.cpu", "web.b.cpu"]);
  await f("/functions", {});
  await f(`/t/${readKey}/functions`, {});
  for (const url of ["/version", `/t/${readKey}/version/`])
    assert.equal((await api.app.inject({ url })).body, "1.1.10");
  await api.close();
});

test("health and counters need no key; counters of all processes are summed", async () => {
  const { api, counters } = await start();
  const health = await api.app.inject({ url: "/health" });
  assert.deepEqual([health.statusCode, health.json()], [200, { healthy: true, nats: "connected" }]);
  counters.counter("x", "y").value = 3;
  await api.app.inject({ url: "/render?target=a", headers: bearer });
  await api.app.inject({ url: "/render?target=a&from=x", headers: bearer });
  await api.app.inject({ url: `/t/${readKey}x/render` });
  const metrics = (await api.app.inject({ url: "/metrics" })).body;
  assert.match(metrics, /^x 5$/m);
  assert.match(metrics, /^api_requests_answered_total\{kind="render"\} 1$/m);
  assert.match(metrics, /^api_requests_refused_total\{reason="params"\} 1$/m);
  assert.match(metrics, /^api_requests_refused_total\{reason="unknown-key"\} 1$/m);
  assert.ok(!metrics.includes(readKey));
  await api.close();

  const sick = await start({
    health: () => ({ healthy: false, detail: { nats: "lost" } }),
    otherTexts: () => Promise.reject(new Error("nobody answers")),
  });
  assert.equal((await sick.api.app.inject({ url: "/health" })).statusCode, 503);
  assert.equal((await sick.api.app.inject({ url: "/metrics" })).statusCode, 200);
  await sick.api.close();
});

test("the watermark is the lowest of the homes; a home that is missing is named", async () => {
  const snapshots = new Map<number, Snapshot>([
    [2, snapshotOf(content, { frameTimeMs: (now - 50) * 1000 })],
    [5, snapshotOf({}, { frameTimeMs: (now - 9) * 1000 })],
  ]);
  const f = async (homes: number[], status: number, watermark?: number, missing?: string) => {
    const { api } = await start({ homes: () => homes, queries: localRunner(snapshots) });
    for (const url of [`/render?target=solo&${range}`, "/metrics/find?query=*"]) {
      const answer = await api.app.inject({ url, headers: bearer });
      assert.equal(answer.statusCode, status, answer.body);
      assert.equal(
        answer.headers["millrace-watermark"],
        watermark === undefined ? undefined : String(watermark),
      );
      assert.equal(answer.headers["millrace-missing"], missing);
      assert.equal(answer.headers["retry-after"] !== undefined, status === 503);
    }
    await api.close();
  };
  await f([2, 5], 200, now - 50);
  await f([5], 200, now - 9);
  await f([1, 5, 7], 200, now - 9, "1,7");
  await f([1, 7], 503);
});

test("what was set aside is said: frames of all homes, and between which times they came", async () => {
  const snapshots = new Map([2, 5, 8].map((shard) => [shard, snapshotOf(content)]));
  const asides = new Map<number, Aside>([
    [2, { frames: 3, from: now - 90, until: now - 80 }],
    [5, { frames: 10, from: now - 70, until: now - 60 }],
  ]);
  const f = async (homes: number[], said: string | undefined) => {
    const { api } = await start({
      homes: () => homes,
      queries: localRunner(snapshots),
      aside: ({ shard }) => asides.get(shard),
    });
    const answer = await api.app.inject({ url: `/render?target=solo&${range}`, headers: bearer });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.equal(answer.headers["millrace-gaps"], said);
    await api.close();
  };
  await f([8], undefined);
  await f([2, 8], `3; from=${now - 90}; until=${now - 80}`);
  await f([2, 5, 8], `13; from=${now - 90}; until=${now - 60}`);
  asides.set(8, { frames: 1, from: undefined, until: undefined });
  await f([2, 8], "4");
});
