import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findingKinds } from "../../bin/doctor/findings.ts";
import { findRoot } from "../../bin/setup/root.mjs";
import { outageCodes } from "../../src/base/errors.ts";
import { reasons } from "../../src/metric/reason.ts";

const folder = join(findRoot(import.meta.url) ?? "", "docs", "oncall");
const headings = ["## What it means", "## What is safe", "## What helps", "## How to know that it worked"];
/** One screen. */
const linesMost = 45;

test("every finding, code and refusal has a runbook", () => {
  const wanted = [
    ...Object.keys(findingKinds),
    ...Object.keys(outageCodes),
    ...reasons.filter((reason) => reason !== "ok").map((reason) => `refused-${reason}`),
  ];
  assert.deepEqual(
    wanted.filter((id) => !existsSync(join(folder, `${id}.md`))),
    [],
  );
});

test("a runbook is one screen: what it means, what is safe, what helps, how to know; its links lead somewhere", () => {
  const index = readFileSync(join(folder, "README.md"), "utf8");
  const wrong: string[] = [];
  for (const name of readdirSync(folder).filter((each) => each !== "README.md")) {
    const text = readFileSync(join(folder, name), "utf8");
    const found = text.split("\n").filter((line) => line.startsWith("## "));
    if (found.join() !== headings.join()) wrong.push(`${name}: its headings are ${found.join(", ")}`);
    if (text.split("\n").length > linesMost) wrong.push(`${name}: more than ${linesMost} lines`);
    if (!text.includes("```sh")) wrong.push(`${name}: no command`);
    if (!index.includes(`(${name})`)) wrong.push(`${name}: the index does not name it`);
    for (const [, target = ""] of text.matchAll(/\]\(([^)]+)\)/g))
      if (!existsSync(join(folder, target))) wrong.push(`${name}: ${target} is not there`);
  }
  assert.deepEqual(wrong, []);
});
