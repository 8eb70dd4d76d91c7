// Pages of docs/oncall, acted: something is broken, the doctor names it, the page's commands are run as they stand there,
// and what the page says of success holds.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { jetstreamManager, type StreamAPI } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { findRoot } from "../../bin/setup/root.mjs";
import { streamName } from "../../src/bus/subjects.ts";
import { homeOf } from "../../src/tenant/routing.ts";
import { eventually, System, type Keys } from "../harness/system.ts";

const folder = join(findRoot(import.meta.url) ?? "", "docs", "oncall");
const shards = 2;
/** Commands that ask before they do it. */
const asks = /^(shard (skip|adopt)|dead (retry|drop)|tenant suspend) (?!.*--dry-run)/;

let system: System;
let nats: NatsConnection;
let streams: StreamAPI;
let acme: Keys;
/** Acme's. */
let shard = 0;
let sent = 0;

before(async () => {
  system = await System.start({ shards });
  acme = await system.addTenant("acme");
  shard = homeOf({ id: acme.id, name: "", state: "active", createdMs: 0, keys: [], homes: [] }, shards);
  nats = await connect({ servers: `nats://127.0.0.1:${system.natsPort}` });
  ({ streams } = await jetstreamManager(nats));
});
after(async () => {
  await nats?.close();
  await system.close();
});

/** What helps, by a page: its commands, of this system's shard and letter. */
function helps(page: string, letter = ""): string[] {
  const text = readFileSync(join(folder, `${page}.md`), "utf8").split("## What helps")[1] ?? "";
  const commands = [...text.matchAll(/^millrace (.*)$/gm)].map(([, words = ""]) => words);
  return commands.map((words) => words.replace("3/1042/0", letter).replace(/ 3\b(?!\/)/, ` ${shard}`));
}

/** Runs those of a page's commands; answers what the last one said. */
async function run(commands: readonly string[]): Promise<string> {
  assert.notEqual(commands.length, 0);
  let said = "";
  for (const words of commands)
    said = await system.millrace(...words.split(" "), ...(asks.test(words) ? ["--yes"] : []));
  return said;
}

async function found(): Promise<{ id: string; runbook: string }[]> {
  const out = await system.millrace("doctor", "--json").catch((error: { stdout: string }) => error.stdout);
  return (JSON.parse(out) as { findings: { id: string; runbook: string }[] }).findings;
}

function named(page: string): Promise<void> {
  return eventually(`the doctor names ${page}`, async () =>
    (await found()).some(({ id, runbook }) => id === page && runbook === `docs/oncall/${page}.md`),
  );
}

function gone(page: string): Promise<void> {
  return eventually(`the doctor does not name ${page}`, async () =>
    (await found()).every(({ id }) => id !== page),
  );
}

async function send(...lines: string[]): Promise<void> {
  for (const line of lines) {
    const response = await system.sink(acme.writeKey, `${line}\n`);
    assert.equal(response.status, 202, await response.text());
  }
}

async function points(count: number): Promise<void> {
  await send(...Array.from({ length: count }, () => "night.points 1"));
  sent += count;
}

/** All points that were sent are there, once; `lost`: but those. */
async function allThere(lost = 0): Promise<void> {
  const count = async () =>
    (await system.sums(acme.readKey, "night.points:count")).get("night.points:count") ?? 0;
  await eventually("all points", async () => (await count()) >= sent - lost);
  assert.equal(await count(), sent - lost);
}

async function letters(): Promise<string[]> {
  const { letters: open } = await system.admin.get<{ letters: { id: string }[] }>("/v1/dead", {
    tenant: "acme",
  });
  return open.map(({ id }) => id);
}

const shown = () => system.millrace("shard", "show", String(shard));

test("a shard is paused", async () => {
  await points(3);
  await allThere();
  await system.millrace("shard", "pause", String(shard));
  await named("shard-paused");
  await points(3);
  await run(helps("shard-paused"));
  await gone("shard-paused");
  assert.match(await shown(), /is running/);
  await allThere();
});

test("a shard is far behind: skipped to live, its gap is filled behind it", async () => {
  await system.millrace("backfill", "pause", String(shard));
  await system.millrace("shard", "pause", String(shard));
  await points(5);
  const late = sent;
  await run(helps("shard-failed").filter((words) => words.includes("skip")));
  await system.millrace("shard", "resume", String(shard));
  await named("backlog");
  assert.match(await shown(), /waits for backfill: \d/);
  await points(1);
  await allThere(5);
  await run(helps("backlog"));
  await eventually(
    "no gap",
    async () => (await system.millrace("backfill", "list", "--json")).trim() === "[]",
  );
  await gone("backlog");
  assert.equal(sent, late + 1);
  await allThere();
});

test("a line is a dead letter", async () => {
  await send("millrace-fault.throw.one 1");
  await named("dead-letters");
  const [letter] = await letters();
  assert(letter !== undefined);
  const commands = helps("dead-letters", letter).filter((words) => !words.includes("retry"));
  assert.match(await run(commands.slice(0, 2)), /poison/);
  await run(commands.slice(2));
  await gone("dead-letters");
  assert.deepEqual(await letters(), []);
});

test("a tenant is quarantined", async () => {
  for (const line of ["two", "three", "four"]) await send(`millrace-fault.throw.${line} 1`);
  await named("tenant-quarantined");
  await points(3);
  await eventually("they are kept", async () => (await letters()).length > 3);
  await run(helps("tenant-quarantined"));
  await gone("tenant-quarantined");
  assert.deepEqual(await letters(), []);
  await allThere();
});

let lost = 0;

test("the record has lost frames", async () => {
  await system.millrace("shard", "pause", String(shard));
  await points(4);
  lost += 4;
  await streams.purge(streamName(shard));
  await system.millrace("shard", "resume", String(shard));
  await points(2);
  await named("record-hole");
  await allThere(lost);
  await run(helps("record-hole").filter((words) => words.startsWith("ledger")));
  await system.millrace("shard", "restart", String(shard));
  await named("record-hole");
  assert.match(await shown(), /holes, frames that the record lost: \d/);
});

test("the record is another one", async () => {
  const failed = system.nextLog((line) => line.msg === "shard has failed", "the failed shard");
  await streams.delete(streamName(shard));
  assert.equal((await failed)["code"], "record-rewound");
  await named("shard-failed");
  assert.match(await shown(), /is failed: record-rewound/);
  const before = /holes.*/.exec(await shown())?.[0] ?? "";
  await run(helps("record-rewound"));
  await gone("shard-failed");
  assert.match(await shown(), /is running/);
  const after = /holes.*/.exec(await shown())?.[0] ?? "";
  assert(after !== before && after.length > 0, `${before} and then ${after}`);
  await points(2);
  await allThere(lost);
});

test("a process hangs", async () => {
  const pid = system.pid("api");
  process.kill(pid, "SIGSTOP");
  await named("process-down");
  process.kill(pid, "SIGKILL");
  await gone("process-down");
  await allThere(lost);
});

test("somebody sends who is not wanted", async () => {
  await system.millrace("tenant", "suspend", acme.name, "--yes");
  await eventually("a no", async () => (await system.sink(acme.writeKey, "night.points 1\n")).status === 403);
  await named("unwanted-senders");
  assert.match(await run(helps("unwanted-senders").slice(0, 1)), /tenant-suspended/);
});
