// Mistakes at the start that were passed over, or were told without saying where.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readDemo } from "../../bin/demo.ts";
import { readSettings } from "../../src/config/settings.ts";

function inFolder(body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "millrace-start-"));
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("a demo.json that holds no keys is named, with what to do", () =>
  inFolder((folder) => {
    const path = join(folder, "demo.json");
    for (const content of [
      "{broken",
      "",
      "null",
      "[]",
      '{"id":"a"}',
      '{"id":1,"name":2,"writeKey":3,"readKey":4}',
    ]) {
      writeFileSync(path, content);
      assert.throws(() => readDemo(path), /demo\.json does not hold .*: delete it/, content);
    }
    const demo = { id: "a", name: "demo", writeKey: "w", readKey: "r" };
    writeFileSync(path, JSON.stringify(demo));
    assert.deepEqual(readDemo(path), demo);
  }));

test("a millrace.json that is there but can't be read stops the start; none is none", () =>
  inFolder((folder) => {
    assert.equal(readSettings({ MILLRACE_HOME: folder }).shards, 8);
    mkdirSync(join(folder, "millrace.json"));
    assert.throws(() => readSettings({ MILLRACE_HOME: folder }), /millrace\.json can't be read/);
  }));

test("NATS can't listen where nobody finds it", () => {
  assert.throws(
    () => readSettings({ MILLRACE_NATS_LISTEN: "127.0.0.1:0" }),
    /MILLRACE_NATS_LISTEN .*port from 1/,
  );
  assert.equal(readSettings({ MILLRACE_HTTP_LISTEN: "127.0.0.1:0" }).httpListen.port, 0);
});
