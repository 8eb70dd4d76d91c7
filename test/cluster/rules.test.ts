// Rules as an operator sets them: the commands of docs/operating/rules.md as they are written there, on a running system,
// and what a query then shows.
import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { projectFolder } from "../../bin/project.ts";
import { eventually, System } from "../harness/system.ts";

const execute = promisify(execFile);

interface Shown {
  outcome: string;
  schemas: { fromSeconds: number; rules: { name: string; ladder: string }[] }[];
  aggregation: { name: string; view: string }[];
}

test("the page on rules, as written", { timeout: 120_000 }, async (t) => {
  const system = await System.start();
  const folder = await mkdtemp(join(tmpdir(), "millrace-rules-"));
  t.after(async () => {
    await system.close();
    await rm(folder, { recursive: true, force: true });
  });
  symlinkSync(fileURLToPath(new URL("dist", projectFolder())), join(folder, "dist"));
  const bash = async (script: string) =>
    (await execute("bash", ["-ec", script], { cwd: folder, env: system.env })).stdout;
  const rules = (words: string) => bash(`node dist/bin/millrace.js tenant rules ${words}`);

  const page = readFileSync(new URL("docs/operating/rules.md", projectFolder()), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
  assert.equal(blocks.length, 2);
  const [schemas = "", aggregation = ""] = blocks;
  const said = await bash(schemas);
  assert.match(said, /would change \(nothing was changed: --dry-run\)/);
  assert.match(said, /^changed$/m);
  assert.match(said, /\[frontends\] {2}\^web\\\. {2}1s:86400s,60s:2592000s,3600s:94608000s/);
  const answered = (await bash(aggregation)).trimEnd().split("\n").at(-1) ?? "";
  const shown = JSON.parse(answered) as Shown;
  assert.equal(shown.outcome, "shown");
  assert.deepEqual(
    shown.schemas.map((set) => [set.fromSeconds % 3600, set.rules.map(({ name }) => name)]),
    [
      [0, []],
      [0, ["frontends", "everything else"]],
    ],
  );
  const from = shown.schemas[1]?.fromSeconds ?? 0;
  assert.ok(from > Date.now() / 1000 && from < Date.now() / 1000 + 3700);
  assert.deepEqual(
    shown.aggregation.map(({ view }) => view),
    ["sum", "last"],
  );
  assert.equal((JSON.parse(await rules("acme --schemas schemas.conf --json")) as Shown).outcome, "unchanged");
  assert.match(
    await bash("cat aggregation.conf | node dist/bin/millrace.js tenant rules acme --aggregation -"),
    /nothing to change/,
  );

  writeFileSync(join(folder, "bad.conf"), "[a]\npattern = (\nretentions = 1d\nx = y\n");
  const refused = async (words: string, ...expected: RegExp[]) => {
    const failed = await rules(words).then(
      () => assert.fail(`${words} is taken`),
      (error: { code: number; stderr: string }) => error,
    );
    assert.equal(failed.code, 1, failed.stderr);
    assert.equal(failed.stderr.trimEnd().split("\n").length, expected.length, failed.stderr);
    for (const pattern of expected) assert.match(failed.stderr, pattern);
  };
  await refused(
    "acme --schemas bad.conf --aggregation nosuch.conf",
    /bad\.conf: line 2: pattern/,
    /line 3: "1d"/,
    /line 4: "x"/,
    /nosuch\.conf can't be read/,
  );
  await refused("nobody", /there is no tenant nobody/);
  await refused("acme --schemas - --aggregation -", /not both/);

  // The demo tenant gets the same; doors and queries hear of it by themselves.
  const { writeKey, readKey } = system.demo;
  const now = Math.floor(Date.now() / 1000);
  const second = now - (now % 600) - 60;
  const old = now - 2 * 31_536_000 - 86_400;
  assert.equal((await system.sink(writeKey, `web.too.old 1 ${old}`)).status, 400);
  await rules("demo --schemas schemas.conf --aggregation aggregation.conf");
  const body = ["web.x.count 2", "web.x.count 5", "web.x.cpu 2", "web.x.cpu 5"].map(
    (line) => `${line} ${second}\n`,
  );
  assert.equal((await system.sink(writeKey, body.join(""))).status, 202);
  await eventually("the default views", async () => {
    const sums = await system.sums(readKey, "web.x.*", "-30min");
    return sums.get("web.x.count") === 7 && sums.get("web.x.cpu") === 3.5;
  });
  // Three years are kept from the change on: what is older than the two of before stays refused, not taken and dropped.
  assert.equal((await system.sink(writeKey, `web.old 1 ${old}`)).status, 400);
});
