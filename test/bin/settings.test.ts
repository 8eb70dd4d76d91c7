import { saidOf } from "../../bin/up.ts";
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { projectFolder } from "../../bin/project.ts";
import { settingsMarkdown, settingsText } from "../../bin/settings.ts";
import { readSettings, settingRows } from "../../src/config/settings.ts";

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

test("a child reads from its environment what up has read", () => {
  const settings = readSettings({ MILLRACE_TLS_LISTEN: "[::1]:2005", MILLRACE_REPLAY_WINDOW: "90s" });
  const said = settingRows().flatMap(({ name, env }) => {
    const value = saidOf(name, settings);
    return value === undefined ? [] : [[env, value] as const];
  });
  assert.deepEqual(readSettings(Object.fromEntries(said)), settings);
});
