// The admin API by itself: the token, bounds, errors as sentences, and what is written down of a change.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOperate, Refused, type AuditEntry, type Verb } from "../../src/api/operate.ts";
import { Counters } from "../../src/base/counters.ts";
import { Outage } from "../../src/base/errors.ts";
import { ManualClock } from "../harness/clock.ts";
import { hearLog } from "../harness/log.ts";

const token = "a-token-of-this-test";

function world() {
  const entries: AuditEntry[] = [];
  const heard = hearLog();
  const done: string[] = [];
  let audit: Error | undefined;
  let failure: Error | undefined;
  const verb = (effect: Verb["effect"], url: string): Verb => ({
    method: "POST",
    url,
    effect,
    isQuestion: ({ body }) => body["ask"] === true,
    async answer({ dryRun, params }) {
      if (failure !== undefined) throw failure;
      if (dryRun) return { preview: "it would" };
      done.push(`${url} ${params["name"] ?? ""}`);
      return { done: "it is" };
    },
  });
  const operate = createOperate({
    token,
    verbs: [
      verb("changes", "/v1/things/:name/change"),
      verb("discards", "/v1/things/:name/drop"),
      { method: "GET", url: "/v1/things", effect: "none", answer: async ({ query }) => ({ query }) },
    ],
    async audit(entry) {
      if (audit !== undefined) throw audit;
      entries.push(entry);
    },
    newId: () => "id",
    clock: new ManualClock(),
    counters: new Counters(),
    log: heard.log,
  });
  return {
    entries,
    done,
    heard,
    fail: (error: Error | undefined) => (failure = error),
    failAudit: (error: Error | undefined) => (audit = error),
    async ask(url: string, body?: string, said = token): Promise<[status: number, body: unknown]> {
      const response = await operate.app.inject({
        method: body === undefined ? "GET" : "POST",
        url,
        headers: {
          authorization: `Bearer ${said}`,
          "millrace-user": "ann",
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { payload: body }),
      });
      return [response.statusCode, response.json()];
    },
  };
}

test("O1: without the token nothing is answered, not even what there is", async () => {
  const w = world();
  for (const said of ["", "x", `${token}x`, token.slice(1)])
    for (const url of ["/v1/things", "/v1/nothing"])
      assert.equal((await w.ask(url, undefined, said))[0], 401);
  assert.equal((await w.ask("/v1/things"))[0], 200);
  assert.equal((await w.ask("/v1/nothing"))[0], 404);
  assert.equal((await w.ask("/v1/things/a/drop", "{}", "x"))[0], 401);
  assert.deepEqual(w.done, []);
  assert.ok(!w.heard.text.some((line) => line.includes(token)));
});

test("O2: each change leaves an entry, what discards is written down before it is done", async () => {
  const w = world();
  const outcomes = () => w.entries.splice(0).map(({ outcome, why }) => `${outcome} ${why}`.trim());
  assert.deepEqual(await w.ask("/v1/things/a/change", '{"n":1}'), [200, { done: "it is" }]);
  const [entry] = w.entries;
  assert.deepEqual(
    [entry?.who, entry?.user, entry?.from, entry?.what, entry?.with],
    ["admin", "ann", "127.0.0.1", "POST /v1/things/a/change", '{"n":1}'],
  );
  assert.deepEqual(outcomes(), ["done it is"]);
  await w.ask("/v1/things/a/drop", "");
  assert.deepEqual(outcomes(), ["begun", "done it is"]);
  assert.deepEqual(await w.ask("/v1/things/a/drop", '{"dryRun":true}'), [200, { preview: "it would" }]);
  await w.ask("/v1/things/a/change", '{"ask":true}');
  await w.ask("/v1/things?limit=3");
  assert.deepEqual(outcomes(), [], "questions leave none");
  w.fail(new Refused(409, "it can't be"));
  assert.deepEqual(await w.ask("/v1/things/a/change", "{}"), [409, { error: "it can't be" }]);
  w.fail(new Outage("bus-timeout", "no answer"));
  assert.deepEqual(await w.ask("/v1/things/a/change", "{}"), [
    503,
    { error: "no answer", reason: "bus-timeout" },
  ]);
  w.fail(new Error("a secret of ours"));
  assert.deepEqual(await w.ask("/v1/things/a/change", "{}"), [
    500,
    { error: "internal error", reason: "bug" },
  ]);
  assert.deepEqual(outcomes(), ["refused it can't be", "unknown no answer", "unknown a secret of ours"]);
});

test("O2: where nothing can be written down, what discards is not done, and the rest is, loudly", async () => {
  const w = world();
  w.failAudit(new Outage("bus-unavailable", "no connection"));
  const [status, body] = await w.ask("/v1/things/a/drop", "{}");
  assert.equal(status, 503);
  assert.match(JSON.stringify(body), /can't be written down/);
  assert.deepEqual(w.done, []);
  assert.equal((await w.ask("/v1/things/a/change", "{}"))[0], 200);
  assert.deepEqual(w.done, ["/v1/things/:name/change a"]);
  assert.ok(w.heard.text.some((line) => line.includes('"page":true') && line.includes("audit")));
});

test("O3: a body is bounded and judged", async () => {
  const w = world();
  const f = async (body: string, status: number, why: RegExp) => {
    const answer = await w.ask("/v1/things/a/change", body);
    assert.equal(answer[0], status);
    assert.match(JSON.stringify(answer[1]), why);
  };
  await f("{", 400, /no JSON object/);
  await f("[1]", 400, /no JSON object/);
  await f('{"dryRun":"yes"}', 400, /dryRun is true or false/);
  await f(`{"a":"${"x".repeat(4 << 20)}"}`, 413, /longer than/);
  assert.deepEqual(w.done, []);
});
