import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Outage } from "../../src/base/errors.ts";
import { splitBudget } from "../../src/config/limits.ts";
import { readSettings, settingRows, type SettingName } from "../../src/config/settings.ts";

function home(t: { after(f: () => void): void }, file?: string): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-settings-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  if (file !== undefined) writeFileSync(join(folder, "millrace.json"), file);
  return folder;
}

test("defaults hold and every setting has its row", (t) => {
  const settings = readSettings({ MILLRACE_HOME: home(t) });
  assert.deepEqual(settings.tcpListen, { host: "127.0.0.1", port: 2003 });
  assert.equal(settings.shards, 8);
  assert.equal(settings.replayWindow, 7 * 86_400_000);
  assert.deepEqual(settings.retention.rungs.at(-1), { stepSeconds: 600, spanSeconds: 63_072_000 });
  const names = settingRows().map((row) => row.env);
  for (const name of ["UDP", "PICKLE", "TLS", "STATSD", "ADMIN"])
    assert(names.includes(`MILLRACE_${name}_LISTEN`));
});

test("a flag wins over the environment, that over the file, that over the default", (t) => {
  const folder = home(t, '{ "shards": 3, "commitMs": "77", "node": "filed" }');
  const env = { MILLRACE_HOME: folder, MILLRACE_SHARDS: "5", MILLRACE_NODE: "said" };
  const settings = readSettings(env, { shards: "6" });
  assert.equal(settings.shards, 6);
  assert.equal(settings.node, "said");
  assert.equal(settings.commitMs, 77);
});

test("mistakes stop the start with a sentence that names them", (t) => {
  const f = (
    env: Record<string, string>,
    expected: RegExp,
    file?: string,
    flags?: Partial<Record<SettingName, string>>,
  ) =>
    assert.throws(
      () => readSettings({ MILLRACE_HOME: home(t, file), ...env }, flags),
      (error: Error) =>
        error instanceof Outage && error.code === "settings-invalid" && expected.test(error.message),
      `${JSON.stringify(env)} ${file ?? ""}`,
    );
  f({ MILLRACE_TPC_LISTEN: "x" }, /MILLRACE_TPC_LISTEN is not a setting; did you mean MILLRACE_TCP_LISTEN\?/);
  f({ MILLRACE_SHARDS: "0" }, /MILLRACE_SHARDS is "0": expected a whole number from 1 to 1024\./);
  f({ MILLRACE_SHARDS: "many" }, /whole number/);
  f({ MILLRACE_SHARDS: "" }, /whole number/);
  f({ MILLRACE_TCP_LISTEN: "2003" }, /expected host:port/);
  f({ MILLRACE_TCP_LISTEN: "127.0.0.1:70000" }, /expected host:port/);
  f({ MILLRACE_TCP_LISTEN: "off" }, /expected host:port/);
  f({ MILLRACE_DISK_BUDGET: "lots" }, /expected auto or a size/);
  f({ MILLRACE_RETENTION: "10s" }, /"10s" is not of the form 10s:2d/);
  f({ MILLRACE_RETENTION: "60s:1d,90s:2d" }, /multiple of 60s/);
  f({ MILLRACE_RETENTION: "60s:2d,120s:1d" }, /span must be longer/);
  f({ MILLRACE_REPLAY_WINDOW: "soon" }, /expected a span/);
  f({ MILLRACE_LOG_LEVEL: "loud" }, /expected one of trace/);
  f({ MILLRACE_NODE: "two words" }, /one word/);
  f({}, /tcplisten is not a setting; did you mean tcpListen\?/, '{ "tcplisten": "x:1" }');
  f({}, /can't be set in the file/, '{ "home": "elsewhere" }');
  f({}, /must be a string or a number/, '{ "shards": [1] }');
  f({}, /can't be read/, "not json");
  f({}, /--commit-ms is "-1"/, undefined, { commitMs: "-1" });
  f({ MILLRACE_SHARDS: "x", MILLRACE_NODE: "a b" }, /MILLRACE_NODE[^]*MILLRACE_SHARDS/);
});

test("sizes and addresses are read in their usual forms", (t) => {
  const f = (env: string, value: string, name: SettingName, expected: unknown) =>
    assert.deepEqual(readSettings({ MILLRACE_HOME: home(t), [env]: value })[name], expected, value);
  f("MILLRACE_DISK_BUDGET", "20GB", "diskBudget", 20e9);
  f("MILLRACE_DISK_BUDGET", "512MiB", "diskBudget", 2 ** 29);
  f("MILLRACE_DISK_BUDGET", "1.5t", "diskBudget", 1.5e12);
  f("MILLRACE_DISK_BUDGET", "auto", "diskBudget", "auto");
  f("MILLRACE_TCP_LISTEN", "[::1]:2003", "tcpListen", { host: "::1", port: 2003 });
  f("MILLRACE_HTTP_LISTEN", "metrics.example.org:80", "httpListen", {
    host: "metrics.example.org",
    port: 80,
  });
  f("MILLRACE_UDP_LISTEN", "off", "udpListen", "off");
  f("MILLRACE_REPLAY_WINDOW", "12h", "replayWindow", 12 * 3_600_000);
});

test("a budget is split so that its parts fit, or refused with what would do", () => {
  const budget = splitBudget(20e9, 8);
  const sum = budget.streamBytesPerShard * 8 + budget.storeBytesPerShard * 8 + budget.spoolBytes;
  assert(sum <= budget.totalBytes && sum > 0.99 * budget.totalBytes);
  assert(budget.jetStreamBytes > budget.streamBytesPerShard * 8);
  assert.throws(() => splitBudget(10e6, 8), /too little for 8 shards: give at least \d+MB/);
});
