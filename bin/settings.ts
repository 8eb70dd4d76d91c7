// The table of settings for people: on a terminal and as the reference page.
import { settingRows } from "../src/config/settings.ts";

export function settingsText(): string {
  const rows = settingRows();
  const width = Math.max(...rows.map((row) => row.env.length));
  return rows
    .map(
      (row) =>
        `${row.env.padEnd(width)}  ${row.help} (default ${row.default === "" ? "none" : row.default})\n`,
    )
    .join("");
}

export function settingsMarkdown(): string {
  const rows = settingRows().map(
    (row) =>
      `| \`${row.env}\` | \`${row.flag}\` | \`${row.name}\` | ${row.default === "" ? "" : `\`${row.default}\``} | ${row.help} |`,
  );
  return `# Settings

Each setting is an environment variable, a flag of every command that reads settings and a key of \`millrace.json\` in \`MILLRACE_HOME\`.
A flag wins over the environment, the environment over the file, the file over the default. Unknown settings and
impossible values stop the start with a sentence. This page is printed by \`millrace settings --markdown\`.

| environment | flag | in millrace.json | default | what it is |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
