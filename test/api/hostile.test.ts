import assert from "node:assert/strict";
import { test } from "node:test";
import { bearer, range, readKey, start } from "./start.ts";

test("bad requests get a sentence and the right status, as text or as JSON", async () => {
  const { api, lines } = await start({ limits: { targets: 50, bodyBytes: 100_000 } });
  const f = async (
    options: { method?: "GET" | "POST" | "PUT" | "DELETE"; url: string; payload?: string; type?: string },
    status: number,
    sentence: RegExp,
  ) => {
    const { type, ...rest } = options;
    const headers = { ...bearer, ...(type === undefined ? {} : { "content-type": type }) };
    const text = await api.app.inject({ ...rest, headers });
    assert.equal(text.statusCode, status, `${options.url.slice(0, 100)}: ${text.body}`);
    assert.match(text.body, sentence);
    assert.match(String(text.headers["content-type"]), /^text\/plain/);
    assert.ok(text.body.length < 400 && !/\bat .*\.[jt]s:/.test(text.body), text.body);
    const json = await api.app.inject({ ...rest, headers: { ...headers, accept: "application/json" } });
    assert.equal(json.statusCode, status);
    assert.match(json.json<{ error: string }>().error, sentence);
  };
  const get = (query: string, status: number, sentence: RegExp) =>
    f({ url: `/render?${query}` }, status, sentence);
  const json = (payload: string, status: number, sentence: RegExp) =>
    f({ method: "POST", url: "/render", type: "application/json", payload }, status, sentence);
  await get("target=a&from=NaN", 400, /from: "NaN" is no time/);
  await get("target=a&from=-1", 400, /from: "-1" is no time/);
  await get("target=a&from=notatime", 400, /is no time/);
  await get("target=a&until=%00", 400, /is no time/);
  await get(`target=a&from=${"9".repeat(90)}`, 400, /out of range/);
  await get("target=a&from=now", 400, /empty/);
  await get("target=a&from=5&until=5", 400, /empty/);
  await get("target=a&format=png", 400, /format "png"/);
  await get(`target=a&format=${"p".repeat(5000)}`, 400, /format "p+…"/);
  await get("target=a&xFilesFactor=NaN", 400, /xFilesFactor/);
  await get("target=a&xFilesFactor=2", 400, /xFilesFactor/);
  await get("target=sumSeries(a.*)", 400, /functions such as sumSeries\(\) are not served yet/);
  await get("target=a.*|alias('x')", 400, /functions such as alias/);
  await get(`target=${"x".repeat(66_000)}`, 400, /longer than/);
  await get("target=a&".repeat(51), 400, /51 targets; the limit is 50/);
  await get("a&".repeat(30_000), 400, /more than 20000 parameters/);
  await json("{", 400, /not JSON/);
  await json("[]", 400, /must be a JSON object/);
  await json("null", 400, /must be a JSON object/);
  await json("7", 400, /must be a JSON object/);
  await json('{"target":{}}', 400, /"target" must be a text/);
  await json('{"target":[["a"]]}', 400, /"target" must be a text/);
  await json('{"target":"a","from":[{}]}', 400, /"from" must be a text/);
  await json('{"target":"a","from":true}', 400, /"true" is no time/);
  await json('{"target":"a","from":1e300}', 400, /no time/);
  await json('{"__proto__":{"target":"a"},"from":"now"}', 400, /must be a text/);
  await json(`{"target":[${Array<string>(51).fill('"a"').join(",")}]}`, 400, /51 targets/);
  await f({ method: "POST", url: "/render", type: "text/xml", payload: "<a/>" }, 415, /form-urlencoded/);
  await f(
    { method: "POST", url: "/render", type: "multipart/form-data; boundary=x", payload: "--x" },
    415,
    /form/,
  );
  const form = "application/x-www-form-urlencoded";
  await f(
    { method: "POST", url: "/render", type: form, payload: "target=a&".repeat(20_000) },
    413,
    /100000 bytes/,
  );
  await f(
    { method: "POST", url: "/render", type: form, payload: "target=a&".repeat(10_000) },
    400,
    /10000 targets/,
  );
  await f({ url: "/metrics/find" }, 400, /query is missing/);
  await f({ url: "/metrics/find?query=" }, 400, /query is missing/);
  await f({ url: "/metrics/find?query=*&format=pickle" }, 400, /format "pickle"/);
  await f({ url: "/functions/nosuch" }, 404, /nothing at this address/);
  await f({ url: "/nosuch?x=1" }, 404, /nothing at this address/);
  await f({ url: "/%zz" }, 400, /malformed/);
  await f({ url: `/t/${readKey}/%zz` }, 400, /malformed/);
  await f({ method: "DELETE", url: "/render" }, 404, /nothing/);
  await f({ method: "PUT", url: "/render", payload: "x" }, 404, /nothing/);
  assert.ok(!lines.some((line) => line.includes(readKey)));
  await api.close();
});

test("a length that is not the body's is a mistake of the sender", async () => {
  const { api, lines } = await start();
  const headers = { ...bearer, "content-length": "3" };
  const answer = await api.app.inject({ method: "POST", url: "/render", headers, payload: "target=a" });
  assert.deepEqual([answer.statusCode, answer.body], [400, "the request is malformed\n"]);
  assert.deepEqual(lines, []);
  await api.close();
});

test("bad percent-encodings in parameters are text like any other", async () => {
  const { api } = await start();
  for (const target of ["%zz", "%", "%ff%fe", "%00", "%C0%AF", "+", "%F0%9F%98%80"]) {
    const answer = await api.app.inject({ url: `/render?target=${target}&${range}`, headers: bearer });
    assert.equal(answer.statusCode, 200, target);
    assert.deepEqual(answer.json(), []);
  }
  await api.close();
});
