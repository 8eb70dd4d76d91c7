// docs/sending.md shows what collectd sends: every line of it means here what the page says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findRoot } from "../../bin/setup/root.mjs";
import { createKernelRouter } from "../../src/kernel/kernel-router.ts";
import { settingRows } from "../../src/config/settings.ts";
import { parseLadder, parseSpan } from "../../src/metric/bucket.ts";
import { reasons } from "../../src/metric/reason.ts";

const page = readFileSync(join(findRoot(import.meta.url) ?? "", "docs", "sending.md"), "utf8");
const section = page.slice(page.indexOf("## collectd"));
const blocks = [...section.matchAll(/```text\n(.*?)```/gs)].map((match) => match[1] ?? "");
const configuration = blocks[0] ?? "";
const sent = (blocks[1] ?? "").split("\n").filter((line) => line !== "");

test("the lines of collectd on the page are taken, its nan is refused as nan", () => {
  const option = (name: string) => new RegExp(`^\\s*${name} "?([^"\n]*)"?$`, "m").exec(configuration)?.[1];
  const prefix = option("Prefix") ?? "";
  assert.equal(prefix, "KEY.collectd.");
  const router = createKernelRouter();
  // As collectd ends them.
  const bytes = Buffer.from(sent.map((line) => `${line}\r\n`).join(""));
  router.route(bytes, 0, bytes.length, { keyed: true, last: false });
  const { lines } = router;
  assert.equal(lines.count, sent.length);
  assert.ok(sent.length >= 4);
  let nan = 0;
  for (let row = 0; row < lines.count; row++) {
    const line = bytes.toString("latin1", lines.from[row], lines.to[row]);
    assert.equal(bytes.toString("latin1", lines.keyFrom[row], lines.keyTo[row]), "KEY");
    assert.equal(`KEY.${line}`, sent[row]);
    assert.ok(line.startsWith(prefix.slice("KEY.".length)), line);
    const isNan = / nan /.test(line);
    if (isNan) nan++;
    assert.equal(reasons[lines.reason[row] ?? -1], isNan ? "nan" : "ok");
  }
  assert.equal(nan, 1);
});

test("the page's Interval is the first rung of the default retention", () => {
  const interval = /^Interval (\d+)$/m.exec(configuration)?.[1] ?? "";
  const standard = settingRows().find(({ env }) => env === "MILLRACE_RETENTION")?.default ?? "";
  assert.ok(section.includes(standard), `the page names ${standard}`);
  const parsed = parseLadder(standard);
  assert.ok(parsed.kind === "ladder");
  assert.equal(parseSpan(interval), parsed.ladder.rungs[0]?.stepSeconds);
});
