// On-call's commands on a running system: each goes through the admin API, and leaves its entry in the audit log.
import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { projectFolder } from "../../bin/project.ts";
import { eventually, System } from "../harness/system.ts";

const execute = promisify(execFile);

let system: System;

before(async () => {
  system = await System.start();
});
after(() => system.close());

async function json<T>(...words: string[]): Promise<T> {
  return JSON.parse(await system.millrace(...words, "--json")) as T;
}

/** What it says to stderr; its exit code is `code`. */
async function refused(code: number, ...words: string[]): Promise<string> {
  return system.millrace(...words).then(
    (out) => assert.fail(`${words.join(" ")} is taken: ${out}`),
    (error: { code: number; stderr: string }) => {
      assert.equal(error.code, code, error.stderr);
      return error.stderr;
    },
  );
}

function ask(path: string, token: string, body?: object): Promise<Response> {
  return fetch(`http://127.0.0.1:${system.adminPort}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { Authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function got<T>(path: string): Promise<T> {
  return (await (await ask(path, token())).json()) as T;
}

const tokenFile = () => join(system.home, "admin.token");
const token = () => readFileSync(tokenFile(), "utf8").trim();

interface Letter {
  id: string;
  tenant: string;
  reason: string;
  text: string;
  door: string;
}

test("the token lies in a file for the owner alone, and nothing is answered without it", async () => {
  assert.equal(statSync(tokenFile()).mode & 0o777, 0o600);
  assert.equal((await ask("/v1/tenants", "")).status, 401);
  assert.equal((await ask("/v1/nothing", `${token()}x`)).status, 401);
  assert.equal((await ask("/v1/tenants", token())).status, 200);
  assert.equal((await ask("/v1/nothing", token())).status, 404);
  assert.equal((await ask("/v1/shards/9", token())).status, 404);
  assert.equal((await ask("/v1/tenants", token(), { name: "a b" })).status, 400);
  assert.ok(!system.log.some((line) => JSON.stringify(line).includes(token())), "no log line has it");
});

test("dead letters: listed, shown, retried with other lines, dropped", { timeout: 120_000 }, async () => {
  const { name, writeKey, readKey } = await system.addTenant("letters");
  for (const line of ["millrace-fault.throw.a 1", "millrace-fault.throw.b 1"])
    assert.equal((await system.sink(writeKey, line)).status, 202);
  await eventually("two letters", async () => (await letters(name)).length === 2);
  assert.equal((await json<Letter[]>("dead", "list", "--tenant", name)).length, 2);
  const [first, second] = await letters(name);
  assert(first !== undefined && second !== undefined);
  assert.equal(first.tenant, name);
  const shown = await json<Letter>("dead", "show", first.id);
  assert.equal(shown.id, first.id);
  assert.match(await system.millrace("dead", "retry", first.id, "--dry-run"), /nothing was done: --dry-run/);
  await system.millrace("dead", "retry", first.id, "--line", "mended 7");
  await eventually(
    "it counts",
    async () => (await system.sums(readKey, "mended:sum")).get("mended:sum") === 7,
  );
  assert.match(await refused(1, "dead", "retry", first.id), /is not open/);
  assert.match(await refused(1, "dead", "drop", first.id, "--dry-run"), /is not open/);
  assert.match(await refused(1, "dead", "drop", second.id), /not at a terminal/);
  await system.millrace("dead", "drop", second.id, "--yes");
  assert.deepEqual(await letters(name), []);
  assert.match(await refused(1, "dead", "show", "1-2-3"), /SHARD\/SEQUENCE\/PART/);
  await system.millrace("ledger", "--check");
});

async function letters(tenant: string): Promise<Letter[]> {
  return (await got<{ letters: Letter[] }>(`/v1/dead?tenant=${tenant}`)).letters;
}

test("a shard is looked at, paused, resumed, restarted and skipped", { timeout: 120_000 }, async () => {
  interface Row {
    shard: number;
    state: string;
    wish: { paused: boolean };
  }
  const state = async (shard: number) => (await got<Row>(`/v1/shards/${shard}`)).state;
  assert.deepEqual(
    (await json<Row[]>("shard", "list")).map(({ shard }) => shard),
    [0, 1],
  );
  assert.match(await system.millrace("shard", "list"), /^shard {2}state/);
  assert.match(await system.millrace("shard", "pause", "1"), /shard 1 stops after a commit/);
  await eventually("paused", async () => (await state(1)) === "paused");
  assert.equal(await state(0), "running");
  assert.match(await system.millrace("shard", "show", "1"), /paused by an operator: millrace shard resume/);
  await system.millrace("shard", "resume", "1");
  await eventually("running again", async () => (await state(1)) === "running");
  assert.match(await system.millrace("shard", "restart", "1", "--dry-run"), /siblings untouched/);
  await system.millrace("shard", "restart", "1");
  await eventually("running again", async () => (await state(1)) === "running");
  assert.match(await system.millrace("shard", "skip", "1", "--dry-run"), /^shard 1: .* behind; .*untouched/);
  await json("shard", "skip", "1", "--yes");
  await eventually("running again", async () => (await state(1)) === "running");
  assert.match(await system.millrace("shard", "adopt", "1", "--dry-run"), /nothing to adopt/);
  assert.match(await refused(1, "shard", "adopt", "1"), /nothing to adopt/);
  assert.match(await refused(1, "shard", "show", "7"), /there is no shard 7/);
  assert.match(
    await system.millrace("backfill", "speed", "1", "5000"),
    /backfill of shard 1 goes on with at most 5,000 points\/s/,
  );
  assert.match(await system.millrace("shard", "show", "1"), /at most 5,000 points/);
  await system.millrace("backfill", "pause", "1");
  await system.millrace("backfill", "resume", "1");
  assert.match(await refused(1, "backfill", "speed", "1", "fast"), /is no speed/);
});

test("a tenant is suspended, deleted and brought back", { timeout: 120_000 }, async () => {
  const { id, writeKey } = await system.addTenant("gone");
  const status = async () => (await system.sink(writeKey, "a 1")).status;
  assert.equal(await status(), 202);
  await system.millrace("tenant", "suspend", "gone");
  await eventually("suspended", async () => (await status()) === 403);
  await system.millrace("tenant", "activate", "gone");
  await eventually("active", async () => (await status()) === 202);
  assert.match(
    await system.millrace("tenant", "delete", "gone", "--dry-run"),
    /^tenant gone: .*; sends .* now; gone for good on .* unless undeleted/,
  );
  assert.match(await refused(1, "tenant", "delete", "gone"), /not at a terminal/);
  await system.millrace("tenant", "delete", "gone", "--yes");
  await eventually("deleted", async () => (await status()) === 410);
  assert.match(await refused(1, "tenant", "show", "gone"), /there is no tenant gone/);
  assert.match(await system.millrace("tenant", "purge", id), /is deleted; its series go from/);
  await system.millrace("tenant", "undelete", "gone");
  await eventually("back", async () => (await status()) === 202);
  assert.match(await refused(1, "tenant", "undelete", "gone"), /gone is not deleted/);
});

test("every change is in the audit log, questions are not; who discards is written down first", async () => {
  interface Entry {
    what: string;
    outcome: string;
    who: string;
    user: string;
    from: string;
    with: string;
  }
  const entries = await json<Entry[]>("audit", "--limit", "1000");
  const of = (what: string) => entries.filter((entry) => entry.what === what);
  assert.equal(of("POST /v1/tenants").length, 3, "one was refused");
  assert.equal(of("POST /v1/tenants").at(-1)?.outcome, "refused");
  assert.equal(of("POST /v1/tenants/gone/delete").length, 1, "the entry before is one with the one after");
  assert.equal(of("POST /v1/shards/1/skip").length, 1, "no dry run is a change");
  const [skip] = of("POST /v1/shards/1/skip");
  assert.deepEqual([skip?.outcome, skip?.who, skip?.from], ["done", "admin", "127.0.0.1"]);
  assert.notEqual(skip?.user, "");
  assert.match(await system.millrace("audit", "--from", "-1h", "--limit", "2"), /POST/);
});

test("the page on the admin API, as written", { timeout: 120_000 }, async () => {
  const page = readFileSync(new URL("docs/operating/admin.md", projectFolder()), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  assert.equal(blocks.length, 2);
  const bash = async (script: string) =>
    (await execute("bash", ["-euc", script], { cwd: fileURLToPath(projectFolder()), env: system.env }))
      .stdout;
  const said = await bash(blocks[0] ?? "");
  assert.match(said, /"shards":\[/);
  assert.match(said, /"preview":"shard 1: /);
  assert.match(said, /"done":"demo is suspended/);
  assert.match(said, /"done":"demo is active"/);
  assert.match(said, /"entries":\[/);
  assert.match(await bash(blocks[1] ?? ""), /^shard {2}state.*untouched/s);
});

test("without NATS it says so, and what discards is not done", { timeout: 120_000 }, async () => {
  process.kill(system.pid("nats-server"), "SIGSTOP");
  try {
    const answer = await ask("/v1/shards/1/skip", token(), {});
    assert.equal(answer.status, 503);
    assert.match(JSON.stringify(await answer.json()), /written down|waits for NATS/);
  } finally {
    process.kill(system.pid("nats-server"), "SIGCONT");
  }
  await eventually("it answers again", async () => (await ask("/v1/tenants", token())).status === 200);
});
