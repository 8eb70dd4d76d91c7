// The doctor and top, on a system that is well, and on one where something is wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, System } from "../harness/system.ts";

interface Told {
  findings: { id: string; what: string; command: string }[];
  unseen: string[];
}

test("the doctor says that all is well, and finds what is not", async (t) => {
  // More than a node answers at a time.
  const system = await System.start({ shards: 10 });
  t.after(() => system.close());
  await system.addTenant("acme");
  const asked = async (): Promise<Told> => {
    const out = await system.millrace("doctor", "--json").catch((error: { stdout: string }) => error.stdout);
    return JSON.parse(out) as Told;
  };
  const ids = async () => (await asked()).findings.map(({ id }) => id).filter((id) => id !== "disk-low");
  let told: string[] = [];
  await eventually("all is well", async () => (told = await ids()).length === 0).catch(() => undefined);
  assert.deepEqual(told, []);
  assert.deepEqual((await asked()).unseen, []);

  const table = await system.millrace("top", "--once");
  assert.match(table, /^shard {2}state .*\n0 {6}running .*\n(.*running.*\n){8}9 {6}running /);

  await system.millrace("shard", "pause", "1", "--json");
  await eventually("the pause is found", async () => (await ids()).includes("shard-paused"));
  const { findings } = await asked();
  const paused = findings.find(({ id }) => id === "shard-paused");
  assert.deepEqual([paused?.what, paused?.command], ["shard 1 is paused", "millrace shard resume 1"]);
  await system.millrace("shard", "resume", "1", "--json");

  await assert.rejects(
    (async () => {
      process.kill(system.pid("nats-server"), "SIGSTOP");
      try {
        await system.millrace("doctor");
      } finally {
        process.kill(system.pid("nats-server"), "SIGCONT");
      }
    })(),
    (error: { code: number; stdout: string }) =>
      error.code === 1 && error.stdout.includes("docs/oncall/nats-unreachable.md"),
  );
});
