// Odd input on all raw ports of a running system: what Graphite's own carbon does with it was recorded beside the
// project (../shared/conformance/malformed), and its replay.py compares.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { findRoot } from "../../bin/setup/root.mjs";
import { System } from "../harness/system.ts";

const execute = promisify(execFile);
const folder = join(findRoot(import.meta.url) ?? "", "..", "shared", "conformance", "malformed");
const script = join(folder, "replay.py");
/** Most of the replay's time is waiting, so its parts may wait together. */
const parts = 12;
const waitSeconds = 3;

interface Case {
  id: string;
  danger?: boolean;
}

interface Row {
  id: string;
  verdict: "pass" | "note" | "fail";
  detail: string[];
}

async function whyNot(): Promise<string | undefined> {
  if (!existsSync(script)) return "there is no ../shared/conformance/malformed";
  const python = await execute("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).then(
    () => true,
    () => false,
  );
  return python ? undefined : "there is no Python 3.9 here";
}

test("what carbon does with odd input, or better", async () => {
  const why = await whyNot();
  if (why !== undefined) {
    console.error(`\n*** ODD INPUT NOT COMPARED WITH CARBON: ${why} ***\n`);
    return;
  }
  // Buckets of a minute, as the recording had; a tenant's own rules would hold from the next hour on.
  const system = await System.start({ env: { MILLRACE_RETENTION: "60s:30d" } });
  try {
    const { writeKey, readKey } = await system.addTenant("odd");
    // Of two points in a bucket whisper keeps the last one.
    const views = join(system.home, "storage-aggregation.conf");
    writeFileSync(views, "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = last\n");
    await system.millrace("tenant", "rules", "odd", "--aggregation", views);
    const cases = (JSON.parse(readFileSync(join(folder, "malformed.json"), "utf8")) as Case[]).filter(
      ({ danger }) => danger !== true,
    );
    const replay = async (ids: string[], n: number): Promise<Row[]> => {
      const answers = join(system.home, `replay-${n}.json`);
      const raw = ["--line", `127.0.0.1:${system.tcpPort}`, "--udp", `127.0.0.1:${system.tcpPort}`];
      const pickle = ["--pickle", `127.0.0.1:${system.picklePort}`];
      const http = ["--url", `http://127.0.0.1:${system.apiPort}`, "--auth", `Bearer ${readKey}`];
      const only = ["--only", `^(${ids.join("|")}) `, "--wait", String(waitSeconds)];
      // It exits 1 where something failed: the answers say what.
      await execute("python3", [
        script,
        ...raw,
        ...pickle,
        ...http,
        ...only,
        "--key",
        writeKey,
        "--json",
        answers,
      ]).catch(() => {});
      return JSON.parse(readFileSync(answers, "utf8")) as Row[];
    };
    const groups = Array.from({ length: parts }, (_, n) =>
      cases.filter((_case, i) => i % parts === n).map(({ id }) => id),
    );
    const rows = (await Promise.all(groups.map(replay))).flat();
    assert.ok(cases.length >= 100);
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), cases.map(({ id }) => id).toSorted());
    // A note is a connection closed, or a good neighbour lost, as carbon does.
    const wrong = rows.filter(({ verdict }) => verdict !== "pass");
    assert.deepEqual(wrong, []);
    assert.ok(!existsSync("/tmp/malformed-pickle-ran"));
  } finally {
    await system.close();
  }
});
