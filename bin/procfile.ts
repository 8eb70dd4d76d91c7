// The Procfile: what runs, in the order in which it starts. `name: millrace SUBCOMMAND`, `#` begins a comment.
import { Outage } from "../src/base/errors.ts";

export interface ProcfileEntry {
  name: string;
  /** The subcommand of millrace and its arguments. */
  arguments: string[];
}

export function parseProcfile(content: string): ProcfileEntry[] {
  const entries: ProcfileEntry[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const match = /^([a-z][a-z0-9-]*):\s+millrace\s+(.+)$/.exec(line.trim());
    const [, name, rest] = match ?? [];
    if (name === undefined || rest === undefined)
      throw new Outage(
        "settings-invalid",
        `Procfile line ${index + 1} is not of the form "name: millrace command".`,
      );
    if (entries.some((entry) => entry.name === name))
      throw new Outage("settings-invalid", `Procfile line ${index + 1} names ${name} a second time.`);
    entries.push({ name, arguments: rest.split(/\s+/) });
  }
  return entries;
}
