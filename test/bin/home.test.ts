import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lockHome } from "../../bin/home.ts";
import { isOutage } from "../../src/base/errors.ts";

test("one system on one home", (t) => {
  const home = mkdtempSync(join(tmpdir(), "millrace-home-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const lock = lockHome(home);
  assert.throws(
    () => lockHome(home),
    (error) => isOutage(error, "home-locked") && error.message.includes(`pid ${process.pid}`),
  );
  lock.release();
  lockHome(home).release();

  // A holder that was killed: its pid is gone, or belongs to somebody else by now.
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  writeFileSync(join(home, "lock"), `${dead} 12345`);
  lockHome(home).release();
  writeFileSync(join(home, "lock"), `${process.pid} 1`);
  const mine = lockHome(home);
  assert(readFileSync(join(home, "lock"), "utf8").startsWith(`${process.pid} `));
  mine.release();

  writeFileSync(join(home, "lock"), "");
  lockHome(home).release();
});

test("a home that can't be written is an error that names it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-home-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "file");
  writeFileSync(file, "");
  assert.throws(
    () => lockHome(join(file, "home")),
    (error) => isOutage(error, "settings-invalid") && error.message.includes("MILLRACE_HOME"),
  );
});
