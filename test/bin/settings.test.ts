import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { projectFolder } from "../../bin/project.ts";
import { settingsMarkdown, settingsText } from "../../bin/settings.ts";
import { settingRows } from "../../src/config/settings.ts";

test("the reference page is the table", () => {
  const page = readFileSync(new URL("docs/reference/settings.md", projectFolder()), "utf8");
  assert.equal(page, settingsMarkdown());
});

test("every setting is on the page and on the terminal", () => {
  for (const { env, flag, name } of settingRows()) {
    assert(settingsText().includes(env), env);
    for (const word of [env, flag, name]) assert(settingsMarkdown().includes(`\`${word}\``), word);
  }
});
