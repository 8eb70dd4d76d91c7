// One at a time, whatever became of the last holder.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { withLock } from "../../bin/setup/lock.mjs";
import { Interrupted } from "../../bin/setup/step.mjs";
import { createCheckout } from "./checkout.ts";

/** Enters with the lock, and fails if somebody else is inside. */
const worker = `
import { mkdirSync, rmdirSync } from "node:fs";
const { withLock } = await import(process.argv[2]);
const step = { signal: new AbortController().signal, report: { begin() {}, end() {} } };
for (let i = 0; i < 5; i++) {
  await withLock("lock", step, async () => {
    mkdirSync("inside");
    await new Promise((resolve) => setTimeout(resolve, 5));
    rmdirSync("inside");
  });
}`;

test("processes take turns, also when they all find a stale lock", async (t) => {
  const { root, write } = createCheckout(t);
  write("worker.mjs", worker);
  write("lock", JSON.stringify({ pid: await deadPid(), host: hostname() }));
  const ended = [1, 2, 3, 4].map(async () => {
    const child = spawn(process.execPath, [join(root, "worker.mjs"), join(root, "bin/setup/lock.mjs")], {
      cwd: root,
      stdio: "inherit",
    });
    return (await once(child, "close"))[0];
  });
  assert.deepEqual(await Promise.all(ended), [0, 0, 0, 0]);
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith("lock")),
    [],
  );
});

test("who holds a stale lock: a dead process, nobody for a minute, ourselves, not even JSON", async (t) => {
  const { root, write, step } = createCheckout(t);
  const path = join(root, "lock");
  const f = async (holder: string, ageSeconds = 0) => {
    write("lock", holder);
    const then = new Date(Date.now() - ageSeconds * 1000);
    utimesSync(path, then, then);
    assert.equal(await withLock(path, step, async () => "done"), "done", holder);
    assert.equal(existsSync(path), false);
  };
  await f(JSON.stringify({ pid: await deadPid(), host: hostname() }));
  await f(JSON.stringify({ pid: 1, host: hostname() }), 3600);
  await f(JSON.stringify({ pid: 1, host: "elsewhere" }), 3600);
  await f(JSON.stringify({ pid: process.pid, host: hostname() }));
  await f("", 3600);
});

test("a live holder is waited for, and waiting can be interrupted", async (t) => {
  const { root, write, read, step, said } = createCheckout(t);
  const holder = JSON.stringify({ pid: process.ppid, host: hostname() });
  write("lock", holder);
  const stop = new AbortController();
  const report = {
    ...step.report,
    begin(text: string) {
      step.report.begin(text);
      stop.abort();
    },
  };
  await assert.rejects(
    withLock(join(root, "lock"), { signal: stop.signal, report }, () => assert.fail("entered")),
    Interrupted,
  );
  assert.match(
    said(),
    new RegExp(`waiting for another set-up of this checkout \\(process ${process.ppid}\\)`),
  );
  assert.equal(read("lock"), holder);
});

test("work that fails lets go of the lock", async (t) => {
  const { root, step } = createCheckout(t);
  const path = join(root, "lock");
  const fails = withLock(path, step, async () => {
    throw new Error("it broke");
  });
  await assert.rejects(fails, /it broke/);
  assert.equal(existsSync(path), false);
});

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "close");
  return child.pid ?? 0;
}
