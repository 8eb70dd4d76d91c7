// What every command of the command line is made of.
import { Command, Option } from "commander";
import { settingRows, type SettingName } from "../../src/config/settings.ts";
import type { ChangeOptions } from "../change.ts";
import type { Output } from "../say.ts";

/** As commander has them. */
export type Options = Record<string, unknown>;

/** A command with every setting as a flag; they are shown in the help of the program's own commands only. */
export function command(parent: Command, usage: string, description: string): Command {
  const made = parent.command(usage).description(description);
  for (const row of settingRows())
    made.addOption(new Option(`${row.flag} <value>`, row.help).hideHelp(parent.parent !== null));
  return made;
}

export function flagsOf(options: Options): Partial<Record<SettingName, string>> {
  return Object.fromEntries(
    settingRows().flatMap(({ name }) => (typeof options[name] === "string" ? [[name, options[name]]] : [])),
  );
}

export function json(made: Command): Command {
  return made.option("--json", "one JSON object or array on stdout");
}

/** One that changes something. */
export function change(made: Command): Command {
  return json(made).option("--dry-run", "only say what would happen").option("--yes", "don't ask");
}

export const output = (options: Options): Output => ({ json: options["json"] === true });

export const changing = (options: Options): ChangeOptions => ({
  ...output(options),
  dryRun: options["dryRun"] === true,
  yes: options["yes"] === true,
});

export const text = (options: Options, name: string): string | undefined =>
  typeof options[name] === "string" ? options[name] : undefined;
